#include "conflict/merge.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <thread>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

using namespace std::string_literals;
using test::Random;

Value concat(std::vector<Value> values, std::string_view separator = "/") {
  return merge_concat(values, separator);
}

// describe() tells every type apart but text from nothing: enough for a failure's text.
::testing::AssertionResult is(const Value& actual, const Value& expected) {
  if (identical(actual, expected)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << describe(actual) << " is not " << describe(expected);
}

TEST(MergeConcat, BAndCAreBSlashC) {
  EXPECT_TRUE(is(concat({"B"s, "C"s}), "B/C"s));
  EXPECT_TRUE(is(concat({"C"s, "B"s}), "B/C"s));
}

TEST(MergeConcat, WhatWasJoinedBeforeIsNotRepeated) {
  EXPECT_TRUE(is(concat({"B/C"s, "C/D"s}), "B/C/D"s));
  Value value = "a"s;
  for (int i = 0; i < 100; ++i) value = concat({value, "b"s, "a/b"s});
  EXPECT_TRUE(is(value, "a/b"s));
}

TEST(MergeConcat, SortsByBytesAndLeavesOutRepeatsAndNulls) {
  EXPECT_TRUE(is(concat({"b"s, Null{}, "\x80"s, "B"s, "b"s, ""s}, ", "), ", B, b, \x80"s));
}

TEST(MergeConcat, WithoutAnyValueIsNull) {
  EXPECT_TRUE(is(concat({}), Null{}));
  EXPECT_TRUE(is(concat({Null{}, Null{}}), Null{}));
}

TEST(MergeConcat, ASingleDistinctValueKeepsItsType) {
  EXPECT_TRUE(is(concat({int64_t{7}, Null{}, int64_t{7}}), int64_t{7}));
  EXPECT_TRUE(is(concat({Blob{"x"}, Blob{"x"}}), Blob{"x"}));
  EXPECT_TRUE(is(concat({"1"s, int64_t{1}}), int64_t{1})) << "one text: the first in order()";
  EXPECT_TRUE(is(concat({int64_t{1}, "1"s}), int64_t{1}));
}

TEST(MergeConcat, NumbersAreWrittenExactly) {
  EXPECT_TRUE(is(concat({std::numeric_limits<int64_t>::min(), 0.1, 1.0, -0.0, 1e300}),
                 "-0.0/-9223372036854775808/0.1/1.0/1e+300"s));
}

TEST(MergeConcat, ABlobAmongOthersIsNoText) {
  EXPECT_TRUE(is(concat({Blob{"a"}, "b"s}), "b"s));
  EXPECT_TRUE(is(concat({"b"s, Blob{"a"}, Null{}}), Blob{"a"}));
}

TEST(MergeMinMax, FollowSqlOrderAndLeaveOutNulls) {
  const std::vector<Value> values{"a"s, Null{}, Blob{""}, 2.5, int64_t{-3}, "Z"s};
  EXPECT_TRUE(is(merge_min(values), int64_t{-3}));
  EXPECT_TRUE(is(merge_max(values), Blob{""}));
  EXPECT_TRUE(is(merge_min(std::vector<Value>{Null{}}), Null{}));
  EXPECT_TRUE(is(merge_max(std::vector<Value>{}), Null{}));
}

TEST(MergeMinMax, CompareIntegersWithDoublesExactly) {
  const int64_t exact = (int64_t{1} << 53) + 1;
  const std::vector<Value> values{9007199254740992.0, exact};
  EXPECT_TRUE(is(merge_min(values), 9007199254740992.0));
  EXPECT_TRUE(is(merge_max(values), exact));
  const std::vector<Value> equal{1.0, int64_t{1}};
  EXPECT_TRUE(is(merge_min(equal), int64_t{1}));
  EXPECT_TRUE(is(merge_max(equal), 1.0));
}

TEST(MergeLaws, TheOrderOfValuesMakesNoDifferenceToConcatMinAndMax) {
  Random random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Value> values(random.below(5));
    for (auto& v : values) {
      do v = random.value();
      while (std::holds_alternative<Blob>(v));
    }
    auto shuffled = values;
    for (size_t i = 1; i < shuffled.size(); ++i) {
      std::swap(shuffled[i], shuffled[random.below(i + 1)]);
    }
    EXPECT_TRUE(is(merge_concat(shuffled, "/"), merge_concat(values, "/")));
    EXPECT_TRUE(is(merge_min(shuffled), merge_min(values)));
    EXPECT_TRUE(is(merge_max(shuffled), merge_max(values)));
  }
}

