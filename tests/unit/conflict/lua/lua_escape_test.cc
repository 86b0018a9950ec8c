// Ways out of the sandbox and past its budgets; none leads anywhere.

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/unit/conflict/lua/support.h"

namespace entente {
namespace {

Result<Decision> ran(const std::string& body) {
  return decided("function resolve(c) " + body + " return {keep = true} end");
}

class Budget : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Budget, StopsIt) {
  const auto decision = ran(GetParam().second);
  ASSERT_FALSE(decision);
  EXPECT_EQ(decision.error().tag, "budget") << decision.error().text;
  EXPECT_NE(decision.error().text.find("used up its budget of"), std::string::npos);
}

const std::pair<const char*, const char*> kBombs[] = {
    {"endless_loop", "while true do end"},
    {"endless_recursion", "local function f() return f() end f()"},
    {"deep_recursion", "local function f(n) return 1 + f(n) end f(1)"},
    {"repetition", "local s = ('x'):rep(1 << 40)"},
    {"repetition_of_separators", "local s = (''):rep(1 << 40, ',')"},
    {"doubling", "local s = 'x' while true do s = s .. s end"},
    {"tables", "local t = {} while true do t[#t + 1] = {} end"},
    {"one_large_table", "local t = {} for i = 1, 1e9 do t[i] = i end"},
    {"closures", "local t = {} for i = 1, 1e9 do t[i] = function() return i end end"},
    {"comparing_long_text",
     "local s, u = ('x'):rep(500000), ('x'):rep(500000) for i = 1, 1e9 do local b = s == u end"},
    {"ordering_long_text",
     "local s, u = ('x'):rep(500000), ('x'):rep(500000) for i = 1, 1e9 do local b = s < u end"},
    {"scanning_long_text", "local s = (' '):rep(500000) for i = 1, 1e9 do tonumber(s) end"},
    {"searching_long_text",
     "local s = ('a'):rep(500000) for i = 1, 1e9 do s:find(('a'):rep(999) .. 'b') end"},
    {"rehashing",
     "local t = {} for i = 1, 60000 do t['k' .. i] = i end "
     "for i = 1, 1e9 do t['a' .. i] = 1 t['a' .. i] = nil end"},
    {"rehashing_beside_an_array",
     "local t = {} for i = 1, 100000 do t[i] = 1 end "
     "for i = 1, 1e9 do t['a' .. i % 7] = 1 t['a' .. (i + 3) % 7] = nil end"},
    {"growing_arguments",
     "local function f(...) return f(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ...) end f()"},
    {"sorting_all_day",
     "local t = {} for i = 1, 10000 do t[i] = i end while true do table.sort(t) end"},
    {"pairs_all_day", "local t = {} for i = 1, 10000 do t[i] = i end while true do pairs(t) end"},
    {"joining_nothing",
     "local t = {} for i = 1, 10000 do t[i] = '' end while true do table.concat(t) end"},
    {"shifting",
     "local t = {} for i = 1, 10000 do t[i] = i end "
     "while true do table.insert(t, 1, 0) table.remove(t, 1) end"},
    {"unpacking", "local t = {} for i = 1, 250 do t[i] = i end while true do table.unpack(t) end"},
    {"json_that_doubles", "local t = {1} for i = 1, 60 do t = {t, t} end json.encode(t)"},
    {"json_of_much", "local s = '[' .. ('1,'):rep(400000) .. '1]' json.decode(s)"},
    {"merging_all_day",
     "local s = '[' .. ('1,'):rep(10000) .. '1]' while true do "
     "merge.union(s, s) end"},
    {"error_in_a_loop", "while true do assert(true) end"},
};

INSTANTIATE_TEST_SUITE_P(Bombs, Budget, ::testing::ValuesIn(kBombs),
                         [](const auto& named) { return named.param.first; });

TEST(Sandbox, WorksAfterEveryBomb) {
  TwoRows rows({}, {{"v", int64_t{1}}}, {{"v", int64_t{2}}});
  const auto handler = script(
      "function resolve(c) if c.siblings[1].row.v == 1 then while true do end end "
      "return {pick = 1} end");
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(handler->decide(rows.view()));
    TwoRows harmless({}, {{"v", int64_t{3}}}, {{"v", int64_t{2}}});
    EXPECT_TRUE(handler->decide(harmless.view()));
  }
}

