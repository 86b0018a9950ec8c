// A running cluster goes over to other topologies, takes a datacenter in, and goes on without one.
// Real gateways.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/feed_client.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class TopologyTest : public ::testing::Test {
 protected:
  void start(std::vector<std::string> dcs, const std::string& topology,
             const std::string& more_limits = "") {
    Cluster::Options options;
    options.dcs = std::move(dcs);
    options.topology = topology;
    options.schema = "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT);";
    options.extra = "limits: {reconnect_max: 100ms" + more_limits + "}\n";
    cluster_ = std::make_unique<Cluster>(options);
  }

  void start_all() {
    cluster_->start_all();
    for (const auto& dc : cluster_->dcs()) ASSERT_TRUE(cluster_->wait_ready(dc));
    ASSERT_TRUE(cluster_->wait_converged({}, 20));  // everybody has the table
  }

  // The file of the first datacenter, with another topology and without some datacenters.
  fs::path file(const std::string& topology, const std::set<std::string>& without = {},
                const std::string& more = "") {
    std::ifstream in(cluster_->folder() / (cluster_->dcs().front() + ".yaml"));
    std::ostringstream out;
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("topology:")) line = "topology: " + topology;
      const auto name =
          line.substr(2, line.find(':') == std::string::npos ? 0 : line.find(':') - 2);
      if (line.starts_with("  ") && without.contains(name)) continue;
      out << line << "\n";
    }
    out << more;
    const auto path = cluster_->folder() / "next.yaml";
    std::ofstream(path) << out.str();
    return path;
  }

  // What the command prints, and how it ends.
  std::pair<std::string, int> entente(std::vector<std::string> words) {
    const auto log = cluster_->folder() / "command.log";
    fs::remove(log);
    words.insert(words.begin(), Cluster::binary());
    Process process(words, log);
    const int code = process.wait();
    std::stringstream text;
    text << std::ifstream(log).rdbuf();
    return {text.str(), code};
  }
  std::string url(const std::string& dc) {
    return "http://127.0.0.1:" + std::to_string(cluster_->port(dc));
  }

  bool put(const std::string& dc, const std::string& key) {
    HttpClient client(cluster_->port(dc));
    return client.request("PUT", "/v1/tables/items/rows/" + key, R"({"row":{"v":"x"}})").status ==
           200;
  }

  std::string rows_at(const std::string& dc) {
    const auto answer = sql(cluster_->port(dc),
                            "SELECT group_concat(id, ' ') FROM (SELECT * FROM items ORDER BY id)");
    const auto at = answer.find("\"rows\"");
    return at == std::string::npos ? answer : answer.substr(at, answer.find("affected") - at);
  }

  // They show the same, and everything that was acknowledged.
  void meet(const std::vector<std::string>& dcs, const std::set<std::string>& acknowledged) {
    const auto same = [&] {
      const auto rows = rows_at(dcs.front());
      return std::all_of(dcs.begin(), dcs.end(),
                         [&](const std::string& dc) { return rows_at(dc) == rows; }) &&
             std::all_of(acknowledged.begin(), acknowledged.end(),
                         [&](const std::string& key) { return has(rows, key); });
    };
    EXPECT_TRUE(comes_true(same, 30s));
  }

  // What a removed datacenter has left is taken in: so many transactions that are new, and others.
  void submit(const std::string& from, const std::string& to, int taken, int had) {
    const auto file = cluster_->folder() / from / "unshipped.ndjson";
    const auto [said, code] = entente({"topology", "submit", file.string(), url(to)});
    EXPECT_EQ(code, 0) << said;
    EXPECT_EQ(said, std::to_string(taken) + " transactions are taken in; " + std::to_string(had) +
                        " were there already\n");
  }

  // c writes alone, is removed, and hears of it when it returns.
  void a_removed_datacenter_leaves_what_only_it_has(bool its_log_forgets) {
    cluster_->proxy("a", "c"), cluster_->proxy("b", "c");
    start_all();
    ASSERT_TRUE(put("c", "shipped."));
    meet(cluster_->dcs(), {"shipped."});
    const auto cut = [&](bool off) {
      cluster_->proxy("a", "c").set_up(!off);
      cluster_->proxy("b", "c").set_up(!off);
    };
    cut(true);
    const auto had = cursor_now(cluster_->port("c"));
    ASSERT_TRUE(put("c", "alone1.") && put("c", "alone2."));
    if (its_log_forgets) {
      ASSERT_TRUE(log_forgets(cluster_->port("c"), had));
    }
    ASSERT_EQ(cluster_->stop("c"), 0);
    cut(false);
    const auto without = file("{kind: all-to-all}", {"c"});
    EXPECT_EQ(entente({"topology", "remove", "b", without.string(), url("a")}).second, 1);
    const auto [said, code] = entente({"topology", "remove", "c", without.string(), url("a")});
    ASSERT_EQ(code, 0) << said;
    ASSERT_TRUE(cluster_->wait_epoch(1, {"a", "b"})) << cluster_->output("b");
    // The zombie returns, hears of it, and ends.
    cluster_->start("c");
    EXPECT_EQ(cluster_->process("c").wait(), 1);
    EXPECT_TRUE(has(cluster_->output("c"), "c was removed from the cluster"))
        << cluster_->output("c");
    submit("c", "b", 2, 0);
    meet({"a", "b"}, {"shipped.", "alone1.", "alone2."});
    if (!its_log_forgets) submit("c", "a", 0, 2);
  }

  std::unique_ptr<Cluster> cluster_;
};