// --- three ways ----------------------------------------------------------------------------------

struct ThreeWay {
  std::string name;
  Value (*merge)(const Value* base, const Value& earlier, const Value& later);
};

class MergeThreeWays : public ::testing::TestWithParam<ThreeWay> {
 protected:
  // Any value; mostly text of the kind that this merge takes.
  static Value some(Random& random) {
    if (random.one_in(3)) return random.value();
    std::string members;
    std::string lines;
    for (size_t n = random.below(6); n > 0; --n) {
      members += "\"" + std::to_string(n) + "\":" + std::to_string(random.below(3)) + ",";
      lines += std::to_string(random.below(3)) + "\n";
    }
    if (random.one_in(2)) return lines;
    return "{" + members + "\"z\": 1}";
  }
};

TEST_P(MergeThreeWays, OfIdenticalSidesIsThatSide) {
  Random random(2);
  for (int round = 0; round < 1000; ++round) {
    const Value base = some(random);
    const Value side = some(random);
    EXPECT_TRUE(is(GetParam().merge(&base, side, side), side));
    EXPECT_TRUE(is(GetParam().merge(nullptr, side, side), side));
  }
}

TEST_P(MergeThreeWays, WhereOneSideDidNotChangeIsTheOther) {
  Random random(3);
  for (int round = 0; round < 1000; ++round) {
    const Value base = some(random);
    const Value side = some(random);
    EXPECT_TRUE(is(GetParam().merge(&base, base, side), side));
    EXPECT_TRUE(is(GetParam().merge(&base, side, base), side));
  }
}

TEST_P(MergeThreeWays, OfWhatDoesNotFitIsLater) {
  const Value base = "{}"s;
  const std::vector<Value> strangers{int64_t{1}, 1.5, Blob{"{}"}, Null{}};
  for (const auto& stranger : strangers) {
    EXPECT_TRUE(is(GetParam().merge(&base, stranger, "{\"a\":1}"s), "{\"a\":1}"s));
    EXPECT_TRUE(is(GetParam().merge(&base, "{\"a\":1}"s, stranger), stranger));
    EXPECT_TRUE(is(GetParam().merge(&base, Blob{"x"}, stranger), stranger));
  }
}

