#include "conflict/lua/lua_handler.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

#include "tests/unit/conflict/lua/support.h"

namespace entente {
namespace {

using Kind = Decision::Kind;

TEST(LuaHandler, SeesEverythingAboutTheConflict) {
  TwoRows rows({{"v", int64_t{0}}}, {{"v", int64_t{1}}}, {{"v", int64_t{2}}});
  rows.view().group = "v";
  rows.view().siblings.push_back({"tokyo", Hlc::at(1002), nullptr});
  const auto handler = script(R"(
    function resolve(c)
      local s = c.siblings
      return {row = {v = table.concat({c.kind, c.table, c.column, c.key.id, c.base.v, #s,
          s[1].dc, s[1].hlc, s[1].time_ms, tostring(s[1].deleted), s[2].row.v,
          tostring(s[3].deleted), tostring(s[3].row)}, " ")}}
    end)");
  const auto decision = handler->decide(rows.view());
  ASSERT_TRUE(decision) << decision.error().text;
  EXPECT_EQ(std::get<std::string>(decision->row.at("v")),
            "update-update items v 7 0 3 frankfurt 1000.1 1000 false 2 true nil");
}

TEST(LuaHandler, HasNoColumnAndNoBaseWhereThereIsNone) {
  TwoRows rows({}, {{"v", int64_t{1}}}, {{"v", int64_t{2}}});
  rows.view().base = nullptr;
  const auto decision =
      script("function resolve(c) assert(c.base == nil and c.column == nil) return {keep=true} end")
          ->decide(rows.view());
  EXPECT_TRUE(decision) << decision.error().text;
}

TEST(LuaHandler, AnswersEachKindOfDecision) {
  EXPECT_EQ(decided("function resolve(c) return {pick = 2} end")->pick, 1u);
  EXPECT_EQ(decided("function resolve(c) return {pick = 2} end")->kind, Kind::kPick);
  EXPECT_EQ(decided("function resolve(c) return {delete = true} end")->kind, Kind::kDelete);
  EXPECT_EQ(decided("function resolve(c) return {keep = true} end")->kind, Kind::kKeep);
  EXPECT_EQ(decided("function resolve(c) return {hold = true} end")->kind, Kind::kHold);
  EXPECT_EQ(decided("function resolve(c) return {row = {v = 3}} end")->kind, Kind::kRow);
}

TEST(LuaHandler, ValuesComeBackExactlyAsTheyWent) {
  const std::vector<Value> values{Null(),
                                  int64_t{0},
                                  std::numeric_limits<int64_t>::min(),
                                  std::numeric_limits<int64_t>::max(),
                                  0.1,
                                  -0.0,
                                  3.0,
                                  std::numeric_limits<double>::infinity(),
                                  std::string(),
                                  std::string("a\0b", 3),
                                  std::string("7"),
                                  Blob{std::string("\0\xff", 2)},
                                  Blob{}};
  for (const auto& value : values) {
    EXPECT_TRUE(identical(computed("return a", value), value)) << describe(value);
  }
}

TEST(LuaHandler, TellsNullTextAndBlobsApart) {
  EXPECT_EQ(computed("return type(a) .. type(b)", Null(), Blob{"x"}), Value("nullblob"));
  EXPECT_EQ(computed("return tostring(a == blob('x')) .. #a .. a:text()", Blob{"x"}),
            Value("true1x"));
  EXPECT_TRUE(identical(computed("return blob('x')"), Blob{"x"}));
  EXPECT_EQ(computed("return tostring(a == null)", Null()), Value("true"));
}

TEST(LuaHandler, RefusesAnswersThatMeanNothing) {
  const std::vector<std::pair<std::string, std::string>> answers{
      {"return nil", "resolve returned a nil"},
      {"return 1", "resolve returned a number"},
      {"return {}", "an empty table"},
      {"return {pick = 0}", "pick is not the number"},
      {"return {pick = 1.5}", "pick is not the number"},
      {"return {delete = false}", "delete is not true"},
      {"return {row = 1}", "row is not a table"},
      {"return {row = {7}}", "whose name is not text"},
      {"return {row = {v = true}}", "column v is a boolean"},
      {"return {row = {v = {}}}", "column v is a table"},
      {"return {row = {v = 1}, pick = 1}", "says more than one thing"},
      {"return {resolve = true}", "a field resolve"}};
  for (const auto& [body, why] : answers) {
    const auto said = failure(decided("function resolve(c) " + body + " end"));
    EXPECT_NE(said.find("failed test.lua"), std::string::npos) << said;
    EXPECT_NE(said.find(why), std::string::npos) << said;
  }
}

TEST(LuaHandler, FailureOnPurposeIsToldApartFromAMistake) {
  EXPECT_EQ(failure(decided("function resolve(c)\nerror('no bid') end")),
            "declined test.lua:2: no bid");
  EXPECT_EQ(failure(decided("function resolve(c) assert(false, 'no bid') end")),
            "declined test.lua: no bid");
  EXPECT_EQ(failure(decided("function resolve(c)\nreturn c.nothing.at_all end")),
            "failed test.lua:2: attempt to index a nil value (field 'nothing')");
  EXPECT_EQ(failure(decided("function resolve(c) error({}) end")),
            "declined test.lua: it raised an error that is not text");
}

TEST(LuaHandler, SyntaxErrorsNameFileAndLine) {
  const auto bad = load_lua("handlers/cart.lua", "x = 1\ny = = 2\n", kInstructions, kMemory);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().text, "handlers/cart.lua:2: unexpected symbol near '='");
  const auto none = load_lua("handlers/cart.lua", "x = 1", kInstructions, kMemory);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().text,
            "handlers/cart.lua: the script does not define function resolve(conflict)");
  EXPECT_FALSE(load_lua("a.lua", "while true do end", kInstructions, kMemory));
  EXPECT_FALSE(load_lua("a.lua", "", kInstructions, kMemory));
}

