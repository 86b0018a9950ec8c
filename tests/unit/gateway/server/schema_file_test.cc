#include "gateway/server/schema_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/process.h"

namespace entente {
namespace {

TEST(SchemaFile, HoldsStatements) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder.path() / "s.sql")
      << "\xEF\xBB\xBF-- tables\nCREATE TABLE a(x) ;\n CREATE TABLE b(y)\n";
  const auto statements = read_schema(folder.path() / "s.sql");
  ASSERT_TRUE(statements);
  EXPECT_EQ(*statements, (std::vector<std::string>{"CREATE TABLE a(x)", "CREATE TABLE b(y)"}));
}

// A folder ended the process, a device filled its memory, a pipe was waited for.
TEST(SchemaFile, WhatIsNoFileIsRefused) {
  const testing::TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
  for (const std::filesystem::path& path :
       {folder.path(), folder.path() / "nothing", folder.path() / "pipe",
        std::filesystem::path("/dev/zero")}) {
    const auto none = read_schema(path);
    ASSERT_FALSE(none) << path;
    EXPECT_EQ(none.error().code, Code::kNotFound);
  }
}

}  // namespace
}  // namespace entente
