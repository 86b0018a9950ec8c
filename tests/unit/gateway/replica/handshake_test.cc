#include "gateway/replica/handshake.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

using Chain = std::array<uint8_t, 16>;

Origin origin(uint8_t n) {
  Origin o;
  o.id.fill(n);
  return o;
}

// a - b - c in a chain.
Config chain_of_three() {
  Config config;
  config.cluster = "shop";
  for (const auto* name : {"a", "b", "c"}) {
    Datacenter dc;
    dc.name = name;
    config.datacenters.push_back(dc);
  }
  config.topology.kind = TopologyKind::kLinks;
  config.topology.links = {{"a", "b"}, {"b", "c"}};
  return config;
}

Hello hello(std::string dc, uint8_t incarnation) {
  Hello h;
  h.cluster = "shop";
  h.dc = std::move(dc);
  h.incarnation = origin(incarnation);
  h.topology = "T";
  h.rules = "R";
  return h;
}

class Handshake : public ::testing::Test {
 protected:
  std::string refusal(const Hello& theirs) const {
    const auto answer = check_hello(mine_, theirs, graph_);
    if (answer) return "";
    EXPECT_EQ(answer.error().code, Code::kMismatch);
    return answer.error().text;
  }

  Graph graph_{chain_of_three()};
  Hello mine_ = hello("a", 1);
};

TEST_F(Handshake, ANeighbourOfTheSameClusterIsWelcome) { EXPECT_EQ(refusal(hello("b", 2)), ""); }

TEST_F(Handshake, WhoAsksNeedsNoLinkAndIsOtherwiseTheSame) {
  EXPECT_TRUE(check_asker(mine_, hello("c", 3), graph_));
  auto theirs = hello("c", 3);
  theirs.incarnation = {};  // says nothing of its database
  EXPECT_TRUE(check_asker(mine_, theirs, graph_));
  for (auto change : {+[](Hello& h) { h.protocol = 1; }, +[](Hello& h) { h.cluster = "test"; },
                      +[](Hello& h) { h.topology = "other"; }, +[](Hello& h) { h.dc = "a"; },
                      +[](Hello& h) { h.dc = "nowhere"; }}) {
    theirs = hello("c", 3);
    change(theirs);
    EXPECT_FALSE(check_asker(mine_, theirs, graph_));
  }
}

TEST_F(Handshake, AnotherProtocolIsRefused) {
  auto theirs = hello("b", 2);
  theirs.protocol = 1;
  EXPECT_EQ(refusal(theirs),
            "the peer's protocol is 1 and this gateway's is 8: run the same version at both");
}

TEST_F(Handshake, AnotherClusterTopologyOrRulesIsRefusedWithBothSides) {
  auto theirs = hello("b", 2);
  theirs.cluster = "test";
  EXPECT_EQ(refusal(theirs), "the peer's cluster is test and this gateway's is shop");
  theirs = hello("b", 2);
  theirs.topology = "T2";
  EXPECT_NE(refusal(theirs).find("topology fingerprint is T2 and this gateway's is T"),
            std::string::npos);
  theirs = hello("b", 2);
  theirs.rules = "R2";
  EXPECT_NE(refusal(theirs).find("rules fingerprint is R2 and this gateway's is R"),
            std::string::npos);
}

TEST_F(Handshake, AnotherVersionOfAHandlerIsRefusedByName) {
  mine_.handlers = {{"auction", "lua:1"}, {"cart", "lua:2"}};
  auto theirs = hello("b", 2);
  theirs.handlers = {{"auction", "lua:1"}, {"cart", "lua:3"}};
  theirs.rules = "R2";
  EXPECT_EQ(refusal(theirs),
            "the peer's handler cart is lua:3 and this gateway's is lua:2: give both the same "
            "file, and restart the one with the old");
}

TEST_F(Handshake, AHandlerThatOnlyOneHasIsSeenInTheRules) {
  mine_.handlers = {{"cart", "lua:2"}};
  auto theirs = hello("b", 2);
  EXPECT_EQ(refusal(theirs), "");
  theirs.rules = "R2";
  EXPECT_NE(refusal(theirs).find("rules fingerprint"), std::string::npos);
}

TEST_F(Handshake, AStrangerAnOutsiderAndOurselvesAreRefused) {
  EXPECT_NE(refusal(hello("z", 2)).find("z, which is not in the topology"), std::string::npos);
  EXPECT_EQ(refusal(hello("c", 2)), "the topology has no link between a and c");
  EXPECT_NE(refusal(hello("a", 2)).find("which is this datacenter"), std::string::npos);
}

TEST_F(Handshake, WhoNamesOriginsWithoutEndIsRefused) {
  auto theirs = hello("b", 2);
  theirs.applied.resize(kMostOrigins);
  EXPECT_EQ(refusal(theirs), "");
  theirs.applied.resize(kMostOrigins + 1);
  EXPECT_EQ(refusal(theirs), "b names 10001 origins; at most 10000 are listened to");
}