TEST_F(TopologyTest, GoesFromShapeToShapeUnderLoadAndLosesNothing) {
  start({"a", "b", "c", "d"}, "{kind: circle, order: [a, b, c, d], failover_after: 500ms}");
  start_all();
  std::atomic<bool> stop{false};
  std::map<std::string, std::set<std::string>> acknowledged;
  std::vector<std::thread> writers;
  for (const auto& dc : cluster_->dcs()) {
    writers.emplace_back([&, dc, &mine = acknowledged[dc]] {
      for (int i = 0; !stop; ++i) {
        const std::string key = dc + "-" + std::to_string(i) + ".";
        if (put(dc, key)) mine.insert(key);
        std::this_thread::sleep_for(2ms);
      }
    });
  }
  const std::string shapes[] = {"{kind: star, hub: b, failover_after: 500ms}",
                                "{kind: all-to-all, failover_after: 500ms}",
                                "{kind: links, links: [[a, b], [b, c], [c, d]]}"};
  int epoch = 0;
  bool went = true;
  for (const auto& shape : shapes) {
    const auto [said, code] =
        entente({"topology", "apply", file(shape).string(), url(epoch % 2 == 0 ? "a" : "c")});
    EXPECT_EQ(code, 0) << said;
    went = went && cluster_->wait_epoch(++epoch, cluster_->dcs());
  }
  stop = true;
  for (auto& writer : writers) writer.join();
  ASSERT_TRUE(went) << cluster_->output("d");
  std::set<std::string> all;
  for (auto& [dc, keys] : acknowledged) {
    EXPECT_GT(keys.size(), 20u) << dc;
    all.merge(keys);
  }
  meet(cluster_->dcs(), all);
  // It is kept over a restart, and comes before what the file says.
  EXPECT_EQ(cluster_->stop("d"), 0);
  cluster_->start("d");
  ASSERT_TRUE(cluster_->wait_epoch(epoch, cluster_->dcs()));
}

TEST_F(TopologyTest, APlanChangesNothingAndARefusalSaysWhy) {
  start({"a", "b", "c"}, "{kind: all-to-all}");
  start_all();
  const auto star = file("{kind: star, hub: b}");
  const auto [plan, code] = entente({"topology", "plan", star.string(), url("a")});
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(has(plan, "from all-to-all to star")) << plan;
  EXPECT_TRUE(has(plan, "\n  removes link a–c\n")) << plan;
  EXPECT_TRUE(has(entente({"topology", "show", url("a")}).first, "all-to-all, epoch 0"));
  // Leaving somebody out has to be asked for.
  const auto smaller = file("{kind: all-to-all}", {"c"});
  const auto [refusal, refused] = entente({"topology", "apply", smaller.string(), url("a")});
  EXPECT_EQ(refused, 1);
  EXPECT_TRUE(has(refusal, "it leaves out c")) << refusal;
  // So has a file that reads badly, or does not connect everybody.
  const auto cut = file("{kind: links, links: [[a, b]]}");
  const auto [problem, bad] = entente({"topology", "apply", cut.string(), url("a")});
  EXPECT_EQ(bad, 2) << problem;
  HttpClient client(cluster_->port("a"));
  EXPECT_EQ(client.request("POST", "/v1/topology", R"({"yaml":"cluster: x"})").status, 400);
  EXPECT_EQ(client.request("POST", "/v1/topology", R"({"yaml":"","epoch":7})").status, 409);
  EXPECT_TRUE(cluster_->wait_epoch(0, cluster_->dcs()));
}

