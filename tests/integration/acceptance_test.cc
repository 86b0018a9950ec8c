// The main promise, with real processes: five gateways take writes everywhere while a link flaps
// and a gateway dies, and end identical, with nothing that was acknowledged lost (P1, P2, P4, P6).

#include <gtest/gtest.h>
#include <simdjson.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "conflict/context.h"
#include "tests/support/cluster.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kWrites = 20'000;
constexpr int kHotRows = 200;
constexpr int kContendedRows = 20;
constexpr int kWritersPerSite = 2;

struct Acknowledged {
  std::string value;
  std::string dot;
  uint64_t hlc = 0;
  Dot id;
  VersionVector seen;  // the context that it presented, or else what its gateway had applied
};

// What the clients know: the oracle's only source, apart from the gateways' final answers.
struct History {
  std::mutex mutex;
  std::map<std::string, std::vector<Acknowledged>> by_key;
  std::set<std::string> uncertain;  // keys with a write whose answer was lost
  VersionVector everything;
  std::atomic<int> acknowledged{0};
};

Dot parse_dot(const std::string& text) {
  Dot d;
  for (size_t i = 0; i < d.origin.id.size(); ++i) {
    d.origin.id[i] = static_cast<uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
  }
  d.seq = std::stoull(text.substr(33));
  return d;
}

// `presented`: the context that the write named; "" none.
void remember(History& history, const std::string& key, const std::string& value,
              const std::string& body, const std::string& presented = {}) {
  simdjson::dom::parser parser;
  const auto answer = parser.parse(body);
  Acknowledged w;
  w.value = value;
  w.dot = std::string(answer["dot"].get_string().value());
  w.id = parse_dot(w.dot);
  const auto context = parse_context_token(answer["context"].get_string().value());
  ASSERT_TRUE(context.has_value()) << body;
  ASSERT_TRUE(context->covers(w.id)) << body;
  w.seen = presented.empty() ? context->seen : parse_context_token(presented)->seen;
  const std::lock_guard lock(history.mutex);
  history.everything.advance(w.id.origin, w.id.seq);
  if (w.seen.covers(w.id)) w.seen.set(w.id.origin, w.id.seq - 1);
  history.by_key[key].push_back(std::move(w));
  ++history.acknowledged;
}

// Writes its share of rows at one site; half of them to the hot rows that everybody writes.
void write_share(Cluster& cluster, const std::string& dc, int writer, int count, History& history) {
  HttpClient client(cluster.port(dc));
  for (int i = 0; i < count; ++i) {
    const std::string value = dc + "-" + std::to_string(writer) + "-" + std::to_string(i);
    const bool hot = i % 2 == 0;
    const std::string key =
        hot ? "hot" + std::to_string((i * 7919 + writer * 104729) % kHotRows) : "own-" + value;
    const auto response =
        client.request("PUT", "/v1/tables/items/rows/" + key, R"({"row":{"v":")" + value + R"("}})",
                       "Content-Type: application/json\r\n");
    if (response.status == 200) {
      remember(history, key, value, response.body);
    } else if (response.status == 0) {  // the gateway died: nobody knows whether it committed
      {
        const std::lock_guard lock(history.mutex);
        history.uncertain.insert(key);
      }
      while (client.request("GET", "/readyz").status != 200) std::this_thread::sleep_for(20ms);
    } else {
      ADD_FAILURE() << dc << " answered " << response.status << ": " << response.body;
    }
  }
}

// The last word on some hot rows is spoken at every site at once, by writers who had all read the
// same version: so that values remain that lost to nobody who had seen them.
void write_concurrently(Cluster& cluster, History& history) {
  for (int row = 0; row < kContendedRows; ++row) {
    const std::string key = "hot" + std::to_string(row);
    HttpClient reader(cluster.port(cluster.dcs().front()));
    simdjson::dom::parser parser;
    const auto read = reader.request("GET", "/v1/tables/items/rows/" + key);
    const std::string context(parser.parse(read.body)["context"].get_string().value());
    for (const auto& dc : cluster.dcs()) {
      const std::string value = dc + "-last-" + std::to_string(row);
      HttpClient client(cluster.port(dc));
      const auto response =
          client.request("PUT", "/v1/tables/items/rows/" + key,
                         R"({"row":{"v":")" + value + R"("},"context":")" + context + R"("})",
                         "Content-Type: application/json\r\n");
      ASSERT_EQ(response.status, 200) << response.body;
      remember(history, key, value, response.body, context);
    }
  }
}

std::string all_rows(Cluster& cluster, const std::string& dc) {
  const std::string body = sql(cluster.port(dc), "SELECT id, v FROM items ORDER BY id");
  simdjson::dom::parser parser;
  const auto parsed = parser.parse(body);
  return simdjson::minify(parsed["results"].at(0)["response"]["result"]["rows"].value());
}

std::map<std::string, std::string> rows_of(const std::string& rows) {
  simdjson::dom::parser parser;
  std::map<std::string, std::string> out;
  const simdjson::dom::array array = parser.parse(rows).get_array().value();
  for (const auto row : array) {
    out[std::string(row.at(0)["value"].get_string().value())] =
        std::string(row.at(1)["value"].get_string().value());
  }
  return out;
}