TEST(LuaHandler, NothingIsLeftFromCallToCall) {
  TwoRows rows({}, {{"v", int64_t{1}}}, {{"v", int64_t{2}}});
  const auto handler = script(R"(
    local top = 0
    function resolve(c)
      top = top + 1
      calls = (calls or 0) + 1
      return {row = {v = top .. " " .. calls}}
    end)");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(std::get<std::string>(handler->decide(rows.view())->row.at("v")), "1 1");
  }
}

TEST(LuaHandler, VersionNamesScriptAndBudgets) {
  constexpr std::string_view kKeep = "function resolve(c) return {keep = true} end";
  const auto version = script(kKeep)->version();
  EXPECT_EQ(version, script(kKeep)->version());
  EXPECT_EQ(version.size(), 4u + 32u);
  EXPECT_TRUE(version.starts_with("lua:"));
  EXPECT_NE(version, script(kKeep, kInstructions + 1)->version());
  EXPECT_NE(version, script(kKeep, kInstructions, kMemory + 1)->version());
  EXPECT_NE(version, script(std::string(kKeep) + " ")->version());
}

TEST(LuaHandler, DecidesOnManyThreadsAtOnce) {
  const auto handler = script("function resolve(c) return {row = {v = c.siblings[2].row.v}} end");
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&handler, t] {
      for (int64_t i = 0; i < 500; ++i) {
        TwoRows rows({}, {{"v", Null()}}, {{"v", t * 1000 + i}});
        ASSERT_EQ(handler->decide(rows.view())->row.at("v"), Value(t * 1000 + i));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(LuaLibrary, PairsGoesInTheOrderOfKeys) {
  EXPECT_EQ(computed("local o = '' for k, v in pairs({b = 1, a = 2, [3] = 3, [1.5] = 4, "
                     "[true] = 5, B = 6}) do o = o .. tostring(k) .. v .. ' ' end return o"),
            Value("1.54 33 B6 a2 b1 true5 "));
}

TEST(LuaLibrary, SortIsStableAndSurvivesAComparatorThatLies) {
  EXPECT_EQ(computed("local t = {'b1', 'a1', 'b2', 'a2'} table.sort(t, function(x, y) return "
                     "x:sub(1, 1) < y:sub(1, 1) end) return table.concat(t, ' ')"),
            Value("a1 a2 b1 b2"));
  EXPECT_EQ(computed("local t = {} for i = 1, 300 do t[i] = i * 7919 % 300 end "
                     "table.sort(t, function() return true end) table.sort(t) "
                     "return t[1] .. ' ' .. t[300]"),
            Value("0 299"));
}

TEST(LuaLibrary, TextFunctionsTakePlainText) {
  EXPECT_EQ(computed("return table.concat(string.split('a,b,,c', ','), '|')"), Value("a|b||c"));
  EXPECT_EQ(computed("return ('a.b'):find('.') .. ('x'):rep(3, '-')"), Value("2x-x-x"));
  EXPECT_EQ(computed("return ('a.b.c'):replace('.', '%1') .. ('  x '):trim() .. ('Ab'):upper()"),
            Value("a%1b%1cxAB"));
  EXPECT_EQ(computed("return tostring(('abc'):find('z')) .. #('abc'):split('b')"), Value("nil2"));
  EXPECT_EQ(computed("return string.format('%05.1f %s %d', 1.25, 'x', 7)"), Value("001.2 x 7"));
}

TEST(LuaLibrary, TableFunctionsKeepLists) {
  EXPECT_EQ(computed("local t = {1, 2, 3} table.insert(t, 2, 9) local gone = table.remove(t, 1) "
                     "table.insert(t, 7) return gone .. ':' .. table.concat(t, ',') .. ':' .. "
                     "select('#', table.unpack(t))"),
            Value("1:9,2,3,7:4"));
}

TEST(LuaLibrary, JsonIsExactAndKeepsEmptyArrays) {
  EXPECT_EQ(computed("return json.encode(json.decode(a))",
                     R"({"b": [], "a": {}, "n": [9223372036854775807, 0.1, 1.0, null, true]})"),
            Value(R"({"a":{},"b":[],"n":[9223372036854775807,0.1,1.0,null,true]})"));
  EXPECT_EQ(computed("return json.encode({}) .. json.encode(json.object()) .. json.encode({1, 2})"),
            Value("[]{}[1,2]"));
  for (const std::string bad :
       {"'{'", "'[1,]'", "'9223372036854775808'", "'1' .. '\\0'", "('['):rep(100)"}) {
    EXPECT_FALSE(decided("function resolve(c) json.decode(" + bad + ") return {keep=true} end"));
  }
}

TEST(LuaLibrary, JsonRefusesCyclesAndFunctions) {
  EXPECT_NE(failure(decided("function resolve(c) local t = {} t.t = t json.encode(t) end"))
                .find("nested too deeply"),
            std::string::npos);
  EXPECT_NE(failure(decided("function resolve(c) json.encode(print or error) end"))
                .find("a function has no JSON"),
            std::string::npos);
}

TEST(LuaLibrary, MergesAreTheBuiltInOnes) {
  EXPECT_EQ(computed("return merge.union(a, b)", "[1,2]", "[2,3]"), Value("[1,2,3]"));
  EXPECT_EQ(computed("return merge.set('[1,2]', a, b)", "[1,2,3]", "[2,4]"), Value("[2,3,4]"));
  EXPECT_EQ(computed("return merge.json('{}', a, b)", R"({"x":1})", R"({"y":2})"),
            Value(R"({"x":1,"y":2})"));
  EXPECT_EQ(computed("return merge.text('1\\n2\\n3\\n', a, b)", "0\n2\n3\n", "1\n2\n4\n"),
            Value("0\n2\n4\n"));
}

}  // namespace
}  // namespace entente
