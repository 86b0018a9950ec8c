#include "tests/integration/healing_cluster.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>

#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kWriterPause = 3ms;

std::string row_path(const std::string& key) { return "/v1/tables/items/rows/" + key; }

std::string text_of(simdjson::dom::element object, const char* name) {
  std::string_view text;
  return object[name].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

uint64_t number_of(simdjson::dom::element object, const char* name) {
  uint64_t number = 0;
  return object[name].get(number) == simdjson::SUCCESS ? number : 0;
}

// Calls `use` with each member of an array of this gateway's answer.
template <class Use>
void for_each(Cluster& cluster, const std::string& dc, const char* path, const char* array,
              Use use) {
  HttpClient client(cluster.port(dc));
  const auto body = client.request("GET", path).body;
  simdjson::dom::parser parser;
  simdjson::dom::array members;
  if (parser.parse(body)[array].get(members) != simdjson::SUCCESS) return;
  for (const auto member : members) use(member);
}

}  // namespace

HealingCluster::HealingCluster(std::vector<std::string> dcs, const std::string& topology)
    : cluster_(
          {std::move(dcs),
           "{" + topology + ", failover_after: " + std::to_string(kFailoverAfter.count()) + "ms}",
           kItemsTable, "limits: {heartbeat: 100ms, reconnect_max: 200ms}\n"}) {}

bool HealingCluster::start() {
  cluster_.start_all();
  for (const auto& dc : cluster_.dcs()) {
    if (!cluster_.wait_ready(dc)) return false;
  }
  if (!cluster_.wait_converged({}, 20)) return false;  // all have the table
  return comes_true([&] {
    for (const auto& dc : cluster_.dcs()) {
      const auto all = links(dc);
      const bool up = std::all_of(all.begin(), all.end(),
                                  [](const LinkFigures& l) { return l.up && !l.spare; });
      if (all.empty() || !up) return false;
    }
    return true;
  });
}

void HealingCluster::kill(const std::vector<std::string>& dcs) {
  for (const auto& dc : dcs) cluster_.kill(dc);
}

bool HealingCluster::revive(const std::vector<std::string>& dcs) {
  for (const auto& dc : dcs) cluster_.start(dc);
  return std::all_of(dcs.begin(), dcs.end(),
                     [&](const std::string& dc) { return cluster_.wait_ready(dc); });
}

void HealingCluster::write_everywhere() {
  for (const auto& dc : cluster_.dcs()) {
    writers_.push_back(std::make_unique<Writer>(cluster_, dc, dc, kWriterPause));
  }
  for (const auto& writer : writers_) {
    EXPECT_TRUE(comes_true([&] { return !writer->acknowledged().empty(); }));
  }
}

bool HealingCluster::put(const std::string& dc, const std::string& key) {
  HttpClient client(cluster_.port(dc));
  if (client.request("PUT", row_path(key), R"({"row":{"v":"put"}})").status != 200) return false;
  acknowledged_.insert(key);
  return true;
}

bool HealingCluster::shows(const std::string& dc, const std::string& key) {
  HttpClient client(cluster_.port(dc));
  return client.request("GET", row_path(key)).status == 200;
}

std::optional<std::chrono::milliseconds> HealingCluster::exchange(
    const std::vector<std::string>& dcs) {
  const auto begin = Clock::now();
  const std::string round = "exchange-" + std::to_string(exchanges_++) + "-";
  for (const auto& from : dcs) {
    if (!put(from, round + from)) return std::nullopt;
  }
  for (const auto& at : dcs) {
    for (const auto& from : dcs) {
      if (!comes_true([&] { return shows(at, round + from); })) return std::nullopt;
    }
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
}

void HealingCluster::expect_everything_everywhere() {
  for (const auto& writer : writers_) {
    writer->stop();
    EXPECT_GT(writer->acknowledged().size(), 0u);
    acknowledged_.merge(writer->acknowledged());
  }
  ASSERT_TRUE(cluster_.wait_converged({}, 30));
  const auto everything = keys_at(cluster_, cluster_.dcs().front());
  EXPECT_TRUE(includes(everything, acknowledged_));
  for (const auto& dc : cluster_.dcs()) EXPECT_EQ(keys_at(cluster_, dc), everything) << dc;
  ::testing::Test::RecordProperty("rows", static_cast<int>(everything.size()));
}

std::vector<LinkFigures> HealingCluster::links(const std::string& dc) {
  std::vector<LinkFigures> out;
  for_each(cluster_, dc, "/v1/links", "links", [&](simdjson::dom::element link) {
    bool spare = false;
    if (link["spare"].get(spare) != simdjson::SUCCESS) spare = false;
    out.push_back({text_of(link, "peer"), text_of(link, "state") == "up", spare,
                   number_of(link, "sent_transactions"), number_of(link, "received_transactions"),
                   number_of(link, "duplicates")});
  });
  return out;
}

LinkFigures HealingCluster::link(const std::string& dc, const std::string& peer) {
  for (auto& link : links(dc)) {
    if (link.peer == peer) return link;
  }
  return {};
}

std::string HealingCluster::upstream(const std::string& dc, const std::string& origin) {
  std::string now;
  for_each(cluster_, dc, "/v1/topology", "upstreams", [&](simdjson::dom::element entry) {
    if (text_of(entry, "dc") == origin) now = text_of(entry, "now");
  });
  return now;
}

bool HealingCluster::has_spares(const std::string& dc) {
  const auto all = links(dc);
  return std::any_of(all.begin(), all.end(), [](const LinkFigures& l) { return l.spare; });
}

}  // namespace entente::testing