// The dots of every value the conflict log of a site lists as a loser, with its value.
std::map<std::string, std::string> losers_at(Cluster& cluster, const std::string& dc) {
  HttpClient client(cluster.port(dc));
  std::map<std::string, std::string> losers;
  std::string cursor;
  do {
    const auto response = client.request(
        "GET", "/v1/conflicts?limit=1000" + (cursor.empty() ? "" : "&since=" + cursor));
    simdjson::dom::parser parser;
    const auto page = parser.parse(response.body);
    EXPECT_EQ(response.status, 200) << response.body;
    const simdjson::dom::array entries = page["conflicts"].get_array().value();
    for (const auto entry : entries) {
      const simdjson::dom::array listed = entry["losers"].get_array().value();
      for (const auto loser : listed) {
        losers[std::string(loser["dot"].get_string().value())] =
            std::string(loser["row"]["v"].get_string().value());
      }
    }
    std::string_view next;
    cursor = page["next"].get_string().get(next) == simdjson::SUCCESS ? std::string(next) : "";
  } while (!cursor.empty());
  return losers;
}

// Every acknowledged write is visible, or overwritten by somebody who had seen it, or listed as a
// loser with its value at every site.
void check_nothing_lost(const History& history, const std::map<std::string, std::string>& rows,
                        const std::map<std::string, std::map<std::string, std::string>>& losers) {
  int concurrent = 0;
  for (const auto& [key, writes] : history.by_key) {
    for (const auto& w : writes) {
      const auto row = rows.find(key);
      if (row != rows.end() && row->second == w.value) continue;
      const bool overwritten = std::any_of(
          writes.begin(), writes.end(), [&](const auto& other) { return other.seen.covers(w.id); });
      if (overwritten || history.uncertain.contains(key)) continue;
      ++concurrent;
      for (const auto& [dc, listed] : losers) {
        const auto it = listed.find(w.dot);
        ASSERT_NE(it, listed.end()) << w.value << " of " << key << " is lost at " << dc;
        ASSERT_EQ(it->second, w.value) << "listed with another value at " << dc;
      }
    }
  }
  EXPECT_GE(concurrent, kContendedRows * 2) << "the workload made no conflicts: it tested nothing";
}

struct Shape {
  const char* name;
  const char* topology;
};

class Acceptance : public ::testing::TestWithParam<Shape> {};

TEST_P(Acceptance, FiveSitesEndIdenticalWithNothingLostThroughAFlappingLinkAndAKill) {
  Cluster cluster({{"amber", "birch", "cedar", "delta", "ember"},
                   GetParam().topology,
                   "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT);",
                   "conflicts: {policy: lww, granularity: row}\n"});
  TcpProxy& flapping = cluster.proxy("amber", "birch");
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) {
    ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  }
  ASSERT_TRUE(cluster.wait_converged({}, 20));

  History history;
  std::vector<std::thread> writers;
  const int share = kWrites / static_cast<int>(cluster.dcs().size()) / kWritersPerSite;
  for (const auto& dc : cluster.dcs()) {
    for (int w = 0; w < kWritersPerSite; ++w) {
      writers.emplace_back([&, dc, w] { write_share(cluster, dc, w, share, history); });
    }
  }
  std::atomic<bool> writing{true};
  std::thread flap([&] {
    for (bool up = false; writing; up = !up) {
      flapping.set_up(up);
      std::this_thread::sleep_for(150ms);
    }
    flapping.set_up(true);
  });
  while (history.acknowledged < kWrites / 3) std::this_thread::sleep_for(10ms);
  cluster.kill("cedar");
  while (history.acknowledged < kWrites / 2) std::this_thread::sleep_for(10ms);
  cluster.start("cedar");
  for (auto& writer : writers) writer.join();
  writing = false;
  flap.join();

  ASSERT_TRUE(cluster.wait_ready("cedar")) << cluster.output("cedar");
  write_concurrently(cluster, history);
  ASSERT_TRUE(cluster.wait_converged(history.everything, 60)) << "not converged in a minute";
  EXPECT_GT(history.acknowledged, kWrites / 2);

  const std::string rows = all_rows(cluster, "amber");
  std::map<std::string, std::map<std::string, std::string>> losers;
  for (const auto& dc : cluster.dcs()) {
    EXPECT_EQ(all_rows(cluster, dc), rows) << dc << " shows other rows than amber";
    losers[dc] = losers_at(cluster, dc);
  }
  check_nothing_lost(history, rows_of(rows), losers);

  for (const auto& dc : cluster.dcs()) EXPECT_EQ(cluster.stop(dc), 0) << cluster.output(dc);
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) {
    ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
    EXPECT_EQ(all_rows(cluster, dc), rows) << dc << " shows other rows after a restart";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Topologies, Acceptance,
    ::testing::Values(Shape{"Circle", "{kind: circle, order: [amber, birch, cedar, delta, ember]}"},
                      Shape{"Star", "{kind: star, hub: birch}"},
                      Shape{"AllToAll", "{kind: all-to-all}"}),
    [](const auto& shape) { return std::string(shape.param.name); });

}  // namespace
}  // namespace entente::testing
