#include "conflict/context.h"

#include <gtest/gtest.h>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

using test::dot;
using test::vector_of;

TEST(RowContext, CoversItsVectorAndTheSingleDots) {
  RowContext c{vector_of({dot(1, 3)}), {}};
  c.add(dot(1, 5));
  EXPECT_TRUE(c.covers(dot(1, 3)));
  EXPECT_FALSE(c.covers(dot(1, 4)));
  EXPECT_TRUE(c.covers(dot(1, 5)));
  EXPECT_FALSE(c.covers(dot(2, 1)));
}

TEST(RowContext, TheNextDotExtendsTheVector) {
  RowContext c{vector_of({dot(1, 3)}), {}};
  c.add(dot(1, 4));
  c.add(dot(2, 1));
  EXPECT_TRUE(c.also.empty());
  EXPECT_EQ(c.seen, vector_of({dot(1, 4), dot(2, 1)}));
}

TEST(RowContext, WhatClosesAGapExtendsTheVectorToItsOtherEnd) {
  RowContext c{vector_of({dot(1, 3)}), {}};
  for (const uint64_t seq : {6, 5, 8, 4}) c.add(dot(1, seq));
  EXPECT_EQ(c.seen, vector_of({dot(1, 6)}));
  EXPECT_EQ(c.also, std::vector<Dot>{dot(1, 8)});
  const auto again = parse_context_token(context_token(c));
  ASSERT_TRUE(again);
  EXPECT_EQ(context_token(*again), context_token(c));
}

TEST(RowContext, AddingWhatIsCoveredChangesNothing) {
  RowContext c{vector_of({dot(1, 3)}), {dot(2, 5)}};
  c.add(dot(1, 2));
  c.add(dot(2, 5));
  EXPECT_EQ(c.also.size(), 1u);
}

TEST(RowContext, CoversAVectorIfNoDotOfItIsMissing) {
  RowContext c{vector_of({dot(1, 3), dot(2, 1)}), {dot(1, 6), dot(3, 2)}};
  EXPECT_TRUE(c.covers(VersionVector{}));
  EXPECT_TRUE(c.covers(vector_of({dot(1, 3), dot(2, 1)})));
  EXPECT_FALSE(c.covers(vector_of({dot(1, 4)})));
  EXPECT_FALSE(c.covers(vector_of({dot(1, 6)}))) << "5 is missing";
  EXPECT_FALSE(c.covers(vector_of({dot(3, 2)}))) << "1 is missing";
  c.add(dot(1, 5));
  EXPECT_FALSE(c.covers(vector_of({dot(1, 6)}))) << "4 is missing";
  c.also.push_back(dot(1, 4));
  EXPECT_TRUE(c.covers(vector_of({dot(1, 6)})));
  EXPECT_FALSE(c.covers(vector_of({dot(1, 7)})));
  EXPECT_FALSE(c.covers(vector_of({dot(4, 1)})));
}

TEST(RowContext, WithoutARowsUnseenValuesCoversEverythingElse) {
  const auto applied = vector_of({dot(1, 9), dot(2, 4)});
  const auto c =
      context_without(applied, {dot(1, 5), dot(3, 1)}, {dot(1, 3), dot(1, 7), dot(2, 4)});
  EXPECT_FALSE(c.covers(dot(1, 5)));
  EXPECT_TRUE(c.covers(dot(1, 4)));
  EXPECT_TRUE(c.covers(dot(1, 7)));
  EXPECT_TRUE(c.covers(dot(2, 4)));
  EXPECT_FALSE(c.covers(dot(3, 1)));
  EXPECT_EQ(context_without(applied, {}, {dot(1, 7)}).seen, applied);
}

TEST(RowContext, CeilingIsTheSmallestVectorOverAllOfIt) {
  const RowContext c{vector_of({dot(1, 3)}), {dot(1, 7), dot(2, 5)}};
  EXPECT_EQ(c.ceiling(), vector_of({dot(1, 7), dot(2, 5)}));
}

TEST(RowContext, NothingPastTheLargestSeqOverflows) {
  RowContext c{vector_of({dot(1, ~0ull)}), {}};
  c.add(dot(1, 0));
  c.add(dot(1, ~0ull));
  EXPECT_TRUE(c.also.empty());
}

