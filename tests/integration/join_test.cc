// A datacenter without a database joins a cluster that is written to; one that lost its database
// gets it back from a copy that is too old. Real gateways.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"
#include "tests/support/writer.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;

Cluster::Options three() { return {{"a", "b", "c"}, "{kind: all-to-all}", kItemsTable, ""}; }

TEST(Join, ANewDatacenterServesOnlyWhenItHasWhatWasAcknowledgedBefore) {
  Cluster cluster(three());
  cluster.start("a"), cluster.start("c");
  ASSERT_TRUE(cluster.wait_ready("a") && cluster.wait_ready("c"));
  Writer at_a(cluster, "a"), at_c(cluster, "c");
  while (at_a.acknowledged().size() < 1000) std::this_thread::sleep_for(10ms);
  const auto before = at_a.acknowledged();
  std::this_thread::sleep_for(200ms);  // a copy may come from either: let c have them
  cluster.start("b");
  ASSERT_TRUE(cluster.wait_ready("b")) << cluster.output("b");
  EXPECT_TRUE(has(cluster.output("b"), "joined dc=b")) << cluster.output("b");
  EXPECT_TRUE(has(cluster.output("b"), "caught_up dc=b")) << cluster.output("b");
  EXPECT_TRUE(includes(keys_at(cluster, "b"), before));
  Writer at_b(cluster, "b");
  while (at_b.acknowledged().size() < 200) std::this_thread::sleep_for(10ms);
  for (auto* writer : {&at_a, &at_b, &at_c}) writer->stop();
  ASSERT_TRUE(cluster.wait_converged(cluster.applied("b"), 30));
  for (const auto& dc : cluster.dcs()) {
    const auto keys = keys_at(cluster, dc);
    for (const auto* writer : {&at_a, &at_b, &at_c}) {
      EXPECT_TRUE(includes(keys, writer->acknowledged())) << dc;
    }
  }
}

TEST(Join, ACutDownloadGoesOnWhereItWas) {
  auto options = three();
  options.dcs = {"b", "a"};  // b leads the schema
  Cluster cluster(options);
  TcpProxy& link = cluster.proxy("a", "b");  // a, the new one, reaches b through it
  cluster.start("b");
  ASSERT_TRUE(cluster.wait_ready("b")) << cluster.output("b");
  // About 40 MB that do not compress, in pieces of 4 MiB.
  for (int i = 0; i < 8; ++i) {
    const auto answer = sql(cluster.port("b"),
                            "INSERT INTO items WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
                            "i + 1 FROM n WHERE i < 5000) SELECT hex(randomblob(8)), "
                            "hex(randomblob(250)) FROM n");
    ASSERT_FALSE(has(answer, "\"error\"")) << answer;
  }
  std::atomic<bool> stop{false};
  std::atomic<int> cuts{0};
  std::thread cutter([&] {
    uint64_t cut_at = 3 << 20;
    while (!stop && cuts < 4) {
      if (link.bytes() > cut_at) {
        link.set_up(false);
        std::this_thread::sleep_for(100ms);
        link.set_up(true);
        cut_at = link.bytes() + (5 << 20);
        ++cuts;
      }
      std::this_thread::sleep_for(1ms);
    }
  });
  cluster.start("a");
  const bool ready = cluster.wait_ready("a");
  stop = true;
  cutter.join();
  ASSERT_TRUE(ready) << cluster.output("a");
  EXPECT_TRUE(has(cluster.output("a"), "joined dc=a")) << cluster.output("a");
  EXPECT_GE(cuts, 1);
  ASSERT_TRUE(cluster.wait_converged({}, 30));
  const auto sum = [&](const std::string& dc) {
    return sql(cluster.port(dc), "SELECT count(*), sum(length(v)), min(v), max(v) FROM items");
  };
  const auto rows = [](const std::string& answer) {
    return answer.substr(answer.find("\"rows\""),
                         answer.find("affected") - answer.find("\"rows\""));
  };
  EXPECT_TRUE(has(sum("a"), "\"value\":\"40000\"")) << sum("a");
  EXPECT_EQ(rows(sum("a")), rows(sum("b")));
}

TEST(Restore, AStaleBackupCatchesUpBeforeItServesAndLosesNothing) {
  Cluster cluster(three());
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc));
  std::set<std::string> acknowledged;
  const auto write_some = [&] {
    Writer at_a(cluster, "a"), at_b(cluster, "b");
    std::this_thread::sleep_for(200ms);
    for (auto* writer : {&at_a, &at_b}) {
      writer->stop();
      acknowledged.merge(writer->acknowledged());
    }
  };
  write_some();
  const auto run = [&](const std::string& command, const std::string& file) {
    Process process(
        {Cluster::binary(), command, "--config", (cluster.folder() / "b.yaml").string(), "--dc",
         "b", "--data", (cluster.folder() / "b").string(), (cluster.folder() / file).string()},
        cluster.folder() / (command + ".log"));
    return process.wait();
  };
  ASSERT_EQ(run("snapshot", "b.copy"), 0);
  EXPECT_EQ(run("restore", "b.copy"), 1);  // it runs
  write_some();
  ASSERT_TRUE(cluster.wait_converged({}, 30));
  cluster.kill("b");
  EXPECT_EQ(run("restore", "b.copy"), 1);  // there is a database
  std::filesystem::rename(cluster.folder() / "b", cluster.folder() / "b.burnt");
  ASSERT_EQ(run("restore", "b.copy"), 0);
  // Alone it does not serve: others may have collected what it still shows.
  cluster.kill("a"), cluster.kill("c");
  cluster.start("b");
  std::this_thread::sleep_for(500ms);
  EXPECT_TRUE(has(sql(cluster.port("b"), "SELECT 1"), "catching_up"));
  cluster.start("a"), cluster.start("c");
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  EXPECT_TRUE(includes(keys_at(cluster, "b"), acknowledged));
  write_some();
  ASSERT_TRUE(cluster.wait_converged({}, 30));
  for (const auto& dc : cluster.dcs()) {
    EXPECT_TRUE(includes(keys_at(cluster, dc), acknowledged)) << dc;
  }
  // It is not asked again after a restart.
  cluster.kill("a"), cluster.kill("c");
  EXPECT_EQ(cluster.stop("b"), 0);
  cluster.start("b");
  EXPECT_TRUE(cluster.wait_ready("b"));
}

}  // namespace
}  // namespace entente::testing
