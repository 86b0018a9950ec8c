#include "gateway/handlers/remembering_handler.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/gateway/handlers/support.h"

namespace entente {
namespace {

using namespace std::chrono_literals;
using testing::failure;
using testing::two_bids;

// Counts its calls and answers what it is told to.
class Told : public Handler {
 public:
  Result<Decision> decide(const Conflict&) const override {
    ++calls;
    return answer;
  }
  const std::string& version() const override { return version_; }
  Result<Decision> answer;
  mutable int calls = 0;

 private:
  std::string version_ = "told";
};

class RememberingHandlerTest : public ::testing::Test {
 protected:
  Result<Decision> ask(const OwnedConflict& conflict) { return handler_.decide(conflict.view()); }

  testing::SetClock clock_;
  std::shared_ptr<Told> told_ = std::make_shared<Told>();
  RememberingHandler handler_{told_, clock_.now()};
};

TEST_F(RememberingHandlerTest, AsksOnceAboutTheSameConflict) {
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(ask(two_bids()));
  EXPECT_EQ(told_->calls, 1);
  EXPECT_EQ(handler_.version(), "told");
}

TEST_F(RememberingHandlerTest, AsksAgainWhenAnythingDiffers) {
  auto other = two_bids();
  ask(two_bids());
  other.siblings[0].hlc = Hlc::at(999);
  ask(other);
  other.base.reset();
  ask(other);
  other.siblings[1].row->at("bid") = 7.0;
  ask(other);
  EXPECT_EQ(told_->calls, 4);
}

TEST_F(RememberingHandlerTest, ForgetsFailuresAfterASecond) {
  told_->answer = fail(Code::kInvalid, "no", "failed");
  EXPECT_EQ(failure(ask(two_bids())), "failed no");
  clock_.time += 999ms;
  EXPECT_EQ(failure(ask(two_bids())), "failed no");
  EXPECT_EQ(told_->calls, 1);
  clock_.time += 1ms;
  told_->answer = Decision();
  EXPECT_TRUE(ask(two_bids()));
  clock_.time += 1h;
  EXPECT_TRUE(ask(two_bids()));
  EXPECT_EQ(told_->calls, 2);
}

TEST_F(RememberingHandlerTest, ForgetsWhatWasUsedLongestAgo) {
  const auto count = static_cast<int64_t>(RememberingHandler::kMostAnswers);
  for (int64_t i = 0; i < count; ++i) ask(two_bids(i));
  ask(two_bids(0));
  ask(two_bids(count));
  EXPECT_EQ(told_->calls, count + 1);
  ask(two_bids(0));
  EXPECT_EQ(told_->calls, count + 1);
  ask(two_bids(1));
  EXPECT_EQ(told_->calls, count + 2);
}

TEST_F(RememberingHandlerTest, KeepsOnlySoManyBytes) {
  auto large = two_bids();
  large.base->at("bidder") = std::string(RememberingHandler::kMostBytes / 2, 'x');
  auto larger = two_bids();
  larger.base->at("bidder") = std::string(RememberingHandler::kMostBytes, 'x');
  ask(two_bids());
  ask(larger);
  ask(larger);
  EXPECT_EQ(told_->calls, 3);
  ask(large);
  ask(two_bids());
  EXPECT_EQ(told_->calls, 4);
}

// ---- What it checks.

TEST_F(RememberingHandlerTest, PickMustBeASibling) {
  told_->answer->kind = Decision::Kind::kPick;
  told_->answer->pick = 2;
  EXPECT_EQ(failure(ask(two_bids())),
            "failed its answer is wrong: it picks a sibling that is not there; there are 2");
}

TEST_F(RememberingHandlerTest, MissingColumnsAreTheNewestRows) {
  told_->answer->kind = Decision::Kind::kRow;
  told_->answer->row = {{"bid", int64_t{9}}};
  auto conflict = two_bids();
  conflict.siblings.push_back({"tokyo", Hlc::at(1002), std::nullopt});
  const auto decision = ask(conflict);
  ASSERT_TRUE(decision) << failure(decision);
  EXPECT_TRUE(identical(decision->row, Row{{"bid", int64_t{9}}, {"bidder", "bob"}}));
}

TEST_F(RememberingHandlerTest, RowsHaveOnlyColumnsAndValuesThatCanBe) {
  const std::vector<std::pair<Row, std::string>> rows{
      {{{"colour", int64_t{1}}}, "no sibling has a column colour"},
      {{{"bid", std::nan("")}}, "column bid is not a number (NaN)"},
      {{{"bid", "\xff"}}, "column bid is text that is not UTF-8; answer a blob for bytes"}};
  for (const auto& [row, why] : rows) {
    told_->answer->kind = Decision::Kind::kRow;
    told_->answer->row = row;
    clock_.time += 1s;
    EXPECT_EQ(failure(ask(two_bids())), "failed its answer is wrong: " + why);
  }
}

TEST_F(RememberingHandlerTest, TextThatWasThereMayStay) {
  auto conflict = two_bids();
  conflict.siblings[0].row->at("bidder") = "\xff";
  told_->answer->kind = Decision::Kind::kRow;
  told_->answer->row = {{"bidder", "\xff"}};
  EXPECT_TRUE(ask(conflict));
}

TEST_F(RememberingHandlerTest, NoRowComesOfDeletions) {
  auto conflict = two_bids();
  conflict.siblings[0].row.reset();
  conflict.siblings[1].row.reset();
  told_->answer->kind = Decision::Kind::kRow;
  EXPECT_EQ(failure(ask(conflict)),
            "failed its answer is wrong: it is a row, but every sibling deleted it");
}

}  // namespace
}  // namespace entente
