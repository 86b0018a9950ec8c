// conflict/entente_handler.h compiles in every language that it is for, and the examples with the
// command that stands in them.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/unit/gateway/handlers/support.h"

namespace entente {
namespace {

using testing::kSource;

TEST(HandlerHeader, CompilesAsCAndCppWithoutWarnings) {
  const auto header = (kSource / "conflict/entente_handler.h").string();
  for (const std::string language :
       {"cc -std=c11 -x c", "cc -std=c17 -x c", "c++ -std=c++11 -x c++", "c++ -std=c++20 -x c++"}) {
    const std::string command =
        language + " -Wall -Wextra -Wpedantic -Werror -fsyntax-only " + header;
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
  }
}

TEST(HandlerHeader, ExamplesBuildWithTheCommandInThem) {
  testing::TemporaryFolder folder;
  for (const std::string example : {"highest_bid.c", "highest_bid.cc"}) {
    std::stringstream text;
    text << std::ifstream(kSource / "conf/handlers" / example).rdbuf();
    std::string command, line;
    while (std::getline(text, line)) {
      const size_t at = line.find(example.ends_with(".cc") ? "c++ -shared" : "cc -shared");
      if (at != std::string::npos) command = line.substr(at);
    }
    ASSERT_FALSE(command.empty()) << example;
    const auto out = folder.path() / (example + ".so");
    const size_t name = command.find("libhighest_bid.so");
    ASSERT_NE(name, std::string::npos);
    command.replace(name, 17, out.string());
    command += " -Wall -Wextra -Wpedantic -Werror";
    EXPECT_EQ(std::system(("cd " + kSource.string() + " && " + command).c_str()), 0) << command;
    EXPECT_TRUE(std::filesystem::exists(out));
  }
}

}  // namespace
}  // namespace entente
