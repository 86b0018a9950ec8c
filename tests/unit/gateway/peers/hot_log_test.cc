#include "gateway/peers/hot_log.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

LogPiece piece(uint64_t position, size_t bytes) {
  LogPiece p;
  p.position = position;
  p.run.first = position;
  p.run.count = 1;
  p.run.records = std::string(bytes, 'x');
  return p;
}

std::vector<uint64_t> positions(const std::optional<std::vector<LogPiece>>& pieces) {
  std::vector<uint64_t> out;
  for (const auto& p : pieces.value_or(std::vector<LogPiece>{})) out.push_back(p.position);
  return out;
}

using Positions = std::vector<uint64_t>;

TEST(HotLog, GivesWhatCameAfterAPosition) {
  HotLog log(10, 1000);
  for (const uint64_t at : {11, 14, 15}) log.add(piece(at, 10));
  EXPECT_EQ(positions(log.read(10, 1000)), (Positions{11, 14, 15}));
  EXPECT_EQ(positions(log.read(11, 1000)), (Positions{14, 15}));
  EXPECT_EQ(positions(log.read(12, 1000)), (Positions{14, 15}));
  EXPECT_TRUE(log.read(15, 1000));
  EXPECT_EQ(positions(log.read(15, 1000)), Positions{});
}

TEST(HotLog, SaysWhenTheDatabaseMustBeAsked) {
  HotLog log(10, 1000);
  log.add(piece(11, 10));
  EXPECT_FALSE(log.read(9, 1000));
  EXPECT_TRUE(log.read(10, 1000));
}

TEST(HotLog, ForgetsTheOldestPastItsBoundButNeverTheNewest) {
  HotLog log(0, 2 * sizeof(LogPiece) + 100);
  for (const uint64_t at : {1, 2, 3}) log.add(piece(at, 40));
  EXPECT_FALSE(log.read(0, 1000));
  EXPECT_EQ(positions(log.read(1, 1000)), (Positions{2, 3}));
  log.add(piece(4, 500));
  EXPECT_FALSE(log.read(2, 1000));
  EXPECT_EQ(positions(log.read(3, 1000)), (Positions{4}));
}

TEST(HotLog, OneReadIsBoundedButGivesAtLeastOnePiece) {
  HotLog log(0, 1000);
  for (const uint64_t at : {1, 2, 3}) log.add(piece(at, 40));
  EXPECT_EQ(positions(log.read(0, 80)), (Positions{1, 2}));
  EXPECT_EQ(positions(log.read(0, 1)), (Positions{1}));
}

}  // namespace
}  // namespace entente
