#include "gateway/async/repeated_line.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

using namespace std::chrono_literals;

TEST(RepeatedLine, EachReasonIsLoggedOnceASecondWithItsCount) {
  RepeatedLine lines;
  EXPECT_EQ(lines.due("full", 0ms), 1u);
  EXPECT_EQ(lines.due("locked", 10ms), 1u);
  for (auto t = 100ms; t < 1s; t += 100ms) EXPECT_EQ(lines.due("full", t), std::nullopt);
  EXPECT_EQ(lines.due("full", 1'000ms), 10u);
  EXPECT_EQ(lines.due("locked", 1'000ms), std::nullopt);
}

TEST(RepeatedLine, ReasonsWithoutEndAreFew) {
  RepeatedLine lines;
  size_t logged = 0;
  for (int i = 0; i < 1'000; ++i) logged += lines.due(std::to_string(i), 1ms).has_value();
  EXPECT_EQ(logged, RepeatedLine::kReasons + 1);
}

}  // namespace
}  // namespace entente