TEST_F(TopologyTest, WhoWasAwayGoesOverWhenItReturns) {
  start({"a", "b", "c"}, "{kind: star, hub: a}");
  start_all();
  ASSERT_TRUE(put("a", "before."));
  cluster_->kill("c");
  ASSERT_EQ(entente({"topology", "apply", file("{kind: all-to-all}").string(), url("b")}).second,
            0);
  ASSERT_TRUE(comes_true([&] {
    return has(entente({"topology", "show", url("a")}).first, "epoch 1");
  }));
  cluster_->start("c");
  ASSERT_TRUE(cluster_->wait_epoch(1, cluster_->dcs())) << cluster_->output("c");
  ASSERT_TRUE(put("c", "after."));
  meet(cluster_->dcs(), {"before.", "after."});
}

// P7. The same one for everybody, and nobody begins anew for ever.
TEST_F(TopologyTest, OfTwoThatWereAppliedAtOnceOneHoldsEverywhere) {
  start({"a", "b", "c"}, "{kind: all-to-all}");
  cluster_->proxy("a", "b"), cluster_->proxy("a", "c");
  start_all();
  const auto cut = [&](bool off) {
    cluster_->proxy("a", "b").set_up(!off);
    cluster_->proxy("a", "c").set_up(!off);
  };
  const auto apply = [&](const std::string& topology, const std::string& at) {
    return entente({"topology", "apply", file(topology).string(), url(at)}).second;
  };
  cut(true);
  ASSERT_EQ(apply("{kind: star, hub: a}", "a"), 0);
  ASSERT_EQ(apply("{kind: circle, order: [a, b, c]}", "b"), 0);
  for (const auto& dc : cluster_->dcs()) {
    EXPECT_TRUE(comes_true([&] {
      return has(entente({"topology", "show", url(dc)}).first, "epoch 1");
    }));
  }
  ASSERT_TRUE(comes_true([&] { return put("a", "of.a."); }));
  ASSERT_TRUE(comes_true([&] { return put("b", "of.b."); }));
  cut(false);
  meet(cluster_->dcs(), {"of.a.", "of.b."});
  const auto shown = [&](const std::string& dc) {
    return entente({"topology", "show", url(dc)}).first;
  };
  EXPECT_EQ(shown("b"), shown("a"));
  EXPECT_EQ(shown("c"), shown("a"));
  const auto kept = [&](const std::string& dc) {
    return fs::exists(cluster_->folder() / dc / "topology.superseded");
  };
  EXPECT_EQ(kept("b"), !kept("a"));  // who lost it can read what it was
}

TEST_F(TopologyTest, ANewDatacenterIsTakenInAndJoins) {
  start({"a", "b", "c"}, "{kind: all-to-all}");
  for (const char* dc : {"a", "b"}) cluster_->start(dc);  // writes the files of these two, with c
  const auto with_c = file("{kind: all-to-all}");
  for (const char* dc : {"a", "b"}) cluster_->kill(dc), fs::remove_all(cluster_->folder() / dc);
  // The cluster begins without c.
  for (const std::string dc : {"a", "b"}) {
    const auto small = file("{kind: all-to-all}", {"c"});
    fs::rename(small, cluster_->folder() / (dc + "-small.yaml"));
  }
  std::vector<std::unique_ptr<Process>> first;
  for (const std::string dc : {"a", "b"}) {
    first.push_back(std::make_unique<Process>(
        std::vector<std::string>{Cluster::binary(), "serve", "--config",
                                 (cluster_->folder() / (dc + "-small.yaml")).string(), "--dc", dc,
                                 "--data", (cluster_->folder() / dc).string(), "--first"},
        cluster_->folder() / (dc + "-small.log")));
  }
  ASSERT_TRUE(cluster_->wait_epoch(0, {"a", "b"}));
  ASSERT_TRUE(put("a", "before."));
  meet({"a", "b"}, {"before."});
  fs::rename(file("{kind: all-to-all}"), with_c);
  const auto [said, code] = entente({"topology", "apply", with_c.string(), url("b")});
  ASSERT_EQ(code, 0) << said;
  EXPECT_TRUE(has(said, "adds datacenter c")) << said;
  cluster_->start("c");
  ASSERT_TRUE(cluster_->wait_epoch(1, {"a", "b", "c"})) << cluster_->output("c");
  ASSERT_TRUE(put("c", "after."));
  meet({"a", "b", "c"}, {"before.", "after."});
  for (auto& process : first) {
    process->signal(SIGTERM);
    EXPECT_EQ(process->wait(), 0);
  }
}

