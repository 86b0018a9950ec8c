// `entente sql`, as a person and as a script use it, against two real gateways.

#include "gateway/commands/sql_shell.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/support/cluster.h"

namespace entente::testing {
namespace {

struct Session {
  int code = 0;
  std::string out, err;
};

class SqlShell : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<Cluster>(
        Cluster::Options{{"tokyo", "virginia"},
                         "{kind: all-to-all}",
                         "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER, x REAL, b BLOB);",
                         ""});
    cluster_->start_all();
    for (const auto& dc : cluster_->dcs()) ASSERT_TRUE(cluster_->wait_ready(dc));
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  static std::string url(const std::string& dc) {
    return "http://127.0.0.1:" + std::to_string(cluster_->port(dc));
  }
  // Types these lines.
  static Session run(const std::string& lines, bool interactive = false,
                     OutputFormat format = OutputFormat::kTable, const std::string& command = "") {
    std::istringstream in(lines);
    std::ostringstream out, err;
    const LineSource source{[&](const std::string& prompt) -> std::optional<std::string> {
                              if (interactive) out << prompt;
                              std::string line;
                              return std::getline(in, line) ? std::optional(line) : std::nullopt;
                            },
                            interactive};
    const int code = sql_shell({url("tokyo"), command, format}, source, out, err);
    return {code, out.str(), err.str()};
  }

  static inline std::unique_ptr<Cluster> cluster_;
};

TEST_F(SqlShell, ShowsValuesOfEveryTypeInEveryMode) {
  const std::string values =
      "SELECT 'a,\"b\"' AS t, 9007199254740993 AS i, 0.5 AS f, x'00ff' AS b, NULL AS n, "
      "char(27) || '[2J' AS c;\n";
  auto got = run(values);
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(got.out,
            "t      i                 f    b        n     c\n"
            "a,\"b\"  9007199254740993  0.5  x'00ff'  NULL  ?[2J\n(1 row)\n");
  EXPECT_EQ(run(".mode csv\n" + values).out,
            "t,i,f,b,n,c\r\n\"a,\"\"b\"\"\",9007199254740993,0.5,00ff,,\x1b[2J\r\n");
  EXPECT_EQ(run(".mode line\nSELECT 1 AS one, 'x' AS y UNION SELECT 2, 'z';\n").out,
            "one = 1\ny = x\n\none = 2\ny = z\n");
  EXPECT_EQ(run(values, false, OutputFormat::kJson).out,
            R"([{"t":"a,\"b\"","i":9007199254740993,"f":0.5,"b":{"base64":"AP8="},"n":null,)"
            R"("c":"\u001b[2J"}])"
            "\n");
  EXPECT_EQ(run("", false, OutputFormat::kTable, "SELECT 1 AS one; SELECT 2 AS two").out,
            "one\n1\n(1 row)\ntwo\n2\n(1 row)\n");
}

TEST_F(SqlShell, StatementsEndAtTheirSemicolonAndTransactionsSpanThem) {
  const auto got =
      run("INSERT INTO t (id, n)\n  VALUES ('multi;line', 1)\n;\nBEGIN;\n"
          "UPDATE t SET n = n + 1; UPDATE t SET n = n + 1;\nROLLBACK;\n"
          "SELECT id, n FROM t WHERE id LIKE 'multi%'\n",
          true);
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(got.err, "");
  EXPECT_TRUE(got.out.starts_with("Connected to tokyo.")) << got.out;
  EXPECT_NE(got.out.find("tokyo*> "), std::string::npos) << got.out;
  EXPECT_NE(got.out.find("   ...> "), std::string::npos) << got.out;
  EXPECT_NE(got.out.find("1 row changed\n"), std::string::npos) << got.out;
  EXPECT_TRUE(got.out.ends_with("id          n\nmulti;line  1\n(1 row)\n")) << got.out;
}

TEST_F(SqlShell, GoesOnAtAnotherDatacenterWithWhatItHasSeen) {
  for (int i = 0; i < 20; ++i) {
    const auto key = "'moved" + std::to_string(i) + "'";
    const auto got =
        run("INSERT INTO t (id) VALUES (" + key +
                ");\n.dc virginia\nSELECT count(*) AS c FROM t WHERE id = " + key + ";\n.dc\n",
            true);
    EXPECT_EQ(got.err, "");
    EXPECT_NE(got.out.find("virginia> c\n1\n"), std::string::npos) << got.out;
    EXPECT_NE(got.out.find("*  virginia    127.0.0.1:"), std::string::npos) << got.out;
  }
}

TEST_F(SqlShell, ListsTablesAndTheirSchema) {
  EXPECT_EQ(run("CREATE INDEX IF NOT EXISTS by_n ON t (n);\n").code, 0);
  EXPECT_EQ(run(".tables\n").out, "t\n");
  EXPECT_EQ(run(".schema T\n").out,
            "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER, x REAL, b BLOB);\n"
            "CREATE INDEX by_n ON t (n);\n");
  EXPECT_EQ(run(".schema 'x\n").out, "");
  const auto timed = run(".timing on\nSELECT 1 AS one;\n").out;
  EXPECT_TRUE(timed.starts_with("one\n1\n(1 row)\n") && timed.ends_with(" ms\n")) << timed;
}

TEST_F(SqlShell, AScriptStopsAtItsFirstErrorAndAPersonGoesOn) {
  const std::string lines = "SELECT nonsense;\n.nonsense\n.dc paris\n.mode x\nSELECT 1 AS one;\n";
  auto got = run(lines);
  EXPECT_EQ(got.code, 1);
  EXPECT_EQ(got.out, "");
  EXPECT_EQ(got.err, "entente: no such column: nonsense (SQLITE_ERROR)\n");
  got = run(lines, true);
  EXPECT_EQ(got.code, 0);
  EXPECT_NE(got.out.find("one\n1\n"), std::string::npos) << got.out;
  EXPECT_NE(got.err.find("there is no command .nonsense"), std::string::npos) << got.err;
  EXPECT_NE(got.err.find("there is no datacenter paris"), std::string::npos) << got.err;
  EXPECT_EQ(run(".quit\nSELECT nonsense;\n").code, 0);
  EXPECT_NE(run(".help\n").out.find(".timing on|off"), std::string::npos);
}

TEST_F(SqlShell, SaysWhyItCannotConnect) {
  std::ostringstream out, err;
  const LineSource none{[](const std::string&) { return std::nullopt; }, false};
  EXPECT_EQ(sql_shell({"ftp://x", "SELECT 1"}, none, out, err), 2);
  const auto nobody = "http://127.0.0.1:" + std::to_string(free_port());
  EXPECT_EQ(sql_shell({nobody, "SELECT 1"}, none, out, err), 1);
  EXPECT_EQ(out.str(), "");
  EXPECT_NE(err.str().find("Connection refused"), std::string::npos) << err.str();
}

}  // namespace
}  // namespace entente::testing
