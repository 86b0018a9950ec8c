#include "gateway/commands/adopt.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <sstream>

#include "gateway/membership/data_folder.h"
#include "tests/support/process.h"

namespace entente {
namespace {

class AdoptCommand : public ::testing::Test {
 protected:
  AdoptCommand() {
    std::ofstream(path("cluster.yaml"))
        << "cluster: shop\ntopology: {kind: all-to-all}\ndatacenters:\n"
           "  tokyo: {peers: \"ws://127.0.0.1:7401\", clients: \"127.0.0.1:8081\"}\n"
           "  paris: {peers: \"ws://127.0.0.1:7402\", clients: \"127.0.0.1:8082\"}\n"
           "security: {insecure: true}\n";
    sqlite3* raw = nullptr;
    sqlite3_open(path("shop.db").c_str(), &raw);
    sqlite3_exec(raw, "CREATE TABLE t (k INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);",
                 nullptr, nullptr, nullptr);
    sqlite3_close(raw);
  }
  std::filesystem::path path(const char* name) const { return folder_.path() / name; }
  int run(const char* dc, const char* source, OutputFormat format = OutputFormat::kTable) {
    out_ = {}, err_ = {};
    return adopt({path("cluster.yaml"), dc, path(dc)}, path(source), format, out_, err_);
  }

  testing::TemporaryFolder folder_;
  std::ostringstream out_, err_;
};

TEST_F(AdoptCommand, SaysWhatItTookInAndLeavesAMarkedDatabase) {
  EXPECT_EQ(run("tokyo", "shop.db"), kFine) << err_.str();
  EXPECT_EQ(out_.str(), "table  rows  replicates\nt      2     yes\n");
  EXPECT_TRUE(std::filesystem::exists(path("tokyo") / "tokyo.db"));
  EXPECT_TRUE(*DataFolder::open(path("tokyo"))->marker());
  EXPECT_EQ(run("paris", "shop.db", OutputFormat::kJson), kFine);
  EXPECT_NE(out_.str().find(R"("rows": 2)"), std::string::npos) << out_.str();
}

TEST_F(AdoptCommand, WhatCannotBeIsSaid) {
  EXPECT_EQ(run("osaka", "shop.db"), kUsage);
  EXPECT_NE(err_.str().find("osaka is not a datacenter of"), std::string::npos) << err_.str();
  EXPECT_EQ(run("tokyo", "none.db"), kDegraded);
  EXPECT_NE(err_.str().find("there is no file"), std::string::npos) << err_.str();
  EXPECT_EQ(run("tokyo", "shop.db"), kFine);
  EXPECT_EQ(run("tokyo", "shop.db"), kDegraded);
  EXPECT_NE(err_.str().find("tokyo has a database already"), std::string::npos) << err_.str();
}

}  // namespace
}  // namespace entente