TEST_F(TopologyTest, ARemovedDatacenterEndsAndLeavesWhatOnlyItHas) {
  start({"a", "b", "c"}, "{kind: all-to-all}");
  a_removed_datacenter_leaves_what_only_it_has(false);
}

TEST_F(TopologyTest, ARemovedDatacenterLeavesTheRowsIfItsLogHasForgottenTheChanges) {
  start({"a", "b", "c"}, "{kind: all-to-all}", ", log_retention: 1s, changes_retention: 0ms");
  a_removed_datacenter_leaves_what_only_it_has(true);
}

// a goes back to a backup, and c, who lacks what was lost, takes what a writes then under its old
// name before anybody who knows better is there. That is refused, said, and healed by hand: nothing
// that either history has is lost.
TEST_F(TopologyTest, WhoTookAnothersSecondHistoryIsToldSoAndLosesNothingByJoiningAgain) {
  start({"a", "b", "c"}, "{kind: all-to-all}");
  TcpProxy& ab = cluster_->proxy("a", "b");
  TcpProxy& ac = cluster_->proxy("a", "c");
  TcpProxy& bc = cluster_->proxy("b", "c");
  start_all();
  ASSERT_TRUE(put("a", "shared."));
  meet(cluster_->dcs(), {"shared."});
  const fs::path folder = cluster_->folder() / "a", backup = cluster_->folder() / "a.backup";
  ASSERT_EQ(cluster_->stop("a"), 0);
  fs::copy(folder, backup, fs::copy_options::recursive);
  cluster_->start("a");
  ASSERT_TRUE(cluster_->wait_ready("a"));
  ac.set_up(false), bc.set_up(false);
  ASSERT_TRUE(put("a", "lost."));
  meet({"a", "b"}, {"shared.", "lost."});
  ASSERT_EQ(cluster_->stop("a"), 0);
  ab.set_up(false);
  fs::remove_all(folder);
  fs::rename(backup, folder);
  ac.set_up(true);
  cluster_->start("a");
  ASSERT_TRUE(cluster_->wait_ready("a"));
  ASSERT_TRUE(put("a", "second."));
  meet({"a", "c"}, {"shared.", "second."});
  ac.set_up(false);
  ASSERT_TRUE(put("c", "after."));

  ab.set_up(true), bc.set_up(true);
  meet({"a", "b"}, {"shared.", "lost.", "second."});  // a is in a new life, with what it wrote
  ac.set_up(true);
  const auto refused = [&] {
    const auto status = entente({"status", url("c")}).first;
    return has(status, "two histories of a") &&
           has(status,
               "c took the one that a has given up. Nothing is lost by `entente topology remove c "
               "FILE`");
  };
  EXPECT_TRUE(comes_true(refused, 20s)) << entente({"status", url("c")}).first;
  EXPECT_FALSE(has(rows_at("b"), "after."));

  const auto all = cluster_->folder() / "all.yaml";
  fs::copy(file("{kind: all-to-all}"), all);
  const auto without = file("{kind: all-to-all}", {"c"});
  ASSERT_EQ(entente({"topology", "remove", "c", without.string(), url("a")}).second, 0);
  EXPECT_EQ(cluster_->process("c").wait(), 1);
  EXPECT_TRUE(has(cluster_->output("c"), "c was removed from the cluster"));
  ASSERT_TRUE(cluster_->wait_epoch(1, {"a", "b"}));
  submit("c", "b", 1, 1);  // what a wrote then, a has brought over itself
  meet({"a", "b"}, {"shared.", "lost.", "second.", "after."});
  fs::remove_all(cluster_->folder() / "c");
  const auto [said, code] = entente({"topology", "apply", all.string(), url("b")});
  ASSERT_EQ(code, 0) << said;
  ASSERT_TRUE(comes_true([&] {
    return has(entente({"topology", "show", url("a")}).first, "epoch 2");
  }));
  cluster_->start("c");
  ASSERT_TRUE(cluster_->wait_epoch(2, cluster_->dcs())) << cluster_->output("c");
  meet(cluster_->dcs(), {"shared.", "lost.", "second.", "after."});
  EXPECT_EQ(entente({"verify", url("a")}).second, 0);
}

