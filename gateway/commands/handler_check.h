#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>

#include "gateway/commands/output.h"

namespace entente {

struct HandlerCheckOptions {
  std::string file;    // .lua: a script; anything else: a plug-in
  std::string config;  // of a plug-in
  std::string columns = "name:text,count:integer,price:real,data:blob,tags:array,more:any";
  size_t runs = 1000;
  uint64_t seed = 1;
  uint64_t instructions = 1'000'000;              // of a script, for each conflict
  uint64_t memory = 8ull << 20;                   // of a script, for each conflict, in bytes
  std::filesystem::path host = "/proc/self/exe";  // what runs a plug-in
};

// `entente handler check FILE`: runs a handler on made-up conflicts and prints the first one on
// which it breaks a law. Answers the exit code: 1 if it breaks one, 2 if it cannot be loaded.
int handler_check(const HandlerCheckOptions& options, OutputFormat format, std::ostream& out,
                  std::ostream& err);

}  // namespace entente
