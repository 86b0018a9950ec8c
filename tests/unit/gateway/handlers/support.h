#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "conflict/entente_handler.h"
#include "gateway/handlers/owned_conflict.h"
#include "gateway/handlers/plugin_handler.h"
#include "tests/support/process.h"

namespace entente::testing {

inline const std::filesystem::path kSource = ENTENTE_SOURCE;

// What isolated plug-ins are run by.
inline std::filesystem::path host_program() {
  const char* named = std::getenv("ENTENTE_BINARY");
  return named ? named : ENTENTE_BINARY_DEFAULT;
}

inline std::filesystem::path write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

// Compiles a shared object; its path.
inline std::filesystem::path compile(const std::filesystem::path& source,
                                     const std::filesystem::path& folder) {
  const bool is_c = source.extension() == ".c";
  const auto out = folder / ("lib" + source.stem().string() + (is_c ? "_c.so" : "_cc.so"));
  const std::string command = (is_c ? std::string("cc -std=c11") : "c++ -std=c++20") +
                              " -shared -fPIC -O0 -w -I" + (kSource / "conflict").string() +
                              " -o " + out.string() + " " + source.string();
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  return out;
}

// A plug-in whose decide() is `body`, in C, or in C++ if `cpp`; `host` and `conflict` are its
// arguments. `more` stands before it.
inline std::filesystem::path plugin(const TemporaryFolder& folder, const std::string& body,
                                    const std::string& more = "", bool cpp = false,
                                    int abi = ENTENTE_HANDLER_ABI) {
  const std::string text =
      "#define _GNU_SOURCE\n#include \"entente_handler.h\"\n#include <stdlib.h>\n"
      "#include <string.h>\n#include <unistd.h>\n" +
      more +
      "\nstatic int decide(void* self, const entente_conflict* conflict, const entente_host* host) "
      "{" +
      body +
      "}\nconst entente_handler* entente_handler_v1(void) {\n  static const entente_handler "
      "handler "
      "= {sizeof(entente_handler), " +
      std::to_string(abi) + ", 0, NULL, NULL, decide};\n  return &handler;\n}\n";
  return compile(write(folder.path() / (cpp ? "plugin.cc" : "plugin.c"), text), folder.path());
}

// Two rows of an auction; the second bid is higher.
inline OwnedConflict two_bids(int64_t first = 5, int64_t second = 7) {
  OwnedConflict out;
  out.kind = "update-update";
  out.table = "auctions";
  out.key = {{"id", int64_t{1}}};
  out.base = Row{{"bid", int64_t{1}}, {"bidder", "nobody"}};
  out.siblings = {{"frankfurt", Hlc::at(1000), Row{{"bid", first}, {"bidder", "ann"}}},
                  {"virginia", Hlc::at(1001), Row{{"bid", second}, {"bidder", "bob"}}}};
  return out;
}

// A clock that tests set.
struct SetClock {
  std::chrono::steady_clock::time_point time{std::chrono::hours(1)};
  SteadyNow now() {
    return [this] { return time; };
  }
};

inline std::string failure(const Result<Decision>& decision) {
  return decision ? "it answered" : decision.error().tag + " " + decision.error().text;
}

}  // namespace entente::testing
