#pragma once

#include <filesystem>
#include <string>

#include "conflict/result.h"
#include "topology/config.h"

namespace entente {

// A token lies in a file, never in an argument: those are everybody's to read (ps).
inline constexpr const char* kTokenFileVariable = "ENTENTE_TOKEN_FILE";

// The token in a file. Errors: everybody on the machine may read it too; it holds no token.
Result<std::string> read_token_file(const std::filesystem::path& path);

// Where `entente login` keeps the token for a gateway: under ~/.config/entente. "" if there is no
// home.
std::filesystem::path login_file(const Endpoint& endpoint);

// Writes a file that its owner alone may read, whole or not at all. Another of the name is
// replaced.
Result<void> write_secret(const std::filesystem::path& path, const std::string& text);

}  // namespace entente