TEST_P(MergeThreeWays, SaysTheSameTwiceWhateverTheBytes) {
  Random random(4);
  for (int round = 0; round < 3000; ++round) {
    const Value base = some(random);
    const Value earlier = some(random);
    const Value later = some(random);
    EXPECT_TRUE(
        is(GetParam().merge(&base, earlier, later), GetParam().merge(&base, earlier, later)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Every, MergeThreeWays,
    ::testing::Values(ThreeWay{"json", merge_json},
                      ThreeWay{"text",
                               [](const Value* base, const Value& earlier, const Value& later) {
                                 return merge_text(base, earlier, later, false);
                               }},
                      ThreeWay{"markers",
                               [](const Value* base, const Value& earlier, const Value& later) {
                                 return merge_text(base, earlier, later, true);
                               }}),
    [](const auto& case_of) { return case_of.param.name; });

// --- JSON ----------------------------------------------------------------------------------------

Value json(const std::string& base, const std::string& earlier, const std::string& later) {
  const Value was = base;
  return merge_json(&was, earlier, later);
}

TEST(MergeJson, TakesEachSidesChangesAdditionsAndRemovals) {
  EXPECT_TRUE(is(json(R"({"same":0,"mine":1,"theirs":1,"i drop":1,"they drop":1})",
                      R"({"same":0,"mine":2,"theirs":1,"they drop":1,"i add":[1, 2]})",
                      R"({"same":0,"mine":1,"theirs":3,"i drop":1,"they add":null})"),
                 R"({"i add":[1,2],"mine":2,"same":0,"theirs":3,"they add":null})"s));
}

TEST(MergeJson, LaterWinsWhereBothChangedAMember) {
  EXPECT_TRUE(is(json(R"({"a":1})", R"({"a":2,"b":1})", R"({"a":3})"), R"({"a":3,"b":1})"s));
  EXPECT_TRUE(is(json(R"({"a":1})", R"({"a":2})", R"({ })"), R"({})"s)) << "removed later";
  EXPECT_TRUE(is(json(R"({"a":1})", R"({ })", R"({"a":2})"), R"({"a":2})"s)) << "removed earlier";
}

TEST(MergeJson, GoesIntoObjectsButNotIntoArrays) {
  EXPECT_TRUE(is(json(R"({"o":{"x":1,"y":1},"a":[1]})", R"({"o":{"x":2,"y":1},"a":[1,2]})",
                      R"({"o":{"x":1,"y":2},"a":[1,3]})"),
                 R"({"a":[1,3],"o":{"x":2,"y":2}})"s));
  EXPECT_TRUE(
      is(json(R"({"o":7})", R"({"o":{"x":1}})", R"({"o":{"y":2}})"), R"({"o":{"x":1,"y":2}})"s))
      << "a base that is no object is an empty one";
}

TEST(MergeJson, WithoutABaseThatFitsIsTheUnion) {
  const Value earlier = R"({"a":1,"b":1})"s;
  const Value later = R"({"b":2,"c":2})"s;
  const Value expected = R"({"a":1,"b":2,"c":2})"s;
  EXPECT_TRUE(is(merge_json(nullptr, earlier, later), expected));
  for (const Value& base : std::vector<Value>{Null{}, "nonsense"s, "[1]"s, Blob{"{\"a\":1}"}}) {
    EXPECT_TRUE(is(merge_json(&base, earlier, later), expected)) << describe(base);
  }
}

TEST(MergeJson, AgreesWithAModelOnFlatObjects) {
  using Members = std::map<std::string, int>;
  Random random(5);
  const auto draw = [&] {
    Members m;
    for (char name = 'a'; name < 'g'; ++name) {
      if (random.one_in(2)) m.emplace(std::string(1, name), static_cast<int>(random.below(2)));
    }
    return m;
  };
  const auto text = [](const Members& members) {
    std::string s = "{";
    for (const auto& [name, n] : members) {
      s += (s.size() > 1 ? ",\"" : "\"") + name + "\":" + std::to_string(n);
    }
    return s + "}";
  };
  const auto at = [](const Members& m, const std::string& name) {
    const auto it = m.find(name);
    return it == m.end() ? -1 : it->second;
  };
  for (int round = 0; round < 3000; ++round) {
    const Members base = draw();
    const Members earlier = draw();
    const Members later = draw();
    Members expected;
    for (char c = 'a'; c < 'g'; ++c) {
      const std::string name(1, c);
      const int n = at(later, name) == at(base, name) ? at(earlier, name) : at(later, name);
      if (n >= 0) expected.emplace(name, n);
    }
    ASSERT_TRUE(is(json(text(base), text(earlier), text(later)), text(expected)))
        << text(base) << text(earlier) << text(later);
  }
}

TEST(MergeJson, NumbersAreExact) {
  const std::string members =
      R"("a":9007199254740993,"b":18446744073709551615,"c":-9223372036854775808,"d":0.1,)"
      R"("e":5e-324,"f":1.7976931348623157e+308,"g":1.0,"h":0.30000000000000004)";
  EXPECT_TRUE(is(json("{}", "{" + members + "}", R"({"z":1})"), "{" + members + R"(,"z":1})"));
}

TEST(MergeJson, DoublesComeBackBitByBit) {
  Random random(6);
  for (int round = 0; round < 20000; ++round) {
    const auto d = std::bit_cast<double>(random.next());
    if (!std::isfinite(d)) continue;
    char text[64];
    snprintf(text, sizeof text, "%.17g", d);
    const std::string element = std::string(text).find_first_of(".e") == std::string::npos
                                    ? std::string(text) + ".0"
                                    : std::string(text);
    const auto elements = set_elements("[" + element + "]");
    ASSERT_TRUE(elements && elements->size() == 1) << element;
    ASSERT_EQ(std::bit_cast<uint64_t>(std::strtod(elements->front().c_str(), nullptr)),
              std::bit_cast<uint64_t>(d))
        << element << " became " << elements->front();
  }
}

TEST(MergeJson, AnIntegerIsNotTheDoubleNextToIt) {
  EXPECT_TRUE(is(json(R"({"a":9007199254740992.0})", R"({"a":9007199254740993})", R"({"z":1})"),
                 R"({"z":1})"s))
      << "removed later, changed earlier: later wins";
  EXPECT_TRUE(is(json(R"({"a":9007199254740992.0,"z":0})", R"({"a":9007199254740993,"z":0})",
                      R"({"a":9007199254740992.0,"z":1})"),
                 R"({"a":9007199254740993,"z":1})"s))
      << "earlier's change counts";
  EXPECT_TRUE(is(json(R"({"a":0.0,"z":0})", R"({"a":-0.0,"z":0})", R"({"a":0.0,"z":1})"),
                 R"({"a":-0.0,"z":1})"s));
}

TEST(MergeJson, WhatNoReaderAgreesOnDoesNotFit) {
  const Value good = R"({"a":1})"s;
  const Value base = "{}"s;
  for (const auto& bad :
       std::vector<std::string>{"", "{", R"({"a":1}x)", R"({"a":1,})", "[1]", "1", "nul",
                                "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", R"({"a":"\ud800"})",
                                "{}\0"s, R"({"a":1,"a":2})", R"({"o":{"b":1,"a":2,"b":1}})",
                                R"({"a":18446744073709551616})", R"({"a":-9223372036854775809})",
                                R"({"a":1e400})", R"({"a":NaN})", R"({'a':1})", "{\"a\":1}//"}) {
    EXPECT_TRUE(is(merge_json(&base, bad, good), good)) << bad;
    EXPECT_TRUE(is(merge_json(&base, good, bad), Value(bad))) << bad;
  }
}

TEST(MergeJson, TextThatLooksStrangeButFitsIsMerged) {
  EXPECT_TRUE(is(json("{}", "{\"\\u0000\\u00e4\":\"\\ud83d\\ude00\"}", R"({"z":1})"),
                 "{\"\\u0000\xc3\xa4\":\"\xf0\x9f\x98\x80\",\"z\":1}"s));
}

std::string nested(size_t depth, const std::string& leaf) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += "{\"a\":";
  return text + leaf + std::string(depth, '}');
}

TEST(MergeJson, SixtyFourLevelsFitAndOneMoreDoesNot) {
  const Value base = nested(64, "0");
  const Value earlier = nested(64, R"(0,"x":1)");
  EXPECT_TRUE(
      is(merge_json(&base, earlier, nested(64, R"(0,"y":1)")), nested(64, R"(0,"x":1,"y":1)")));
  const Value deeper = nested(65, R"(0,"y":1)");
  EXPECT_TRUE(is(merge_json(&base, earlier, deeper), deeper));
}

TEST(MergeJson, AMillionBracketsDoNotOverflowTheStack) {
  const Value good = "[1]"s;
  const std::string hostile(1'000'000, '[');
  EXPECT_TRUE(is(merge_json(nullptr, hostile, hostile + "]"), hostile + "]"));
  EXPECT_FALSE(set_elements(hostile));
  EXPECT_FALSE(set_elements(hostile + std::string(1'000'000, ']')));
}

// --- text ----------------------------------------------------------------------------------------

Value text(const std::string& base, const std::string& earlier, const std::string& later,
           bool markers = false) {
  const Value was = base;
  return merge_text(&was, earlier, later, markers);
}

TEST(MergeText, KeepsBothSidesChangesOfDifferentLines) {
  EXPECT_TRUE(
      is(text("a\nb\nc\nd\ne\n", "A\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\nf\n"), "A\nb\nc\nd\nE\nf\n"s));
}

TEST(MergeText, LaterWinsTheSameLineAndOnlyThat) {
  EXPECT_TRUE(is(text("a\nb\nc\nd\n", "A\nb\nc\n1\n", "a\nb\nc\n2\n"), "A\nb\nc\n2\n"s));
}

TEST(MergeText, MarkersShowBothSides) {
  EXPECT_TRUE(is(text("a\nb\nc\n", "a\n1\nc\n", "a\n2\nc\n", true),
                 "a\n<<<<<<< earlier\n1\n=======\n2\n>>>>>>> later\nc\n"s));
  EXPECT_TRUE(is(text("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n", true), "A\nb\nc\nD\n"s))
      << "no clash, no markers";
}

TEST(MergeText, WithoutABaseClashesWhole) {
  EXPECT_TRUE(is(merge_text(nullptr, "x\n"s, "y\n"s, false), "y\n"s));
  EXPECT_TRUE(is(merge_text(nullptr, "x\n"s, "y\n"s, true),
                 "<<<<<<< earlier\nx\n=======\ny\n>>>>>>> later\n"s));
  const Value number = int64_t{3};
  EXPECT_TRUE(is(merge_text(&number, "x\n"s, "y\n"s, false), "y\n"s));
}

TEST(MergeText, KeepsLineEndsAndMissingOnes) {
  EXPECT_TRUE(
      is(text("a\r\nb\r\nc\r\nd", "A\r\nb\r\nc\r\nd", "a\r\nb\r\nc\r\nD"), "A\r\nb\r\nc\r\nD"s));
  EXPECT_TRUE(is(text("a", "b", "c", true), "<<<<<<< earlier\nb\n=======\nc\n>>>>>>> later\n"s));
}

TEST(MergeText, EmptyTextsAndBytesOfAnyKindButNulAreText) {
  EXPECT_TRUE(is(text("a\nb\nc\n", "", "a\nb\nC\n"), "a\nb\nC\n"s)) << "one clash of all lines";
  EXPECT_TRUE(is(text("", "x", "y"), "y"s));
  EXPECT_TRUE(is(text("\xff\nb\nc\n\xfe\n", "\xff!\nb\nc\n\xfe\n", "\xff\nb\nc\n\xfe?\n"),
                 "\xff!\nb\nc\n\xfe?\n"s));
  EXPECT_TRUE(is(text("a\nb\nc\nd\n", "A\nb\nc\nd\0\n"s, "a\nb\nc\nD\n"), "a\nb\nc\nD\n"s));
}

TEST(MergeText, PastOneMebibyteOrTooManyLinesIsLater) {
  constexpr size_t kBytes = size_t{1} << 20;
  constexpr size_t kLines = size_t{1} << 14;
  for (const auto& [fill, most] : {std::pair('x', kBytes - 20), std::pair('\n', kLines - 4)}) {
    const std::string filling(most, fill);
    const auto with = [&](const std::string& tail) { return filling + "\n" + tail; };
    EXPECT_TRUE(is(text(with("a\nb\nc"), with("A\nb\nc"), with("a\nb\nC")), with("A\nb\nC")));
    const std::string past = with("a\nb\nC") + filling;
    EXPECT_TRUE(is(text(with("a\nb\nc"), with("A\nb\nc"), past), past));
    EXPECT_TRUE(is(text(with("a\nb\nc"), past, with("A\nb\nc")), with("A\nb\nc")));
  }
}

TEST(MergeText, OfManyThreadsAtOnceIsTheSame) {
  std::vector<Value> results(8);
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) {
      threads.emplace_back([&result] {
        for (int i = 0; i < 200; ++i) result = text("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n");
      });
    }
  }
  for (const auto& result : results) EXPECT_TRUE(is(result, "A\nb\nC\n"s));
}

