#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/database.h"

namespace entente {

// The statements of the SQL script at `path`. kNotFound if it cannot be read.
Result<std::vector<std::string>> read_schema(const std::filesystem::path& path);

// All of them in one transaction.
ClientTransaction run_statements(std::vector<std::string> statements);

// The statements of an SQL script, without their semicolons; comments stay with the statement they
// are in, those between statements are dropped. Respects quotes of all four kinds, both kinds of
// comments, and the bodies of triggers, which end with `; END;`.
std::vector<std::string> split_statements(std::string_view script);

}  // namespace entente
