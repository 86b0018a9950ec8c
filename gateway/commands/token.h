#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "gateway/commands/output.h"

namespace entente {

// `entente token init FILE`: makes the key that signs a cluster's tokens, and the public one for
// its gateways.
struct TokenInitOptions {
  std::filesystem::path file;    // the topology file
  std::filesystem::path folder;  // "": <cluster>-ca, as `entente cert` has it
};
int init_tokens(const TokenInitOptions& options, std::ostream& out, std::ostream& err);

// `entente token new FILE`: a token, on `out` or into a file of its own.
struct TokenNewOptions {
  std::filesystem::path file;  // the topology file: tokens are for one cluster
  std::filesystem::path key;   // "": <cluster>-ca/token.key
  std::string role;
  std::vector<std::string> tables;  // none: all
  std::string lasts = "30d";
  std::string sub;  // "": whoever runs the command
  std::filesystem::path to;
};
int new_token(const TokenNewOptions& options, OutputFormat format, std::ostream& out,
              std::ostream& err);

// `entente token show [FILE]`: what a token says; nobody checks here who signed it.
int show_token(const std::filesystem::path& file, OutputFormat format, std::ostream& out,
               std::ostream& err);

// `entente login URL`: asks the gateway whether it takes the token, and keeps it for the commands
// that call this gateway. The token comes from ENTENTE_TOKEN_FILE, or else from `in`.
int login(const std::string& url, std::istream& in, std::ostream& out, std::ostream& err);

}  // namespace entente
