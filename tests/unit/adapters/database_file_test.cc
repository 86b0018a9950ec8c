#include "adapters/sqlite/database_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/adapters/sql_site.h"

namespace entente {
namespace {

using namespace test;

// Until the database has looked at its file again.
Result<Committed> written_at_last(Site& site, const std::string& sql) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (;;) {
    auto done = site.transaction([&](WriteSession& s) -> Result<void> {
      Statement statement;
      statement.sql = sql;
      return s.execute(statement).map([](const auto&) {});
    });
    if (!done || std::chrono::steady_clock::now() > give_up) return done;
  }
}

TEST(DatabaseFile, P3NothingIsAcknowledgedIntoAFileThatWasTakenAway) {
  for (const bool replaced : {false, true}) {
    Folder folder;
    Site a(folder / "a.db", 1);
    a.must("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    if (replaced) {
      std::ofstream(folder / "other") << "junk";
      std::filesystem::rename(folder / "other", folder / "a.db");
    } else {
      std::filesystem::remove(folder / "a.db");
    }
    const auto done = written_at_last(a, "INSERT INTO t DEFAULT VALUES");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::kCorrupt);
    EXPECT_NE(done.error().text.find(replaced ? "was replaced" : "was removed"), std::string::npos);
  }
}

TEST(DatabaseFile, OneGatewayHasIt) {
  Folder folder;
  Site a(folder / "a.db", 1);
  DatabaseOptions options;
  options.dc = "dc2";
  const auto second = open_sqlite(folder / "a.db", options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kBusy);
  a.open();  // closed and opened again
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY)");
}

}  // namespace
}  // namespace entente