TEST(Tokens, RoundTrip) {
  test::Random random(1);
  for (int i = 0; i < 500; ++i) {
    const auto seen = random.vector();
    const auto session = parse_session_token(session_token(seen));
    ASSERT_TRUE(session);
    EXPECT_EQ(*session, seen);
    RowContext context{seen, {}};
    for (size_t n = random.below(3); n > 0; --n) context.add(dot(5, 2 + random.below(90)));
    const auto parsed = parse_context_token(context_token(context));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->ceiling(), context.ceiling());
    for (uint64_t seq = 1; seq < 95; ++seq) {
      EXPECT_EQ(parsed->covers(dot(5, seq)), context.covers(dot(5, seq)));
    }
  }
}

TEST(Tokens, AreUrlSafe) {
  const auto token = session_token(vector_of({dot(0xff, ~0ull), dot(0xfb, 1)}));
  EXPECT_EQ(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789-_"),
            std::string::npos);
}

TEST(Tokens, AContextCarriesItsCounters) {
  RowContext context{vector_of({dot(1, 3)}), {dot(2, 5)}};
  context.counters = Row{{"n", int64_t{-7}}, {"stock", Value{}}};
  const auto parsed = parse_context_token(context_token(context));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->counters, context.counters);
  EXPECT_TRUE(parsed->covers(dot(2, 5)));
}

// It does not say what counters showed.
TEST(Tokens, AContextOfTheVersionBeforeIsRefusedAsTooOld) {
  const auto old = parse_context_token("YwEAAAAAAAAAAAAAAAAAAAABAw");
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().tag, "context_expired");
}

TEST(Tokens, EachKindIsRefusedAsTheOther) {
  const auto seen = vector_of({dot(1, 3)});
  EXPECT_FALSE(parse_context_token(session_token(seen)));
  EXPECT_FALSE(parse_session_token(context_token({seen, {}})));
}

TEST(Tokens, EveryTruncationAndEveryAdditionIsRefused) {
  const auto session = session_token(vector_of({dot(1, 3), dot(2, 300)}));
  const auto context = context_token({vector_of({dot(1, 300)}), {dot(2, 500)}});
  for (size_t n = 0; n < session.size(); ++n) {
    EXPECT_FALSE(parse_session_token(session.substr(0, n))) << n;
  }
  // A context whose single dots are cut off whole is a context again.
  const size_t without_dots = context_token({vector_of({dot(1, 300)}), {}}).size();
  for (size_t n = 0; n < context.size(); ++n) {
    EXPECT_EQ(parse_context_token(context.substr(0, n)).has_value(), n == without_dots) << n;
  }
  for (const char c : {'A', 'Q', '_', '=', ' ', '\0'}) {
    EXPECT_FALSE(parse_session_token(session + c));
    EXPECT_FALSE(parse_context_token(context + c));
  }
}

TEST(Tokens, HaveOneSpelling) {
  for (const uint64_t seq : {3ull, 300ull, 30000ull, 3000000ull}) {
    const auto token = session_token(vector_of({dot(1, seq)}));
    for (int c = 0; c < 256; ++c) {
      EXPECT_FALSE(parse_session_token(token + static_cast<char>(c))) << seq << " " << c;
      auto other = token;
      other.back() = static_cast<char>(c);
      const auto parsed = parse_session_token(other);
      EXPECT_TRUE(!parsed || session_token(*parsed) == other) << seq << " " << c;
    }
  }
}

TEST(Tokens, GarbageIsRefused) {
  test::Random random(2);
  for (const auto* text : {"", "s", "c", "cw", "Yw", "====", "not a token", "\xff\xff"}) {
    EXPECT_FALSE(parse_session_token(text)) << text;
    EXPECT_FALSE(parse_context_token(text)) << text;
  }
  for (int i = 0; i < 5000; ++i) {
    parse_session_token(random.text(40));
    parse_context_token("Y" + random.text(60));
  }
  EXPECT_FALSE(parse_session_token(std::string(1 << 20, 'c')));
}

}  // namespace
}  // namespace entente
