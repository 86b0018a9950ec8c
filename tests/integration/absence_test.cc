// A datacenter that was cut off for ten minutes, and for longer than the others' logs reach by
// default, while everybody went on writing. The gateways' wall clocks really are shifted.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/feed_client.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;

class Absence : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.proxy("a", "c"), cluster_.proxy("b", "c");
    let_pass(0ms);
    cluster_.start_all();
    for (const auto& dc : cluster_.dcs()) ASSERT_TRUE(cluster_.wait_ready(dc));
    write("a", "both", "before");
    ASSERT_TRUE(cluster_.wait_converged({}, 30));
  }

  void isolate_c(bool on) {
    cluster_.proxy("a", "c").set_up(!on);
    cluster_.proxy("b", "c").set_up(!on);
  }

  // On everybody's wall clock.
  void let_pass(std::chrono::milliseconds time) {
    for (const auto& dc : cluster_.dcs()) cluster_.shift_clock(dc, time);
  }

  void write(const std::string& dc, const std::string& key, const std::string& value) {
    HttpClient client(cluster_.port(dc));
    const auto answer = client.request("PUT", "/v1/tables/items/rows/" + key,
                                       R"({"row":{"v":")" + value + R"("}})");
    ASSERT_EQ(answer.status, 200) << answer.body;
  }

  // What was written on each side while they were apart, after half of the time.
  void part_for(std::chrono::milliseconds time) {
    isolate_c(true);
    for (const char* dc : {"a", "c"}) cursors_.push_back(cursor_now(cluster_.port(dc)));
    write("a", "both", "a wrote first");
    for (const auto& dc : cluster_.dcs()) write(dc, "first-of-" + dc, dc);
    let_pass(time);
    for (const auto& dc : cluster_.dcs()) write(dc, "last-of-" + dc, dc);
    write("c", "both", "c wrote last");
  }

  void meet() {
    isolate_c(false);
    ASSERT_TRUE(cluster_.wait_converged({}, 60)) << cluster_.output("c");
    // Who needed a copy serves once it has caught up.
    for (const auto& dc : cluster_.dcs()) ASSERT_TRUE(cluster_.wait_ready(dc, 60)) << dc;
    for (const auto& dc : cluster_.dcs()) {
      HttpClient client(cluster_.port(dc));
      const auto row = [&](const std::string& key) {
        return client.request("GET", "/v1/tables/items/rows/" + key).body;
      };
      EXPECT_TRUE(has(row("both"), "c wrote last")) << dc << ": " << row("both");
      for (const auto& by : cluster_.dcs()) {
        EXPECT_TRUE(has(row("first-of-" + by), R"("v":")" + by)) << dc;
        EXPECT_TRUE(has(row("last-of-" + by), R"("v":")" + by)) << dc;
      }
      const auto lost = client.request("GET", "/v1/conflicts?table=items").body;
      EXPECT_TRUE(has(lost, "a wrote first")) << dc << ": " << lost;
    }
  }

  Cluster cluster_{{{"a", "b", "c"},
                    "{kind: all-to-all}",
                    "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT);",
                    "conflicts: {policy: lww, granularity: row}\n"}};
  std::vector<std::string> cursors_;  // of a and c, when they parted
};

TEST_F(Absence, OfTenMinutesEndsWithWhatTheLogsHold) {
  part_for(10min);
  meet();
  EXPECT_FALSE(has(cluster_.output("c"), "rejoined")) << cluster_.output("c");
}

TEST_F(Absence, OfMoreThanAWeekEndsWithACopyAndWhatItAloneHas) {
  part_for(8 * 24h);
  ASSERT_TRUE(log_forgets(cluster_.port("a"), cursors_[0]));
  ASSERT_TRUE(log_forgets(cluster_.port("c"), cursors_[1]));
  meet();
  EXPECT_TRUE(has(cluster_.output("c"), "rejoined dc=c")) << cluster_.output("c");
}

}  // namespace
}  // namespace entente::testing
