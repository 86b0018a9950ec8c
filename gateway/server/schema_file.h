#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "adapters/database.h"

namespace entente {

// The statements of the SQL script at `path`, a file of 64 MiB at most.
// Errors: kNotFound, it cannot be read; kTooLarge.
Result<std::vector<std::string>> read_schema(const std::filesystem::path& path);

// All of them in one transaction.
ClientTransaction run_statements(std::vector<std::string> statements);

}  // namespace entente
