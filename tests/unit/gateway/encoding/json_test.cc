#include "gateway/encoding/json.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace entente {
namespace {

Result<Json> parse(std::string text) { return parse_json(text); }

TEST(Json, NumbersAreExact) {
  const auto json =
      parse(R"({"i":-9223372036854775808,"d":0.30000000000000004,"w":1.0,"e":1e999})");
  ASSERT_TRUE(json);
  EXPECT_EQ(*json->find("i")->integer(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(*json->find("d")->real(), 0.1 + 0.2);
  EXPECT_EQ(*json->find("w")->real(), 1.0);
  EXPECT_TRUE(std::isinf(*json->find("e")->real()));
}

// Every double comes back with the same bits.
TEST(Json, DoublesRoundTrip) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto d = std::bit_cast<double>(random());
    if (std::isnan(d)) continue;
    JsonWriter out;
    out.begin_array().real(d).end_array();
    const auto json = parse(out.take());
    ASSERT_TRUE(json);
    const auto* back = (*json->array())[0].real();
    ASSERT_NE(back, nullptr) << d;
    EXPECT_EQ(std::bit_cast<uint64_t>(*back), std::bit_cast<uint64_t>(d)) << d;
  }
}

TEST(Json, WhatIsNotOneStrictDocumentIsRefused) {
  for (const auto text : {"",
                          " ",
                          "1",
                          "\"a\"",
                          "{",
                          "[1,]",
                          "[1 2]",
                          "{\"a\"}",
                          "{\"a\":}",
                          "[01]",
                          "[1.]",
                          "[.5]",
                          "[+1]",
                          "[1e]",
                          "[--1]",
                          "[nul]",
                          "[nullx]",
                          "[truth]",
                          "[Infinity]",
                          "[NaN]",
                          "[0x1]",
                          "[9223372036854775808]",
                          "[-9223372036854775809]",
                          "[123456789012345678901234567890]",
                          "[\"\xff\"]",
                          "[\"\\ud800\"]",
                          "[\"\x01\"]",
                          "[\"\\x\"]",
                          "[1]]",
                          "[1] 2",
                          "{} {}",
                          "{\"a\":1,\"a\":2}",
                          "{a:1}",
                          "['a']",
                          "[1",
                          "[\"a",
                          "{\"a\":[1,{\"b\":2}}"}) {
    EXPECT_FALSE(parse(text)) << text;
  }
}

TEST(Json, DepthIsBounded) {
  const auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(parse(nested(64)));
  EXPECT_FALSE(parse(nested(65)));
  EXPECT_FALSE(parse(nested(100'000)));
}

TEST(Json, TextsAreEscapedAndReadBack) {
  std::string all;
  for (int c = 0; c < 128; ++c) all.push_back(static_cast<char>(c));
  all += "é\xF0\x9F\x98\x80";
  JsonWriter out;
  out.begin_object().member(all, all).end_object();
  const auto json = parse(out.take());
  ASSERT_TRUE(json);
  EXPECT_EQ(*json->find(all)->string(), all);
}

TEST(Json, BytesThatAreNotUtf8AreReplacedOnTheWayOut) {
  JsonWriter out;
  out.begin_array().string("a\xff\xc3z\xed\xa0\x80").end_array();
  const auto json = parse(out.take());
  ASSERT_TRUE(json);
  EXPECT_EQ(*(*json->array())[0].string(),
            "a\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Json, CommasFallWhereTheyBelong) {
  JsonWriter out;
  out.begin_object().key("a").begin_array().integer(1).real(2).null().end_array();
  out.key("b").begin_object().end_object().key("c").boolean(true).end_object();
  EXPECT_EQ(out.take(), R"({"a":[1,2.0,null],"b":{},"c":true})");
}

}  // namespace
}  // namespace entente
