#include "gateway/commands/check.h"

#include <gtest/gtest.h>
#include <simdjson.h>
#include <stdlib.h>

#include <fstream>
#include <sstream>

#include "tests/support/certificates.h"

namespace entente {
namespace {

namespace fs = std::filesystem;

const fs::path kConf = fs::path(ENTENTE_SOURCE) / "conf";

struct Outcome {
  int code = 0;
  std::string out, err;
  bool says(const std::string& text) const { return out.find(text) != std::string::npos; }
};

Outcome check_of(const TopologyFile& file, OutputFormat format) {
  std::ostringstream out, err;
  const int code = check(file, format, out, err);
  return {code, out.str(), err.str()};
}

Outcome check_text(const std::string& yaml, OutputFormat format) {
  TopologyFile file{"shop.yaml", yaml, {}};
  file.loaded = load_config(yaml, "/", [](const std::string&) { return std::nullopt; });
  return check_of(file, format);
}

TEST(Check, PicturesACircle) {
  const auto got = check_of(read_topology_file(kConf / "circle.yaml"), OutputFormat::kTable);
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_TRUE(got.says("cluster shop, 3 datacenters, a circle, one way.\n")) << got.out;
  EXPECT_TRUE(got.says("at most 2 links; changes take another way after 3s of silence")) << got.out;
  EXPECT_TRUE(got.says("frankfurt   tokyo       all others\n")) << got.out;
  EXPECT_TRUE(got.says("Single points of failure: none\n")) << got.out;
  EXPECT_TRUE(got.says("(all)  lww     column       supersede\n")) << got.out;
}

TEST(Check, NamesWhatCannotBeLost) {
  const auto got = check_of(read_topology_file(kConf / "links.yaml"), OutputFormat::kTable);
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_TRUE(got.says("Single points of failure: frankfurt, virginia\n")) << got.out;
  EXPECT_TRUE(
      got.says("nothing replaces: boston - virginia, frankfurt - lisbon, "
               "frankfurt - virginia\n"))
      << got.out;
}

TEST(Check, ListsRulesOfEachTable) {
  const auto got = check_of(read_topology_file(kConf / "all-to-all.yaml"), OutputFormat::kTable);
  EXPECT_TRUE(got.says("carts     siblings  row          require\n")) << got.out;
  EXPECT_TRUE(got.says("profiles  lww       column       supersede     plan: priority\n"))
      << got.out;
  const auto star = check_of(read_topology_file(kConf / "star.yaml"), OutputFormat::kTable);
  EXPECT_TRUE(star.says("audit     not replicated\n")) << star.out;
}

TEST(Check, ListsPoliciesOfColumnsAndGroupsAndWhatHandlersMayUse) {
  const auto got = check_of(read_topology_file(kConf / "policies.yaml"), OutputFormat::kTable);
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(got.err, "");
  for (const std::string text : {"lowest_price: merge: min, on_hand: counter, tags: merge: union, "
                                 "place (lat, lon): priority",
                                 "update_wins\n", "handler highest_bid  row", "orphans: hide\n",
                                 "100000 instructions, 1MiB\n"}) {
    EXPECT_TRUE(got.says(text)) << text << " in\n" << got.out;
  }
}

// A folder with shop.yaml and its schema.
class SchemaOf : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "entente-check-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Lines 1 to 5; the rules begin on line 6.
  Outcome check_with(const std::string& schema, const std::string& rules,
                     OutputFormat format = OutputFormat::kTable) {
    std::ofstream(folder_ / "schema.sql") << schema;
    std::ofstream(folder_ / "shop.yaml")
        << "cluster: shop\ntopology: {kind: all-to-all}\nsecurity: {insecure: true}\n"
           "datacenters: {a: {peers: 'ws://localhost:0', clients: 'localhost:0'}}\n"
           "schema: schema.sql\n"
        << rules;
    return check_of(read_topology_file(folder_ / "shop.yaml"), format);
  }
  fs::path folder_;
};

constexpr const char* kStock = "CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER, name TEXT);";

// What `serve` would refuse is said where the certificate is at hand.
TEST_F(SchemaOf, ACertificateThatServeWouldNotTakeIsAWarning) {
  const testing::TestCa ca("CA");
  const auto check_certificate = [&](const testing::TestCa::Wish& wish) {
    const auto issued = ca.issue(wish);
    std::ofstream(folder_ / "node.crt") << issued.cert;
    std::ofstream(folder_ / "node.key") << issued.key;
    std::ofstream(folder_ / "ca.crt") << ca.pem();
    std::ofstream(folder_ / "shop.yaml")
        << "cluster: shop\ntopology: {kind: all-to-all}\n"
           "security: {tls: {cert: node.crt, key: node.key, ca: ca.crt}}\n"
           "datacenters: {a: {peers: 'wss://a.example:1', clients: '0.0.0.0:2'}}\n";
    return check_of(read_topology_file(folder_ / "shop.yaml"), OutputFormat::kTable);
  };
  const auto good = check_certificate({{"spiffe://shop/dc/a"}});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_EQ(good.err, "");
  EXPECT_NE(good.out.find("wss://a.example:1"), std::string::npos) << good.out;
  const auto servers_only = check_certificate({{"spiffe://shop/dc/a"}, "serverAuth"});
  EXPECT_EQ(servers_only.code, 0);
  EXPECT_NE(servers_only.err.find("`serve` would not start"), std::string::npos)
      << servers_only.err;
  EXPECT_NE(servers_only.err.find("lacks clientAuth"), std::string::npos) << servers_only.err;
  const auto unknown = check_certificate({{"spiffe://shop/dc/b"}});
  EXPECT_NE(unknown.err.find("which is not in this file"), std::string::npos) << unknown.err;
}

TEST_F(SchemaOf, RulesThatSuitAreFine) {
  const auto got = check_with(kStock, "tables: {stock: {columns: {n: {policy: counter}}}}\n");
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(got.err, "");
}

TEST_F(SchemaOf, ARuleThatDoesNotSuitItsTableIsReportedAtItsPlace) {
  const auto got = check_with(kStock,
                              "tables:\n"
                              "  stock:\n"
                              "    columns:\n"
                              "      n: {policy: counter}\n"
                              "      name: {policy: counter}\n"
                              "      nmae: {policy: lww}\n");
  EXPECT_EQ(got.code, 2);
  EXPECT_EQ(got.out, "");
  EXPECT_NE(got.err.find("shop.yaml:10:7: "), std::string::npos) << got.err;
  EXPECT_NE(got.err.find("shop.yaml:11:7: "), std::string::npos) << got.err;
  EXPECT_NE(got.err.find("2 problems\n"), std::string::npos) << got.err;
}

TEST_F(SchemaOf, ADefaultThatDoesNotSuitATableIsReportedAtConflicts) {
  const auto got = check_with(kStock, "conflicts: {policy: counter}\n");
  EXPECT_EQ(got.code, 2);
  EXPECT_NE(got.err.find("shop.yaml:6:1: "), std::string::npos) << got.err;
}

TEST_F(SchemaOf, AGroupNamedLikeAColumnOfTheTableIsReported) {
  const auto got = check_with("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c);",
                              "tables: {t: {groups: {c: {columns: [a, b], policy: lww}}}}\n");
  EXPECT_EQ(got.code, 2);
  EXPECT_NE(got.err.find("shop.yaml:6:23: table t has a column `c`"), std::string::npos) << got.err;
}

TEST_F(SchemaOf, ATableThatTheSchemaDoesNotHaveIsAWarning) {
  const std::string rules = "tables:\n  stokc: {policy: siblings}\n";
  const auto got = check_with(kStock, rules);
  EXPECT_EQ(got.code, 0);
  EXPECT_NE(got.err.find("shop.yaml:7:3: warning: the schema has no table `stokc`"),
            std::string::npos)
      << got.err;
  EXPECT_NE(got.err.find("did you mean `stock`?"), std::string::npos) << got.err;
  const auto json = check_with(kStock, rules, OutputFormat::kJson);
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  ASSERT_FALSE(parser.parse(json.out).get(root)) << json.out;
  EXPECT_EQ(root.at_pointer("/warnings/0/did_you_mean").get_string().value(), "stock");
}

TEST_F(SchemaOf, ASchemaThatDoesNotRunOrIsNotThereIsReportedAtItsKey) {
  for (const std::string schema : {"CRATE TABLE t (id INTEGER PRIMARY KEY);",
                                   "CREATE TABLE t (rowid, _rowid_, oid);", "DROP TABLE t;"}) {
    const auto got = check_with(schema, "");
    EXPECT_EQ(got.code, 2) << schema;
    EXPECT_NE(got.err.find("shop.yaml:5:9: the schema "), std::string::npos) << got.err;
  }
  check_with("", "");
  fs::remove(folder_ / "schema.sql");
  const auto got = check_of(read_topology_file(folder_ / "shop.yaml"), OutputFormat::kTable);
  EXPECT_EQ(got.code, 2);
  EXPECT_NE(got.err.find("cannot read "), std::string::npos) << got.err;
}

TEST(Check, JsonOfEveryExampleParsesAndHasARouteToEverybody) {
  for (const std::string name : {"circle", "star", "all-to-all", "links", "policies"}) {
    const auto got = check_of(read_topology_file(kConf / (name + ".yaml")), OutputFormat::kJson);
    EXPECT_EQ(got.code, 0);
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    ASSERT_FALSE(parser.parse(got.out).get(root)) << got.out;
    const size_t datacenters = root["datacenters"].get_array().value().size();
    size_t origins = 0;
    for (const auto route : root["routes"].get_array()) {
      origins += route["origins"].get_array().value().size();
    }
    EXPECT_EQ(origins, datacenters * (datacenters - 1)) << name;
    EXPECT_EQ(std::string(root["topology_fingerprint"].get_c_str().value()).size(), 32u);
  }
}

TEST(Check, ProblemsGoToStandardErrorWithCarets) {
  const auto got = check_text("cluster: shop\ntoplogy: {kind: star}\n", OutputFormat::kTable);
  EXPECT_EQ(got.code, 2);
  EXPECT_EQ(got.out, "");
  EXPECT_NE(got.err.find("shop.yaml:2:1: `toplogy` is not a key of the file\n"
                         " 2 | toplogy: {kind: star}\n"
                         "   | ^\n"
                         "  did you mean `topology`?\n"),
            std::string::npos)
      << got.err;
  EXPECT_NE(got.err.find("4 problems\n"), std::string::npos) << got.err;
}

TEST(Check, ProblemsInJsonKeepTheirPlaces) {
  const auto got = check_text("cluster: shop\ntoplogy: \"\\e[2J\"\n", OutputFormat::kJson);
  EXPECT_EQ(got.code, 2);
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  ASSERT_FALSE(parser.parse(got.out).get(root)) << got.out;
  EXPECT_FALSE(root["fine"].get_bool().value());
  EXPECT_EQ(root.at_pointer("/problems/3/line").get_int64().value(), 2);
  EXPECT_EQ(root.at_pointer("/problems/3/did_you_mean").get_string().value(), "topology");
}

TEST(Check, SaysWhyAFileCannotBeRead) {
  const auto missing = check_of(read_topology_file(kConf / "nowhere.yaml"), OutputFormat::kTable);
  EXPECT_EQ(missing.code, 2);
  EXPECT_NE(missing.err.find("cannot be read: No such file"), std::string::npos) << missing.err;
  const auto folder = check_of(read_topology_file(kConf), OutputFormat::kTable);
  EXPECT_EQ(folder.code, 2);
  EXPECT_NE(folder.err.find("it is a folder"), std::string::npos) << folder.err;
}

TEST(Output, KeepsControlCharactersAwayFromTerminalsAndJsonWhole) {
  EXPECT_EQ(printable("a\x1b[2Jé\xFF\xC2\x9B"), "a?[2Jé??");
  EXPECT_EQ(json_text("a\"b\\c\n\x01é\xFF"), "\"a\\\"b\\\\c\\u000a\\u0001é\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace entente