// P7: a leader whose disk is gone is removed by the file that names another one.
TEST_F(TopologyTest, ALostSchemaLeaderIsReplacedByOneCommandWhileTheRestServes) {
  start({"a", "b", "c"}, "{kind: all-to-all}");
  start_all();
  const std::string circle = "{kind: circle, order: [a, b, c]}", rest = "{kind: all-to-all}";
  ASSERT_EQ(entente({"topology", "apply", file(circle).string(), url("a")}).second, 0);
  ASSERT_TRUE(cluster_->wait_epoch(1, cluster_->dcs()));
  ASSERT_TRUE(put("a", "before."));
  meet(cluster_->dcs(), {"before."});
  cluster_->kill("a");
  fs::remove_all(cluster_->folder() / "a");
  const auto remove = [&](const std::string& more) {
    return entente({"topology", "remove", "a", file(rest, {"a"}, more).string(), url("c")});
  };
  const auto [refusal, refused] = remove("");
  EXPECT_EQ(refused, 1);
  EXPECT_TRUE(has(refusal, "a leads the schema: name the datacenter")) << refusal;
  const auto [said, code] = remove("schema_leader: b\n");
  ASSERT_EQ(code, 0) << said;
  EXPECT_TRUE(has(said, "schema leader from a to b")) << said;
  ASSERT_TRUE(cluster_->wait_epoch(2, {"b", "c"})) << cluster_->output("b");
  EXPECT_TRUE(has(entente({"leader", "show", url("c")}).first, "b leads the schema"));
  const auto made = sql(cluster_->port("c"), "CREATE TABLE later (id TEXT PRIMARY KEY)");
  EXPECT_TRUE(has(made, "\"type\":\"ok\"")) << made;
  ASSERT_TRUE(put("b", "after."));
  meet({"b", "c"}, {"before.", "after."});
  // It comes back with its old file and no data, and finds that it is not one of them any more.
  cluster_->start("a");
  EXPECT_EQ(cluster_->process("a").wait(), 1);
  EXPECT_TRUE(has(cluster_->output("a"), "a was removed from the cluster"))
      << cluster_->output("a");
}

TEST_F(TopologyTest, AnotherLeadsTheSchemaWithoutANewFile) {
  start({"a", "b", "c"}, "{kind: all-to-all}");
  start_all();
  EXPECT_TRUE(has(entente({"leader", "show", url("c")}).first, "a leads the schema"));
  EXPECT_EQ(entente({"leader", "move", "x", url("c")}).second, 1);
  const auto [said, code] = entente({"leader", "move", "b", url("c")});
  ASSERT_EQ(code, 0) << said;
  ASSERT_TRUE(cluster_->wait_epoch(1, cluster_->dcs())) << cluster_->output("a");
  const auto made = sql(cluster_->port("a"), "CREATE TABLE later (id TEXT PRIMARY KEY)");
  EXPECT_TRUE(has(made, "\"type\":\"ok\"")) << made;
  // The next topology leaves it so, and a restart, too.
  const auto star = file("{kind: star, hub: a}");
  ASSERT_EQ(entente({"topology", "apply", star.string(), url("a")}).second, 0);
  ASSERT_TRUE(cluster_->wait_epoch(2, cluster_->dcs()));
  EXPECT_EQ(cluster_->stop("c"), 0);
  cluster_->start("c");
  ASSERT_TRUE(cluster_->wait_epoch(2, cluster_->dcs())) << cluster_->output("c");
  EXPECT_TRUE(has(entente({"leader", "show", url("c")}).first, "b leads the schema"));
}

// The applied topology says who is there; the file says what the rules are.
TEST_F(TopologyTest, ARestartOfAllBringsNewRulesAlsoOnceATopologyWasApplied) {
  start({"a", "b", "c"}, "{kind: circle, order: [a, b, c]}");
  start_all();
  const auto mesh = file("{kind: all-to-all}");
  ASSERT_EQ(entente({"topology", "apply", mesh.string(), url("a")}).second, 0);
  ASSERT_TRUE(cluster_->wait_epoch(1, cluster_->dcs()));
  for (const auto& dc : cluster_->dcs()) EXPECT_EQ(cluster_->stop(dc), 0);
  cluster_->set_extra("limits: {reconnect_max: 100ms}\ntables: {items: {policy: siblings}}\n");
  cluster_->start_all();
  ASSERT_TRUE(cluster_->wait_epoch(1, cluster_->dcs())) << cluster_->output("a");
  ASSERT_TRUE(put("a", "after."));
  meet(cluster_->dcs(), {"after."});
  HttpClient client(cluster_->port("b"));
  const auto row = client.request("GET", "/v1/tables/items/rows/after.").body;
  EXPECT_TRUE(has(row, "\"policy\":\"siblings\"")) << row;
}

}  // namespace
}  // namespace entente::testing
