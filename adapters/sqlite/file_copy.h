#pragma once

#include <filesystem>

#include "conflict/result.h"

namespace entente::sqlite {

// Copies a database page by page, as it was at one moment, while others may write to it. Durable
// when it returns; after an error there is no `to`.
Result<void> copy_database(const std::filesystem::path& from, const std::filesystem::path& to);

// Gives a database that is closed its name, and syncs the folder.
Result<void> rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

// With the files that SQLite keeps beside it.
void remove_database(const std::filesystem::path& path);

// kRefused if the file fails SQLite's integrity check.
Result<void> check_integrity(const std::filesystem::path& path);

}  // namespace entente::sqlite
