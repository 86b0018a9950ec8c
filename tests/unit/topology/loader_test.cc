#include "topology/loader.h"

#include <gtest/gtest.h>

#include "tests/unit/topology/file_support.h"

namespace entente {
namespace {

using namespace std::chrono_literals;
using namespace test;

class BadFile : public testing::TestWithParam<Bad> {};

TEST_P(BadFile, IsReportedOnceAtItsPlace) { expect_reported_once(GetParam()); }

std::string nested(int levels) {
  return kMesh + "deep: " + std::string(levels, '[') + std::string(levels, ']') + "\n";
}

TEST(KeySlots, EachThatIsTakenGetsAFreeOneOfItsOwn) {
  std::string yaml = kHead;
  for (const std::string name : {"a", "b", "c"}) {
    const auto port = std::to_string(name[0] * 2);
    yaml += "  " + name + ": {peers: 'ws://127.0.0.1:" + port +
            "', clients: '127.0.0.1:" + std::to_string(name[0] * 2 + 1) + "', key_slot: 0}\n";
  }
  const auto found = load(yaml).problems;
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].did_you_mean, "key_slot: 1");
  EXPECT_EQ(found[1].did_you_mean, "key_slot: 2");
}

INSTANTIATE_TEST_SUITE_P(
    Yaml, BadFile,
    testing::Values(
        Bad{"Empty", "", 0, 0, "empty"}, Bad{"OnlyComments", "# nothing\n", 0, 0, "empty"},
        Bad{"Null", "~\n", 0, 0, "empty"}, Bad{"List", "- a\n", 1, 1, "mapping of keys"},
        Bad{"Word", "hello\n", 1, 1, "mapping of keys"},
        Bad{"TooLarge", std::string((1 << 20) + 1, '#'), 0, 0, "1 MiB"},
        Bad{"NotUtf8", kMesh + "schema: \xC3(\n", 8, 9, "not UTF-8"},
        Bad{"Overlong", kMesh + "schema: \xC0\xAF\n", 8, 9, "not UTF-8"},
        Bad{"CutCharacter", kMesh + "schema: é\xE2\x82", 8, 10, "not UTF-8"},
        Bad{"ControlCharacter", kMesh + "schema: a\x1b[2J\n", 8, 10, "control character"},
        Bad{"Utf16", std::string("a\0b\0", 4), 1, 2, "control character"},
        Bad{"Tab", kThree + "topology:\n\tkind: star\n", 8, 1, "tabs"},
        Bad{"Syntax", kMesh + "schema: a: b\n", 8, 10, "not YAML"},
        Bad{"OpenBracket", kThree + "topology: {kind: circle, order: [tokyo\n", 8, 1, "not YAML"},
        Bad{"TooDeep", nested(32), 8, 38, "deeper than 32"},
        Bad{"FarTooDeep", nested(100'000), 8, 38, "deeper than 32"},
        Bad{"SecondDocument", kMesh + "---\na: b\n", 8, 1, "second document"},
        Bad{"Anchor", kMesh + "schema: &x a.sql\n", 8, 9, "anchors"},
        Bad{"Tag", kMesh + "schema: !!str a.sql\n", 8, 9, "tags"},
        Bad{"ListAsKey", kMesh + "? [a]\n: b\n", 8, 3, "key must be a word"},
        Bad{"EmptyKey", kMesh + "'': b\n", 8, 1, "key must be a word"},
        Bad{"DuplicateKey", kMesh + "schema: a\nschema: b\n", 9, 1, "first on line 8"},
        Bad{"DuplicateInFlow", kThree + "topology: {kind: all-to-all, kind: star}\n", 7, 30,
            "`kind` is given twice"},
        Bad{"AfterWideCharacters", kMesh + "limits: {\"é\": 1}\n", 8, 10, "`é` is not a key"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Values, BadFile,
    testing::Values(
        Bad{"UnknownKey", kMesh + "conflict: {policy: lww}\n", 8, 1, "not a key of the file",
            "conflicts"},
        Bad{"UnknownKeyLikeNothing", kMesh + "zzzzzzzz: 1\n", 8, 1, "not a key of the file"},
        Bad{"UnknownTopologyKey", kThree + "topology: {knid: star, kind: all-to-all}\n", 7, 12,
            "not a key of `topology`", "kind"},
        Bad{"MissingCluster", kMesh.substr(14), 1, 1, "needs `cluster`"},
        Bad{"MissingTopology", kThree, 1, 1, "needs `topology`"},
        Bad{"MissingDatacenters",
            "cluster: a\nsecurity: {insecure: true}\ntopology: {kind: all-to-all}\n", 1, 1,
            "needs `datacenters`"},
        Bad{"MissingKind", kThree + "topology:\n  reroute: true\n", 7, 1, "needs `kind`"},
        Bad{"ClusterName", "cluster: my shop\n" + kMesh.substr(14), 1, 10, "cannot be a name"},
        Bad{"ListForWord", kMesh + "schema: [a]\n", 8, 9, "must be a word; this is a list"},
        Bad{"NothingForWord", kMesh + "schema:\n", 8, 1, "must be a word; this is nothing"},
        Bad{"EmptyWord", kMesh + "schema: ''\n", 8, 9, "this is empty"},
        Bad{"WordForMapping", kMesh + "limits: many\n", 8, 9, "must be a mapping"},
        Bad{"DurationWithoutUnit", kMesh + "clock: {max_drift: 10}\n", 8, 20, "no unit"},
        Bad{"DurationInBytes", kMesh + "clock: {max_drift: 10MiB}\n", 8, 20, "200ms, 3s, 5m or 1h"},
        Bad{"DurationFraction", kMesh + "clock: {max_drift: 0.5s}\n", 8, 20, "not a duration"},
        Bad{"DurationNegative", kMesh + "clock: {max_drift: -5s}\n", 8, 20, "not a duration"},
        Bad{"DurationOverflow", kMesh + "clock: {max_drift: 9223372036854775807h}\n", 8, 20,
            "too large"},
        Bad{"DurationOutOfRange", kMesh + "clock: {max_drift: 25h}\n", 8, 20, "from 100ms to 24h"},
        Bad{"SizeWithoutUnit", kMesh + "limits: {body_bytes: 65536}\n", 8, 22, "no unit"},
        Bad{"SizeDecimalUnit", kMesh + "limits: {body_bytes: 16MB}\n", 8, 22, "512B, 64KiB"},
        Bad{"SizeOutOfRange", kMesh + "limits: {body_bytes: 2GiB}\n", 8, 22, "from 1KiB to 1GiB"},
        Bad{"SizeOverflow", kMesh + "limits: {body_bytes: 18446744073709551615GiB}\n", 8, 22,
            "too large"},
        Bad{"CountWithUnit", kMesh + "limits: {streams: 4KiB}\n", 8, 19, "not a whole number"},
        Bad{"CountInQuotes", kMesh + "limits: {streams: '4'}\n", 8, 19, "this is text in quotes"},
        Bad{"CountOutOfRange", kMesh + "limits: {streams: 0}\n", 8, 19, "from 1 to 1000000"},
        Bad{"UnknownLimit", kMesh + "limits: {body_byte: 1MiB}\n", 8, 10, "not a key of `limits`",
            "body_bytes"},
        Bad{"LimitsTogether", kMesh + "limits: {heartbeat: 6s}\n", 8, 10,
            "less than `link_timeout`"},
        Bad{"FlagYes", kThree + "topology: {kind: all-to-all, reroute: yes}\n", 7, 39,
            "neither true nor false", "true"},
        Bad{"VariableNotSet", kMesh + "schema: ${NOWHERE}/a.sql\n", 8, 9, "NOWHERE is not set"},
        Bad{"VariableEmpty", kMesh + "schema: ${EMPTY}\n", 8, 9, "EMPTY is not set"},
        Bad{"VariableOpen", kMesh + "schema: ${PORT\n", 8, 9, "without its `}`"},
        Bad{"VariableName", kMesh + "schema: ${9-x}\n", 8, 9, "not the name of a variable"},
        Bad{"VariableOfTwoLines", kMesh + "schema: ${LINES}\n", 8, 9, "more than one line"},
        Bad{"VariableOfBytes", kMesh + "schema: ${BYTES}\n", 8, 9, "more than one line of text"},
        Bad{"VariableOfTheWrongType", kMesh + "limits: {streams: \"${NAME}\"}\n", 8, 19,
            "`shop` is not a whole number"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Topology, BadFile,
    testing::Values(
        Bad{"Kind", kThree + "topology: {kind: ring}\n", 7, 18,
            "circle, star, all-to-all or links"},
        Bad{"KindMistyped", kThree + "topology: {kind: cicrle}\n", 7, 18, "cannot be `cicrle`",
            "circle"},
        Bad{"CircleWithoutOrder", kThree + "topology: {kind: circle}\n", 7, 1, "needs `order`"},
        Bad{"OrderMisses", kThree + "topology: {kind: circle, order: [lima, tokyo]}\n", 7, 26,
            "misses `paris`"},
        Bad{"OrderRepeats",
            kThree + "topology: {kind: circle, order: [lima, tokyo, paris, lima]}\n", 7, 54,
            "names `lima` twice"},
        Bad{"OrderUnknown", kThree + "topology: {kind: circle, order: [lima, tokio, paris]}\n", 7,
            40, "`tokio` is not a datacenter", "tokyo"},
        Bad{"OrderIsAWord", kThree + "topology: {kind: circle, order: lima}\n", 7, 33,
            "must be a list"},
        Bad{"OrderOfLists", kThree + "topology: {kind: circle, order: [lima, [tokyo], paris]}\n", 7,
            40, "must be a word; this is a list"},
        Bad{"HubMissing", kThree + "topology: {kind: star}\n", 7, 1, "needs `hub`"},
        Bad{"HubUnknown", kThree + "topology: {kind: star, hub: pars}\n", 7, 29, "not a datacenter",
            "paris"},
        Bad{"BackupIsHub", kThree + "topology: {kind: star, hub: lima, backup_hub: lima}\n", 7, 47,
            "the hub itself"},
        Bad{"HubUnderCircle",
            kThree + "topology: {kind: circle, order: [lima, tokyo, paris], hub: lima}\n", 7, 55,
            "belongs to kind star; this topology is of kind circle"},
        Bad{"BothWaysUnderStar", kThree + "topology: {kind: star, hub: lima, both_ways: true}\n", 7,
            35, "belongs to kind circle"},
        Bad{"LinksUnderMesh", kThree + "topology: {kind: all-to-all, links: [[lima, paris]]}\n", 7,
            30, "belongs to kind links"},
        Bad{"LinksMissing", kThree + "topology: {kind: links}\n", 7, 1, "needs `links`"},
        Bad{"LinkToUnknown",
            kThree +
                "topology:\n  kind: links\n  links:\n    - [lima, paris]\n    - [lima, toyko]\n",
            11, 14, "`toyko` is not a datacenter", "tokyo"},
        Bad{"LinkToItself", kThree + "topology: {kind: links, links: [[lima, lima]]}\n", 7, 40,
            "linked with itself"},
        Bad{"LinkTwice",
            kThree +
                "topology: {kind: links, links: [[lima, paris], [tokyo, lima], [paris, lima]]}\n",
            7, 63, "linked twice"},
        Bad{"LinkOfThree", kThree + "topology: {kind: links, links: [[lima, paris, tokyo]]}\n", 7,
            33, "list of two"},
        Bad{"NotConnected", kThree + "topology: {kind: links, links: [[lima, paris]]}\n", 7, 25,
            "no links lead from `tokyo` to `paris`, `lima`: "}),
    name_of);

std::string dc(const std::string& name, const std::string& peers, const std::string& clients,
               const std::string& more = "") {
  return "  " + name + ": {peers: '" + peers + "', clients: '" + clients + "'" + more + "}\n";
}

INSTANTIATE_TEST_SUITE_P(
    Datacenters, BadFile,
    testing::Values(
        Bad{"None", "datacenters: {}\n" + kHead.substr(0, kHead.size() - 13), 1, 1, "lists none"},
        Bad{"Name", kHead + dc("Tokyo", "ws://localhost:1", "localhost:2"), 5, 3,
            "cannot be a name"},
        Bad{"NameBeginsWithDash", kHead + dc("-a", "ws://localhost:1", "localhost:2"), 5, 3,
            "cannot be a name"},
        Bad{"LongName", kHead + dc(std::string(64, 'a'), "ws://localhost:1", "localhost:2"), 5, 3,
            "cannot be a name"},
        Bad{"NoPeers", kHead + "  a: {clients: 'localhost:1'}\n", 5, 3, "needs `peers`"},
        Bad{"NoClients", kHead + "  a: {peers: 'ws://localhost:1'}\n", 5, 3, "needs `clients`"},
        Bad{"Tls", kHead + dc("a", "wss://localhost:1", "localhost:2"), 5, 14,
            "wss:// needs TLS: write `security: {tls:", "ws://localhost:1"},
        Bad{"Scheme", kHead + dc("a", "tcp://localhost:1", "localhost:2"), 5, 14, "not a scheme",
            "ws://localhost:1"},
        Bad{"ClientsScheme", kHead + dc("a", "ws://localhost:1", "http://localhost:2"), 5, 43,
            "leave `http://` out", "localhost:2"},
        Bad{"NoPort", kHead + dc("a", "ws://localhost", "localhost:2"), 5, 14, "no port"},
        Bad{"Ipv6WithoutPort", kHead + dc("a", "ws://[::1]", "localhost:2"), 5, 14, "no port"},
        Bad{"PortTooLarge", kHead + dc("a", "ws://localhost:65536", "localhost:2"), 5, 14,
            "not a port"},
        Bad{"PortNegative", kHead + dc("a", "ws://localhost:-1", "localhost:2"), 5, 14,
            "not a port"},
        Bad{"AddressCut", kHead + dc("a", "ws://127.0.1:1", "localhost:2"), 5, 14, "not a host"},
        Bad{"HostWithPath", kHead + dc("a", "ws://localhost/x:1", "localhost:2"), 5, 14,
            "not a host"},
        Bad{"NotLoopback", kHead + dc("a", "ws://localhost:1", "0.0.0.0:8080"), 5, 43,
            "`0.0.0.0` is not on loopback"},
        Bad{"NotLoopbackName", kHead + dc("a", "ws://fra.example.com:1", "localhost:2"), 5, 14,
            "not on loopback"},
        Bad{"NotLoopbackButLooksLikeIt", kHead + dc("a", "ws://127.example.com:1", "localhost:2"),
            5, 14, "not on loopback"},
        Bad{"SamePort",
            kHead + dc("a", "ws://127.0.0.1:1", "127.0.0.1:2") +
                dc("b", "ws://localhost:2", "127.0.0.1:3"),
            6, 14, "port 2 on 127.0.0.1 is taken already by `clients` of a"},
        Bad{"PriorityIsAWord", kHead + dc("a", "ws://[::1]:1", "[::1]:2", ", priority: high"), 5,
            60, "not a whole number"},
        Bad{"PriorityTooLarge",
            kHead + dc("a", "ws://[::1]:1", "[::1]:2", ", priority: 99999999999999999999"), 5, 60,
            "not a whole number"},
        Bad{"KeySlotTooLarge", kHead + dc("a", "ws://[::1]:1", "[::1]:2", ", key_slot: 256"), 5, 60,
            "from 0 to 255"},
        Bad{"SameKeySlot",
            kHead + dc("a", "ws://[::1]:1", "[::1]:2", ", key_slot: 7") +
                dc("b", "ws://[::1]:3", "[::1]:4", ", key_slot: 7"),
            6, 3, "b and a both have key slot 7", "key_slot: 0"},
        Bad{"Postgres", kHead + dc("a", "ws://[::1]:1", "[::1]:2", ", database: {kind: postgres}"),
            5, 67, "not in this version"},
        Bad{"DatabaseKind",
            kHead + dc("a", "ws://[::1]:1", "[::1]:2", ", database: {kind: sqllite}"), 5, 67,
            "cannot be `sqllite`", "sqlite"},
        Bad{"MemoryWithPath",
            kHead + dc("a", "ws://[::1]:1", "[::1]:2", ", database: {kind: memory, path: x}"), 5,
            75, "has no `path`"},
        Bad{"UnknownKeyOfOne", kHead + dc("a", "ws://[::1]:1", "[::1]:2", ", client: x"), 5, 50,
            "datacenter `a`", "clients"},
        Bad{"SchemaLeader", kMesh + "schema_leader: limo\n", 8, 16, "not a datacenter", "lima"}),
    name_of);

const std::string kNoSecurity = kMesh.substr(0, 14) + kMesh.substr(kMesh.find("datacenters"));

INSTANTIATE_TEST_SUITE_P(
    Security, BadFile,
    testing::Values(
        Bad{"Missing", kNoSecurity, 1, 1, "security: {insecure: true}"},
        Bad{"Empty", kNoSecurity + "security:\n", 7, 1, "insecure: true"},
        Bad{"NotInsecure", kNoSecurity + "security: {insecure: false}\n", 7, 12,
            "say how this gateway is protected"},
        Bad{"DeniedWithoutTls", kNoSecurity + "security: {insecure: true, denied: [abc]}\n", 7, 28,
            "`denied` goes with `tls`"},
        Bad{"TokensWithoutKeys", kNoSecurity + "security: {insecure: true, tokens: {revoked: a}}\n",
            7, 28, "needs `keys`"},
        Bad{"TokensOfNoKey", kNoSecurity + "security: {insecure: true, tokens: {keys: []}}\n", 7,
            37, "1 to 16 files"},
        Bad{"TokensUnknown",
            kNoSecurity + "security: {insecure: true, tokens: {keys: [a], file: b}}\n", 7, 48,
            "not a key of `tokens`"},
        Bad{"OriginWithAPath",
            kNoSecurity + "security: {insecure: true, cors: [https://a.example/x]}\n", 7, 35,
            "is not an origin"}),
    name_of);

TEST(Loader, ReportsAllProblemsTogetherInTheFilesOrder) {
  const auto result = load(
      "cluster: Shop\n"
      "topology:\n"
      "  kind: circle\n"
      "  order: [tokyo, pariss]\n"
      "  hub: tokyo\n"
      "datacenters:\n"
      "  tokyo: {peers: 'ws://127.0.0.1:1', clients: '127.0.0.1:1'}\n"
      "  paris: {peers: 'ws://127.0.0.1:3', client: '127.0.0.1:4'}\n"
      "conflicts: {policy: lwv}\n"
      "security: {insecure: true}\n"
      "limits: {idle_timeout: 60}\n");
  std::vector<int> lines;
  for (const auto& problem : result.problems) lines.push_back(problem.line);
  EXPECT_EQ(lines, (std::vector{1, 4, 5, 7, 8, 8, 9, 11})) << all(result);
}

TEST(Loader, ReportsAnAliasBesideItsAnchor) {
  EXPECT_EQ(load(kMesh + "schema: &x a\nschema_leader: *x\n").problems.size(), 2u);
}

TEST(Loader, CountsProblemsPastTheHundredth) {
  std::string yaml = kMesh + "limits:\n";
  for (int i = 0; i < 250; ++i) yaml += "  x" + std::to_string(i) + ": 1\n";
  const auto result = load(yaml);
  ASSERT_EQ(result.problems.size(), 101u);
  EXPECT_EQ(result.problems.back().text, "and 150 more: fix these first");
}

TEST(Loader, TakesDefaultsForWhatTheFileLeavesOut) {
  const Config config = loaded(kMesh);
  EXPECT_EQ(config.cluster, "shop");
  EXPECT_EQ(config.schema_leader, "tokyo");
  EXPECT_EQ(config.schema_path, "");
  EXPECT_TRUE(config.topology.reroute);
  EXPECT_EQ(config.topology.failover_after, 3s);
  EXPECT_EQ(config.max_clock_drift, 10s);
  EXPECT_EQ(config.rules.defaults, TableRules{});
  EXPECT_EQ(config.limits.body_bytes, 16u << 20);
  ASSERT_NE(config.find("paris"), nullptr);
  EXPECT_EQ(config.find("paris")->database_kind, "sqlite");
  EXPECT_EQ(config.find("paris")->database_path, "");
  EXPECT_EQ(config.find("berlin"), nullptr);
}

TEST(Loader, ReadsEveryKey) {
  const Config config = loaded(
      "cluster: ${NAME}\n"
      "topology: {kind: star, hub: a, backup_hub: b, reroute: false, failover_after: 500ms}\n"
      "datacenters:\n"
      "  a:\n"
      "    peers: ws://[::1]:${PORT}\n"
      "    clients: 127.9.9.9:0\n"
      "    priority: \"${RANK:-30}\"\n"
      "    database: {kind: sqlite, path: ../a.db}\n"
      "  b: {peers: 'localhost:7002', clients: 'localhost:7003', priority: -2,\n"
      "      database: {kind: memory}}\n"
      "conflicts: {policy: priority, run: write, granularity: row, blind: sibling}\n"
      "changes: {old_values: true}\n"
      "keys: {numbering: interleaved}\n"
      "tables:\n"
      "  carts: {policy: siblings, run: read, blind: require, old_values: false}\n"
      "  stock: {granularity: column, numbering: time, columns: {price: {policy: lww}}}\n"
      "  audit: {replicate: false}\n"
      "security: {insecure: true}\n"
      "schema: sql/schema.sql\n"
      "schema_leader: b\n"
      "clock: {max_drift: 1m}\n"
      "limits: {streams: 7, body_bytes: 1MiB, idle_timeout: 2h}\n");
  EXPECT_EQ(config.cluster, "shop");
  EXPECT_EQ(config.topology.kind, TopologyKind::kStar);
  EXPECT_EQ(config.topology.hub, "a");
  EXPECT_EQ(config.topology.backup_hub, "b");
  EXPECT_FALSE(config.topology.reroute);
  EXPECT_EQ(config.topology.failover_after, 500ms);
  ASSERT_EQ(config.datacenters.size(), 2u);
  EXPECT_EQ(config.datacenters[0].peers, (Endpoint{"::1", 7000, false}));
  EXPECT_EQ(config.datacenters[0].clients, (Endpoint{"127.9.9.9", 0, false}));
  EXPECT_EQ(config.datacenters[0].priority, 30);
  EXPECT_EQ(config.datacenters[0].database_path, "/etc/a.db");
  EXPECT_EQ(config.datacenters[1].peers, (Endpoint{"localhost", 7002, false}));
  EXPECT_EQ(config.datacenters[1].database_kind, "memory");
  EXPECT_EQ(config.rules.priorities.at("a"), 30);
  EXPECT_EQ(config.rules.priorities.at("b"), -2);
  EXPECT_TRUE(config.rules.defaults.old_values && config.rules.tables.at("stock").old_values);
  EXPECT_FALSE(config.rules.tables.at("carts").old_values);
  EXPECT_EQ(config.rules.defaults.numbering, Numbering::kInterleaved);
  EXPECT_EQ(config.rules.tables.at("carts").numbering, Numbering::kInterleaved);
  EXPECT_EQ(config.rules.tables.at("stock").numbering, Numbering::kTime);
  EXPECT_TRUE(config.insecure);
  EXPECT_EQ(config.schema_path, "/etc/entente/sql/schema.sql");
  EXPECT_EQ(config.schema_leader, "b");
  EXPECT_EQ(config.max_clock_drift, 1min);
  EXPECT_EQ(config.limits.streams, 7u);
  EXPECT_EQ(config.limits.body_bytes, 1u << 20);
  EXPECT_EQ(config.limits.idle_timeout, 2h);
}

TEST(Loader, MergesTablesOverTheDefaults) {
  const Config config = loaded(kMesh +
                               "conflicts: {policy: priority, granularity: row, blind: sibling}\n"
                               "tables:\n"
                               "  carts: {policy: siblings}\n"
                               "  stock: {columns: {price: {policy: lww}}}\n"
                               "  audit: {replicate: false}\n");
  TableRules carts = config.rules.defaults;
  carts.policy.kind = PolicyKind::kSiblings;
  TableRules stock = config.rules.defaults;
  stock.columns["price"] = Policy{};
  TableRules audit = config.rules.defaults;
  audit.replicate = false;
  EXPECT_EQ(config.rules.defaults.policy.kind, PolicyKind::kPriority);
  EXPECT_EQ(config.rules.of("carts"), carts);
  EXPECT_EQ(config.rules.of("stock"), stock);
  EXPECT_EQ(config.rules.of("audit"), audit);
  EXPECT_EQ(config.rules.of("others"), config.rules.defaults);
}

TEST(Loader, AcceptsOneDatacenterUnderEveryKind) {
  const std::string head =
      "cluster: one\nsecurity: {insecure: true}\n"
      "datacenters: {a: {peers: 'ws://localhost:0', clients: 'localhost:0'}}\n";
  for (const std::string topology :
       {"{kind: circle, order: [a]}", "{kind: star, hub: a}", "{kind: all-to-all}", "{kind: links}",
        "{kind: links, links: []}"}) {
    EXPECT_TRUE(load(head + "topology: " + topology + "\n").config.has_value()) << topology;
  }
}

TEST(Loader, AcceptsPortZeroManyTimesAndWindowsLineEnds) {
  std::string yaml = "\xEF\xBB\xBF" + kHead + dc("a", "ws://localhost:0", "localhost:0") +
                     dc("b", "ws://localhost:0", "localhost:0");
  for (size_t at = 0; (at = yaml.find('\n', at)) != std::string::npos; at += 2) {
    yaml.insert(at, "\r");
  }
  EXPECT_EQ(loaded(yaml).datacenters.size(), 2u);
}

TEST(Render, PointsAtTheProblem) {
  const std::string yaml = "cluster: shop\nregion: {\"é\": café, polcy: lww}\n";
  const Problem problem{2, 22, "`polcy` is not a key", "policy"};
  EXPECT_EQ(render(problem, "shop.yaml", yaml),
            "shop.yaml:2:22: `polcy` is not a key\n"
            " 2 | region: {\"é\": café, polcy: lww}\n"
            "   |                      ^\n"
            "  did you mean `policy`?\n");
}

TEST(Render, ShowsAPieceOfALongLineAndNoControlCharacters) {
  const std::string yaml = std::string(5000, 'x') + "\x1b[2J" + std::string(5000, 'y');
  const std::string text = render({1, 5001, "bad", ""}, "f", yaml);
  EXPECT_LT(text.size(), 300u);
  EXPECT_NE(text.find("x?[2Jy"), std::string::npos) << text;
}

TEST(Render, NamesOnlyTheFileWhenTheProblemHasNoPlace) {
  EXPECT_EQ(render({0, 0, "the file is empty", ""}, "f.yaml", ""), "f.yaml: the file is empty\n");
}

}  // namespace
}  // namespace entente
