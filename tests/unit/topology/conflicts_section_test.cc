#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "tests/unit/topology/file_support.h"

namespace entente {
namespace {

using namespace test;
namespace fs = std::filesystem;

// A folder with `cart.lua`, `geo.so` and a folder `folder`, made once for all cases.
const fs::path& folder() {
  static const fs::path made = [] {
    std::string name = (fs::temp_directory_path() / "entente-topology-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    for (const std::string file : {"cart.lua", "geo.so"}) std::ofstream(fs::path(name) / file);
    fs::create_directory(fs::path(name) / "folder");
    return fs::path(name);
  }();
  return made;
}

class RemovesTheFolder : public testing::Environment {
  void TearDown() override { fs::remove_all(folder()); }
};
const auto* const kRemovesTheFolder = testing::AddGlobalTestEnvironment(new RemovesTheFolder);

class BadRules : public testing::TestWithParam<Bad> {};

TEST_P(BadRules, AreReportedOnceAtTheirPlace) { expect_reported_once(GetParam(), folder()); }

// One table, and one column of it.
std::string table(const std::string& rules) {
  return kMesh + "handlers: {cart: {lua: cart.lua}}\ntables:\n  t: {" + rules + "}\n";
}
std::string column(const std::string& rules) { return table("columns: {c: {" + rules + "}}"); }
constexpr int kColumn = 21;  // where a column's rules begin, on line 10
std::string groups(const std::string& rules) { return table("groups: {" + rules + "}"); }

INSTANTIATE_TEST_SUITE_P(
    Policies, BadRules,
    testing::Values(
        Bad{"Unknown", kMesh + "conflicts: {policy: lwww}\n", 8, 21,
            "lww, priority, merge, counter, siblings or handler", "lww"},
        Bad{"MergeMissing", column("policy: merge"), 10, 17, "needs `merge`, as in `merge: union`"},
        Bad{"MergeUnknown", column("policy: merge, merge: unoin"), 10, kColumn + 22,
            "concat, union, json, text, min or max", "union"},
        Bad{"MergeWithoutPolicyMerge", column("policy: lww, merge: union"), 10, kColumn + 13,
            "`merge` belongs to policy merge, and this one is lww"},
        Bad{"MergeOverInheritedLww", table("merge: union"), 10, 7, "`merge` belongs to policy"},
        Bad{"SeparatorOfUnion", column("policy: merge, merge: union, separator: x"), 10,
            kColumn + 29, "`separator` belongs to `merge: concat`"},
        Bad{"SeparatorOfLww", column("policy: lww, separator: x"), 10, kColumn + 13,
            "`separator` belongs to"},
        Bad{"SeparatorIsAList", column("policy: merge, merge: concat, separator: [x]"), 10,
            kColumn + 41, "must be text; this is a list"},
        Bad{"SeparatorTooLong",
            column("policy: merge, merge: concat, separator: " + std::string(256, 'x')), 10,
            kColumn + 41, "longer than 255 bytes"},
        Bad{"MarkersOfJson", column("policy: merge, merge: json, markers: true"), 10, kColumn + 28,
            "`markers` belongs to `merge: text`"},
        Bad{"MarkersIsNoFlag", column("policy: merge, merge: text, markers: yes"), 10, kColumn + 37,
            "neither true nor false", "true"},
        Bad{"HandlerMissing", column("policy: handler"), 10, 17, "needs `handler`"},
        Bad{"HandlerUnknown", column("policy: handler, handler: crat"), 10, kColumn + 26,
            "`crat` is not defined under `handlers`", "cart"},
        Bad{"HandlerWithoutAnyDefined", kMesh + "conflicts: {policy: handler, handler: x}\n", 8, 39,
            "`x` is not defined under `handlers`"},
        Bad{"HandlerWithoutPolicyHandler", table("handler: cart"), 10, 7,
            "`handler` belongs to policy handler, and this one is lww"},
        Bad{"RunUnknown", kMesh + "conflicts: {run: wirte}\n", 8, 18, "write or read", "write"},
        Bad{"RunReadOfLww", table("run: read"), 10, 7,
            "policy lww decides when a conflict arrives"},
        Bad{"RunReadOfPriority", table("policy: priority, run: read"), 10, 25, "policy priority"},
        Bad{"RunReadOfCounter", column("policy: counter, run: read"), 10, kColumn + 17,
            "policy counter"},
        Bad{"RunReadOfUnion", column("policy: merge, merge: union, run: read"), 10, kColumn + 29,
            "policy merge: union decides"},
        Bad{"RunWriteOfSiblings", kMesh + "conflicts: {policy: siblings, run: write}\n", 8, 31,
            "policy siblings leaves"},
        Bad{"Home", table("home: tokyo"), 10, 7, "not in this version"},
        Bad{"HomeOfAColumn", column("policy: lww, home: tokyo"), 10, kColumn + 13,
            "not in this version"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Tables, BadRules,
    testing::Values(
        Bad{"Granularity", kMesh + "conflicts: {granularity: cell}\n", 8, 26, "row or column"},
        Bad{"GranularityOfAHandler", table("policy: handler, handler: cart, granularity: column"),
            10, 39, "sees whole rows"},
        Bad{"Blind", kMesh + "conflicts: {blind: required}\n", 8, 20,
            "supersede, sibling or require", "require"},
        Bad{"DeleteUpdate", table("delete_update: deletewins"), 10, 22,
            "policy, delete_wins or update_wins", "delete_wins"},
        Bad{"Unique", table("unique: frist"), 10, 15, "first or last", "first"},
        Bad{"Orphans", table("orphans: show"), 10, 16, "keep or hide"},
        Bad{"ReplicateAsDefault", kMesh + "conflicts: {replicate: false}\n", 8, 13,
            "belongs to a table"},
        Bad{"GroupsAsDefault", kMesh + "conflicts: {groups: {}}\n", 8, 13, "belongs to a table"},
        Bad{"OldValuesOfALocalTable", table("replicate: false, old_values: true"), 10, 25,
            "means nothing"},
        Bad{"OldValuesAmongConflicts", kMesh + "conflicts: {old_values: true}\n", 8, 13,
            "belongs to a table"},
        Bad{"Numbering", kMesh + "keys: {numbering: small}\n", 8, 19, "time or interleaved"},
        Bad{"NumberingAmongConflicts", kMesh + "conflicts: {numbering: time}\n", 8, 13,
            "belongs to a table"},
        Bad{"PolicyOfALocalTable", table("replicate: false, policy: lww"), 10, 25, "means nothing"},
        Bad{"UniqueOfALocalTable", table("replicate: false, unique: last"), 10, 25,
            "means nothing"},
        Bad{"GroupsOfALocalTable", table("replicate: false, groups: {}"), 10, 25, "means nothing"},
        Bad{"ColumnWithoutPolicy", table("columns: {a: {}}"), 10, 17, "needs `policy`"},
        Bad{"ColumnWithMergeAlone", column("merge: union"), 10, 17, "needs `policy`"},
        Bad{"ColumnIsAWord", table("columns: {a: lww}"), 10, 20, "must be a mapping"},
        Bad{"ColumnsDifferByCase", table("columns: {a: {policy: lww}, A: {policy: lww}}"), 10, 35,
            "the same column"},
        Bad{"TablesDifferByCase", kMesh + "tables:\n  Carts: {}\n  carts: {}\n", 10, 3,
            "case is ignored"},
        Bad{"ReservedTable", kMesh + "tables:\n  _Entente_log: {}\n", 9, 3,
            "belongs to the database itself"}),
    name_of);

constexpr int kGroups = 16;  // where the first group begins, on line 10

INSTANTIATE_TEST_SUITE_P(
    Groups, BadRules,
    testing::Values(
        Bad{"WithoutColumns", groups("g: {policy: lww}"), 10, kGroups, "needs `columns`"},
        Bad{"WithoutPolicy", groups("g: {columns: [a, b]}"), 10, kGroups, "needs `policy`"},
        Bad{"OfOneColumn", groups("g: {columns: [a], policy: lww}"), 10, kGroups + 4,
            "at least two columns"},
        Bad{"OfOneColumnTwice", groups("g: {columns: [a, a], policy: lww}"), 10, kGroups + 17,
            "stands in this group twice"},
        Bad{"TwoGroupsOfOneColumn",
            groups("g: {columns: [a, b], policy: lww}, h: {columns: [c, B], policy: lww}"), 10,
            kGroups + 52, "`B` stands in group `g` already"},
        Bad{"AColumnOfItsOwn",
            table("columns: {a: {policy: lww}}, groups: {g: {columns: [a, b], policy: lww}}"), 10,
            59, "`a` stands in `columns` already"},
        Bad{"NamedLikeItsColumn", groups("A: {columns: [a, b], policy: lww}"), 10, kGroups,
            "has the name of a column"},
        Bad{"NamedLikeALaterGroupsColumn",
            groups("c: {columns: [a, b], policy: lww}, h: {columns: [c, d], policy: lww}"), 10,
            kGroups, "has the name of a column"},
        Bad{"NamedLikeAnOwnColumn",
            table("columns: {g: {policy: lww}}, groups: {g: {columns: [a, b], policy: lww}}"), 10,
            45, "has the name of a column"},
        Bad{"NamedStar", groups("'*': {columns: [a, b], policy: lww}"), 10, kGroups,
            "cannot be a group's name"},
        Bad{"NamedNothing", groups("'': {columns: [a, b], policy: lww}"), 10, kGroups,
            "a key must be a word"},
        Bad{"Counter", groups("g: {columns: [a, b], policy: counter}"), 10, kGroups + 21,
            "one column at a time"},
        Bad{"Union", groups("g: {columns: [a, b], policy: merge, merge: union}"), 10, kGroups + 21,
            "policy merge: union counts for one column"},
        Bad{"ColumnsIsAWord", groups("g: {columns: a, policy: lww}"), 10, kGroups + 13,
            "must be a list"},
        Bad{"UnknownKey", groups("g: {columns: [a, b], policy: lww, granularity: row}"), 10,
            kGroups + 34, "not a key of group `g`"}),
    name_of);

std::string handler(const std::string& source) {
  return kMesh + "handlers:\n  h: {" + source + "}\n";
}

INSTANTIATE_TEST_SUITE_P(
    Handlers, BadRules,
    testing::Values(
        Bad{"Neither", handler(""), 9, 3, "`lua: handlers/cart.lua` or `plugin: handlers/cart.so`"},
        Bad{"Both", handler("lua: cart.lua, plugin: geo.so"), 9, 7, "either `lua` or `plugin`"},
        Bad{"Missing", handler("lua: crat.lua"), 9, 12, "`crat.lua`: there is no file /"},
        Bad{"AFolder", handler("plugin: folder"), 9, 15, "`folder` is not a file"},
        Bad{"Name", kMesh + "handlers:\n  My Cart: {lua: cart.lua}\n", 9, 3, "cannot be a name"},
        Bad{"IsAWord", kMesh + "handlers: {h: cart.lua}\n", 8, 15, "must be a mapping"},
        Bad{"AreAList", kMesh + "handlers: [cart.lua]\n", 8, 11, "must be a mapping"},
        Bad{"UnknownKey", handler("lua: cart.lua, memry: 1MiB"), 9, 22, "not a key of handler `h`",
            "memory"},
        Bad{"TooFewInstructions", handler("lua: cart.lua, instructions: 999"), 9, 36,
            "from 1000 to 1000000000"},
        Bad{"TooManyInstructions", handler("lua: cart.lua, instructions: 1000000001"), 9, 36,
            "from 1000 to 1000000000"},
        Bad{"TooLittleMemory", handler("lua: cart.lua, memory: 63KiB"), 9, 30,
            "from 64KiB to 1GiB"},
        Bad{"TooMuchMemory", handler("plugin: geo.so, memory: 2GiB"), 9, 31, "from 64KiB to 1GiB"},
        Bad{"TooLittleTime", handler("plugin: geo.so, time: 9ms"), 9, 29, "from 10ms to 1m"},
        Bad{"TooMuchTime", handler("plugin: geo.so, time: 61s"), 9, 29, "from 10ms to 1m"},
        Bad{"InstructionsOfAPlugin", handler("plugin: geo.so, instructions: 5000"), 9, 23,
            "belongs to Lua scripts"},
        Bad{"TimeOfLua", handler("lua: cart.lua, time: 1s"), 9, 22, "belongs to plug-ins"},
        Bad{"HashOfLua", handler("lua: cart.lua, sha256: aa"), 9, 22, "belongs to plug-ins"},
        Bad{"TrustedLua", handler("lua: cart.lua, trusted: true"), 9, 22, "belongs to plug-ins"},
        Bad{"ConfigOfLua", handler("lua: cart.lua, config: {}"), 9, 22, "belongs to plug-ins"},
        Bad{"ShortHash", handler("plugin: geo.so, sha256: " + std::string(63, 'a')), 9, 31,
            "64 hex digits"},
        Bad{"NoHash", handler("plugin: geo.so, sha256: " + std::string(64, 'g')), 9, 31,
            "64 hex digits"},
        Bad{"ConfigIsAWord", handler("plugin: geo.so, config: fast"), 9, 31,
            "must be a mapping of keys to values"}),
    name_of);

// ---- What good files mean ----------------------------------------------------------------------

TEST(ConflictsSection, ReadsEveryPolicyWithItsOptions) {
  const Config config =
      loaded(kMesh +
                 "handlers: {cart: {lua: cart.lua}}\n"
                 "tables:\n"
                 "  t:\n"
                 "    delete_update: update_wins\n"
                 "    unique: last\n"
                 "    orphans: hide\n"
                 "    blind: require\n"
                 "    columns:\n"
                 "      a: {policy: merge, merge: concat, separator: ''}\n"
                 "      b: {policy: merge, merge: union, run: write}\n"
                 "      c: {policy: merge, merge: json, run: read}\n"
                 "      d: {policy: merge, merge: text, markers: true}\n"
                 "      e: {policy: merge, merge: min}\n"
                 "      f: {policy: merge, merge: max}\n"
                 "      g: {policy: counter}\n"
                 "      h: {policy: siblings, run: read}\n"
                 "      i: {policy: handler, handler: cart, run: read}\n"
                 "    groups:\n"
                 "      place: {columns: [lat, lon], policy: priority}\n"
                 "      cart: {columns: [x, y, z], policy: handler, handler: cart}\n",
             folder());
  const TableRules& t = config.rules.of("t");
  EXPECT_EQ(t.delete_update, DeleteUpdate::kUpdateWins);
  EXPECT_EQ(t.unique, UniqueWins::kLast);
  EXPECT_EQ(t.orphans, Orphans::kHide);
  EXPECT_EQ(t.blind, Blind::kRequire);
  ASSERT_EQ(t.columns.size(), 9u);
  EXPECT_EQ(t.columns.at("a").merge, MergeKind::kConcat);
  EXPECT_EQ(t.columns.at("a").separator, "");
  EXPECT_TRUE(t.columns.at("b").is_set());
  EXPECT_EQ(t.columns.at("c").merge, MergeKind::kJson);
  EXPECT_EQ(t.columns.at("c").run, RunWhen::kRead);
  EXPECT_EQ(t.columns.at("d").merge, MergeKind::kText);
  EXPECT_TRUE(t.columns.at("d").markers);
  EXPECT_EQ(t.columns.at("e").merge, MergeKind::kMin);
  EXPECT_EQ(t.columns.at("f").merge, MergeKind::kMax);
  EXPECT_TRUE(t.columns.at("g").is_counter());
  EXPECT_EQ(t.columns.at("h").kind, PolicyKind::kSiblings);
  EXPECT_EQ(t.columns.at("i").handler, "cart");
  EXPECT_EQ(t.columns.at("i").run, RunWhen::kRead);
  ASSERT_EQ(t.groups.size(), 2u);
  EXPECT_EQ(t.groups.at("place").columns, (std::vector<std::string>{"lat", "lon"}));
  EXPECT_EQ(t.groups.at("place").policy.kind, PolicyKind::kPriority);
  EXPECT_EQ(t.groups.at("cart").policy.handler, "cart");
}

TEST(ConflictsSection, SiblingsAreTheSameWhetherTheFileSaysWhenOrNot) {
  EXPECT_EQ(loaded(kMesh + "conflicts: {policy: siblings, run: read}\n").rules.defaults,
            loaded(kMesh + "conflicts: {policy: siblings}\n").rules.defaults);
}

TEST(ConflictsSection, ATableKeepsTheInheritedPolicyAndChangesItsOptions) {
  const Config config = loaded(kMesh +
                               "conflicts: {policy: merge, merge: text, run: read}\n"
                               "tables:\n"
                               "  marked: {markers: true}\n"
                               "  joined: {merge: concat}\n"
                               "  now: {run: write}\n"
                               "  new: {policy: merge, merge: text}\n");
  EXPECT_TRUE(config.rules.of("marked").policy.markers);
  EXPECT_EQ(config.rules.of("marked").policy.run, RunWhen::kRead);
  EXPECT_EQ(config.rules.of("joined").policy.merge, MergeKind::kConcat);
  EXPECT_EQ(config.rules.of("joined").policy.run, RunWhen::kWrite);
  EXPECT_EQ(config.rules.of("now").policy.run, RunWhen::kWrite);
  EXPECT_EQ(config.rules.of("new").policy.run, RunWhen::kWrite);
}

TEST(ConflictsSection, AHandlerOfATableSeesWholeRowsAndThatIsNotInherited) {
  const Config config = loaded(kMesh +
                                   "handlers: {cart: {lua: cart.lua}}\n"
                                   "conflicts: {policy: handler, handler: cart}\n"
                                   "tables:\n"
                                   "  by_column: {policy: lww}\n"
                                   "  by_handler: {columns: {n: {policy: counter}}}\n",
                               folder());
  EXPECT_EQ(config.rules.defaults.granularity, Granularity::kRow);
  EXPECT_EQ(config.rules.of("by_handler").granularity, Granularity::kRow);
  EXPECT_EQ(config.rules.of("by_column").granularity, Granularity::kColumn);
}

TEST(ConflictsSection, ReadsHandlersWithTheirBudgets) {
  const std::string hash = "ABCDEF" + std::string(58, '0');
  const Config config = loaded(
      kMesh +
          "handlers:\n"
          "  small: {lua: ./folder/../cart.lua, instructions: 1000, memory: 64KiB}\n"
          "  plain: {lua: cart.lua}\n"
          "  geo: {plugin: geo.so, sha256: " +
          hash +
          ",\n"
          "        config: {b: [1, -0.5, x, '2'], a: {deep: true, none: ~, text: \"é\\\"\"}},\n"
          "        trusted: true, time: 60s, memory: 1GiB}\n"
          "  bare: {plugin: geo.so}\n",
      folder());
  const auto& handlers = config.rules.handlers;
  ASSERT_EQ(handlers.size(), 4u);
  EXPECT_EQ(handlers.at("small").kind, HandlerSource::Kind::kLua);
  EXPECT_EQ(handlers.at("small").path, (folder() / "cart.lua").string());
  EXPECT_EQ(handlers.at("small").instructions, 1000u);
  EXPECT_EQ(handlers.at("small").memory, 64u << 10);
  EXPECT_EQ(handlers.at("plain").instructions, 1'000'000u);
  EXPECT_EQ(handlers.at("plain").memory, 8u << 20);
  const auto& geo = handlers.at("geo");
  EXPECT_EQ(geo.kind, HandlerSource::Kind::kPlugin);
  EXPECT_EQ(geo.sha256, "abcdef" + std::string(58, '0'));
  EXPECT_EQ(geo.config, R"({"a":{"deep":true,"none":null,"text":"é\""},"b":[1,-0.5,"x","2"]})");
  EXPECT_TRUE(geo.trusted);
  EXPECT_EQ(geo.time_ms, 60'000u);
  EXPECT_EQ(geo.memory, 1u << 30);
  EXPECT_EQ(handlers.at("bare").config, "");
  EXPECT_FALSE(handlers.at("bare").trusted);
  EXPECT_EQ(handlers.at("bare").time_ms, 1'000u);
  EXPECT_EQ(handlers.at("bare").memory, 256u << 20);
}

TEST(ConflictsSection, KnowsWhereTheFileSaysWhat) {
  const auto result = load(kMesh +
                               "schema: schema.sql\n"
                               "conflicts: {policy: lww}\n"
                               "tables:\n"
                               "  t:\n"
                               "    columns:\n"
                               "      c: {policy: lww}\n"
                               "    groups: {g: {columns: [a, b], policy: lww}}\n"
                               "handlers:\n"
                               "  h: {lua: cart.lua}\n",
                           folder());
  ASSERT_TRUE(result.config) << all(result);
  EXPECT_EQ(result.places.schema, (FilePlace{8, 9}));
  EXPECT_EQ(result.places.defaults, (FilePlace{9, 1}));
  EXPECT_EQ(result.places.tables.at("t").table, (FilePlace{11, 3}));
  EXPECT_EQ(result.places.tables.at("t").parts.at("c"), (FilePlace{13, 7}));
  EXPECT_EQ(result.places.tables.at("t").parts.at("g"), (FilePlace{14, 14}));
  EXPECT_EQ(result.places.handlers.at("h"), (FilePlace{16, 3}));
}

}  // namespace
}  // namespace entente