TEST(Sandbox, StopsAtTheSameInstructionEveryTime) {
  TwoRows rows({}, {{"v", int64_t{1}}}, {{"v", int64_t{2}}});
  constexpr std::string_view kCount =
      "function resolve(c) local t = {} for i = 1, 1000 do t[i] = 'x' .. i end return {keep=true} "
      "end";
  uint64_t enough = 1000;
  while (!script(kCount, enough)->decide(rows.view())) enough += 100;
  EXPECT_GT(enough, 3000u);
  for (int fresh = 0; fresh < 5; ++fresh) {
    const auto less = script(kCount, enough - 100), just = script(kCount, enough);
    for (int again = 0; again < 20; ++again) {
      EXPECT_FALSE(less->decide(rows.view()));
      EXPECT_TRUE(just->decide(rows.view()));
    }
  }
}

TEST(Sandbox, OffersNothingThatReachesOut) {
  for (const std::string name : {"load",
                                 "loadstring",
                                 "loadfile",
                                 "dofile",
                                 "require",
                                 "package",
                                 "io",
                                 "os",
                                 "debug",
                                 "coroutine",
                                 "collectgarbage",
                                 "pcall",
                                 "xpcall",
                                 "setmetatable",
                                 "getmetatable",
                                 "rawset",
                                 "rawget",
                                 "rawequal",
                                 "rawlen",
                                 "next",
                                 "print",
                                 "warn",
                                 "utf8",
                                 "_G",
                                 "string.dump",
                                 "string.match",
                                 "string.gmatch",
                                 "string.gsub",
                                 "string.pack",
                                 "string.unpack",
                                 "math.random",
                                 "math.randomseed",
                                 "math.sin",
                                 "math.exp",
                                 "math.log",
                                 "table.move"}) {
    EXPECT_TRUE(ran("assert(" + name + " == nil)")) << name;
  }
}

TEST(Sandbox, FindTakesNoPatterns) {
  EXPECT_TRUE(ran("assert(('a+'):find('a+') == 1 and ('aa'):find('a+') == nil)"));
}

TEST(Sandbox, RunsNoBytecode) {
  const auto bytecode = load_lua("x.lua", "\x1bLua\x54", kInstructions, kMemory);
  ASSERT_FALSE(bytecode);
  EXPECT_NE(bytecode.error().text.find("binary"), std::string::npos) << bytecode.error().text;
}

TEST(Sandbox, LibrariesCannotBeChanged) {
  for (const std::string body :
       {"string.upper = 1", "math.pi = 3", "json.x = 1", "(''  ).x = 1", "table.insert(string, 1)",
        "table.insert(table, 1, 1)", "table.sort(math)", "json.array(string)"}) {
    EXPECT_FALSE(ran(body)) << body;
  }
  EXPECT_TRUE(ran("string = nil tostring = nil local s = ('x'):upper()"));
  EXPECT_TRUE(ran("assert(string.upper and tostring)"));
}

TEST(Sandbox, AnErrorEndsTheCallWhateverTheScriptDoes) {
  EXPECT_EQ(failure(ran("local x <close> = nil error('out')")), "declined test.lua:1: out");
  EXPECT_EQ(failure(ran("local x <close> = {}")),
            "failed test.lua:1: variable 'x' got a non-closable value");
}

TEST(Sandbox, TextIsNoNumberUntilItIsAsked) {
  EXPECT_FALSE(ran("local x = '1' | 0"));
  EXPECT_FALSE(ran("local x = '1' + 1"));
  EXPECT_TRUE(ran("assert(tonumber(' 1 ') == 1 and tonumber('x') == nil)"));
}

TEST(Sandbox, NestedSortsEndInAnError) {
  EXPECT_EQ(failure(ran("local t = {2, 1} local function less() table.sort(t, less) end "
                        "table.sort(t, less)")),
            "failed test.lua: C stack overflow");
}

TEST(Sandbox, ShowsNoAddresses) {
  EXPECT_TRUE(ran("assert(tostring({}) == 'table' and tostring(error) == 'function')"));
  EXPECT_TRUE(ran("assert(tostring(null) == 'null' and tostring(blob('')) == 'blob')"));
  EXPECT_FALSE(ran("string.format('%p', {})"));
  EXPECT_FALSE(ran("string.format('%-20p', 'x')"));
  EXPECT_FALSE(ran("string.format('%s', {})"));
  EXPECT_FALSE(ran("string.format('%s', null)"));
  EXPECT_FALSE(ran("for k in pairs({[{}] = 1}) do end"));
}

}  // namespace
}  // namespace entente