TEST_F(Handshake, ACopyOfThisDatabaseIsRefused) {
  EXPECT_NE(refusal(hello("b", 1)).find("runs a copy of the database of a"), std::string::npos);
  EXPECT_NE(refusal(hello("b", 0)).find("no incarnation"), std::string::npos);
}

class History : public ::testing::Test {
 protected:
  History() {
    mine_.applied = {{origin(1), "a", 10, Chain{10}}, {origin(2), "b", 5, Chain{5}}};
    theirs_.applied = {{origin(1), "a", 8, Chain{8}}, {origin(2), "b", 9, Chain{9}}};
  }

  Code outcome() const {
    const auto answer = check_history(mine_, promised_, theirs_, chain_at_);
    return answer ? Code::kBusy : answer.error().code;
  }

  Hello mine_ = hello("a", 1), theirs_ = hello("b", 2);
  VersionVector promised_;
  ChainAt chain_at_ = [](const Origin&, uint64_t seq) -> Result<std::optional<Chain>> {
    if (seq < 3) return std::nullopt;  // trimmed
    return Chain{static_cast<uint8_t>(seq)};
  };
};

TEST_F(History, OneHistoryOnBothSidesIsWelcome) { EXPECT_EQ(outcome(), Code::kBusy); }

TEST_F(History, AnotherChainWhereWeKnowItIsAFork) {
  theirs_.applied[0].chain = Chain{99};
  EXPECT_EQ(outcome(), Code::kFork);
  EXPECT_EQ(check_history(mine_, promised_, theirs_, chain_at_).error().tag,
            kOwnFork);  // of a's own
}

TEST_F(History, AForkOfOthersIsNotOursToHeal) {
  mine_.applied[1].seq = theirs_.applied[1].seq = 5;
  theirs_.applied[1].chain = Chain{99};
  EXPECT_EQ(outcome(), Code::kFork);
  EXPECT_EQ(check_history(mine_, promised_, theirs_, chain_at_).error().tag, "");
}

TEST_F(History, AForkSaysWhoTookTheWrongHistoryAndWhatToDo) {
  mine_.applied[1].seq = theirs_.applied[1].seq = 5;
  theirs_.applied[1].chain = Chain{99};
  const std::string dc = theirs_.applied[1].dc;
  const auto said = [&] {
    return check_history(mine_, promised_, theirs_, chain_at_).error().text;
  };
  EXPECT_NE(said().find("take one of the two out and in again"), std::string::npos) << said();
  theirs_.applied.push_back({origin(9), dc, 1, {}});  // dc's later life
  EXPECT_NE(said().find(mine_.dc + " took the one that " + dc + " has given up"), std::string::npos)
      << said();
  EXPECT_NE(said().find("`entente topology remove " + mine_.dc + " FILE`"), std::string::npos);
  mine_.applied.push_back(theirs_.applied.back());
  theirs_.applied.pop_back();
  EXPECT_NE(said().find("`entente topology remove " + theirs_.dc + " FILE`"), std::string::npos)
      << said();
}

TEST_F(History, WhatOurLogForgotIsNotHeldAgainstAnybody) {
  theirs_.applied[0].seq = 2;
  theirs_.applied[0].chain = Chain{99};
  EXPECT_EQ(outcome(), Code::kBusy);
}

TEST_F(History, WherePeersAreAheadTheyCheck) {
  theirs_.applied[1].chain = Chain{99};
  EXPECT_EQ(outcome(), Code::kBusy);
}

TEST_F(History, APeerThatKnowsMoreOfUsThanWeDoSaysThatWeWereRestored) {
  theirs_.applied[0].seq = 11;
  const auto answer = check_history(mine_, promised_, theirs_, chain_at_);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kFork);
  EXPECT_EQ(answer.error().tag, kOwnFork);
  EXPECT_NE(
      answer.error().text.find("this database is a restored copy: b has its changes up to 11"),
      std::string::npos);
}

TEST_F(History, APeerThatCollectedWhatWeDoNotKnowToHavePromisedSaysThatWeWereRestored) {
  theirs_.collected.advance(origin(2), 4);
  promised_.advance(origin(2), 4);
  EXPECT_EQ(outcome(), Code::kBusy);
  theirs_.collected.advance(origin(1), 1);
  const auto answer = check_history(mine_, promised_, theirs_, chain_at_);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().tag, kOwnFork);
  EXPECT_NE(answer.error().text.find("by a promise that is not in it"), std::string::npos);
}

TEST_F(History, ALogThatCannotBeReadRefusesTheLink) {
  chain_at_ = [](const Origin&, uint64_t) -> Result<std::optional<Chain>> {
    return fail(Code::kBusy, "reading");
  };
  const auto answer = check_history(mine_, promised_, theirs_, chain_at_);
  EXPECT_FALSE(answer);
}

}  // namespace
}  // namespace entente