// --- sets ----------------------------------------------------------------------------------------

TEST(SetElements, AreCanonicalInTheirOrderWithoutRepeats) {
  const auto elements =
      set_elements(R"( [ "b", 1, {"y": 2, "x": 1}, "b", 1.0, null, {"x":1,"y":2} ] )"s);
  ASSERT_TRUE(elements);
  EXPECT_EQ(*elements, (std::vector<std::string>{"\"b\"", "1", R"({"x":1,"y":2})", "1.0", "null"}));
}

TEST(SetElements, OfNullAreNoneAndOfWhatIsNoArrayNothing) {
  EXPECT_EQ(set_elements(Null{}), std::vector<std::string>{});
  EXPECT_EQ(set_elements("[]"s), std::vector<std::string>{});
  for (const Value& v :
       std::vector<Value>{"{}"s, "1"s, ""s, "[1"s, "[1]\0"s, "[\"\xff\"]"s, R"([{"a":1,"a":2}])"s,
                          "[18446744073709551616]"s, int64_t{1}, Blob{"[]"}}) {
    EXPECT_EQ(set_elements(v), std::nullopt) << describe(v);
  }
}

TEST(SetValue, OfElementsReadsBackAsThem) {
  EXPECT_TRUE(is(set_value({}), "[]"s));
  const std::vector<std::string> elements{"\"a,b\"", "9007199254740993", R"({"x":[1,2]})", "0.1"};
  EXPECT_TRUE(is(set_value(elements), R"(["a,b",9007199254740993,{"x":[1,2]},0.1])"s));
  EXPECT_EQ(set_elements(set_value(elements)), elements);
}

}  // namespace
}  // namespace entente
