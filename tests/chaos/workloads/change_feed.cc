#include <algorithm>
#include <chrono>
#include <mutex>

#include "gateway/api/row_json.h"
#include "gateway/encoding/json.h"
#include "tests/chaos/checks.h"
#include "tests/chaos/workload.h"
#include "tests/support/feed_client.h"

namespace entente::chaos {
namespace {

using namespace std::chrono_literals;

constexpr double kReads = 0.25;
constexpr auto kFollow = 700ms;

// Transactions of two rows, and readers who follow the change feed, now here, now there: they have
// every transaction once, whole, after its causes, and without gaps over all reconnections.
class ChangeFeedWorkload : public Workload {
 public:
  ChangeFeedWorkload() : Workload("feeds") {}

  void begin(Actor& actor, const std::string& prefix) override {
    Workload::begin(actor, prefix);
    if (!actor.reads_feed) return;
    testing::FeedClient feed(actor.ports[actor.home], "?until=now");
    while (const auto line = feed.line()) set_cursor(actor, testing::member(*line, "cursor"));
  }

  void step(Actor& actor) override {
    if (actor.reads_feed && actor.random.chance(kReads)) {
      const size_t at = actor.random.below(actor.ports.size());
      read(actor, at, actor.random.chance(0.5) ? "&until=now" : "&limit=20");
      return;
    }
    const std::string value = fresh(actor), key = prefix() + "-" + value;
    record(actor.at_home().transaction(table(), key, {key + "-1", key + "-2"}, value));
  }

  void finish(Actor& actor) override {
    if (actor.reads_feed) read(actor, actor.home, "&until=now");
  }

  Violations check(const History& history, const Finals& finals) const override {
    Violations out;
    std::map<Dot, const Write*> written;  // what was acknowledged
    for (const auto& write : history.writes) {
      if (write.outcome == Outcome::kAcknowledged) written[write.version.dot] = &write;
    }
    std::map<std::string, Places> readers;
    for (const auto& read : history.reads) {
      check_order(read, readers[read.client], out);
      check_contents(history, read, written, out);
    }
    for (const auto& [reader, places] : readers) check_causes(reader, places, written, out);
    const auto all = by_key(history);
    for (const auto& [dc, state] : finals) {
      for (const auto& [key, writes] : all) {
        for (const char* side : {"-1", "-2"}) {
          check_register(dc, state, key + side, writes, later, false, out);
        }
      }
    }
    return out;
  }

 private:
  // Where a reader had which transaction.
  struct Places {
    std::map<Dot, size_t> by_dot;
    std::map<Origin, uint64_t> last;
  };

  static void check_order(const Read& read, Places& places, Violations& out) {
    uint64_t& last = places.last[read.dot.origin];
    if (places.by_dot.contains(read.dot)) {
      out.push_back(read.client + " had " + to_string(read.dot) + " again, at " + read.dc);
    } else if (read.dot.seq < last) {
      out.push_back(read.client + " had " + to_string(read.dot) + " after " + std::to_string(last) +
                    " of its origin, at " + read.dc);
    }
    last = std::max(last, read.dot.seq);
    places.by_dot.emplace(read.dot, places.by_dot.size());
  }

  static void check_contents(const History& history, const Read& read,
                             const std::map<Dot, const Write*>& written, Violations& out) {
    const auto found = written.find(read.dot);
    const Write* write = found == written.end() ? nullptr : found->second;
    if (write == nullptr && !read.rows.empty()) {  // one whose answer was lost?
      for (const auto& w : history.writes) {
        if (w.outcome == Outcome::kUnknown && w.value == read.rows.begin()->second) write = &w;
      }
    }
    if (write == nullptr) {
      out.push_back(read.client + " had " + to_string(read.dot) + ", which nobody wrote");
      return;
    }
    const Rows whole{{write->key + "-1", *write->value}, {write->key + "-2", *write->value}};
    if (read.rows == whole) return;
    out.push_back(read.client + " had " + write->key + " in pieces, at " + read.dc);
  }

  static void check_causes(const std::string& reader, const Places& places,
                           const std::map<Dot, const Write*>& written, Violations& out) {
    for (const auto& [dot, write] : written) {
      const auto place = places.by_dot.find(dot);
      if (place == places.by_dot.end()) {
        out.push_back(reader + " never had " + write->key + " (" + to_string(dot) + ")");
        continue;
      }
      for (const auto& [origin, last] : places.last) {  // of each, the last that it had seen
        auto cause = written.upper_bound(Dot{origin, write->seen.seen.at(origin)});
        if (cause == written.begin()) continue;
        --cause;
        const auto before = places.by_dot.find(cause->first);
        if (cause->first.origin != origin || before == places.by_dot.end()) continue;
        if (before->second < place->second) continue;
        out.push_back(reader + " had " + write->key + " before its cause " + cause->second->key);
      }
    }
  }

  void read(Actor& actor, size_t at, const std::string& how) {
    const auto until = std::chrono::steady_clock::now() + kFollow;
    testing::FeedClient feed(actor.ports[at],
                             "?since=" + cursor(actor) + "&table=" + table() + how);
    if (feed.status() != 200 && feed.status() != 0 && feed.status() != 503) {
      recorder().complain("a change feed of " + actor.everywhere[at]->dc() + " begins with " +
                          feed.head().substr(0, feed.head().find("\r\n")));
    }
    if (feed.status() != 200) return;
    while (auto line = feed.line()) {
      take(actor, actor.everywhere[at]->dc(), *line);
      if (how != "&until=now" && std::chrono::steady_clock::now() > until) return;
    }
  }

  void take(Actor& actor, const std::string& dc, std::string& line) {
    const auto json = parse_json(line);
    if (!json || text_of(*json, "cursor").empty()) {
      recorder().complain("a line of a change feed of " + dc + ": " + line);
      return;
    }
    set_cursor(actor, text_of(*json, "cursor"));
    const auto dot = parse_dot(text_of(*json, "dot"));
    const Json* changes = json->find("changes");
    if (!dot || changes == nullptr || changes->array() == nullptr) return;
    Read read{actor.name, dc, {}, *dot};
    for (const auto& change : *changes->array()) {
      const Json* key = change.find("key");
      const Json* values = change.find("new");
      if (key != nullptr && values != nullptr)
        read.rows[text_of(*key, "id")] = text_of(*values, "v");
    }
    if (!read.rows.empty()) record(std::move(read));  // else the last round's rows are cleared away
  }

  std::string cursor(const Actor& actor) {
    const std::lock_guard lock(mutex_);
    return cursors_[actor.name];
  }
  void set_cursor(const Actor& actor, std::string cursor) {
    const std::lock_guard lock(mutex_);
    cursors_[actor.name] = std::move(cursor);
  }

  std::mutex mutex_;
  std::map<std::string, std::string> cursors_;  // by reader; guarded by mutex_
};

}  // namespace

std::unique_ptr<Workload> make_change_feed() { return std::make_unique<ChangeFeedWorkload>(); }

}  // namespace entente::chaos
