#include <algorithm>

#include "tests/chaos/checks.h"
#include "tests/chaos/workload.h"

namespace entente::chaos {
namespace {

constexpr uint64_t kKeys = 3, kUses = 45;

// Every write replaces what its writer had read, and nothing else: concurrent values stay until
// somebody who read them decides.
class Siblings : public Workload {
 public:
  Siblings() : Workload("siblings") {}

  std::string rules() const override {
    return "{policy: siblings, granularity: row, blind: require}";
  }
  bool wants_values() const override { return true; }

  void step(Actor& actor) override {
    const std::string key = hot_key(actor, kKeys, kUses);
    const Shown shown = actor.somewhere().get(table(), key);
    if (!shown.answered) return;
    const std::string value = fresh(actor);
    if (shown.values.size() > 1 && actor.random.chance(0.5)) {
      record(actor.at_home().resolve(table(), key, value, shown.context));
    } else {
      record(actor.at_home().put(table(), key, value, shown.context));
    }
  }

  Violations check(const History& history, const Finals& finals) const override {
    Violations out;
    const auto written = by_key(history);
    for (const auto& [dc, state] : finals) {
      for (const auto& [key, writes] : written) {
        const auto values = state.values.find(key);
        check_values(dc, key, writes,
                     values == state.values.end() ? std::set<std::string>() : values->second, out);
      }
    }
    return out;
  }

  void clear(Client& client) override {
    const auto rows = client.select("SELECT id, v FROM " + table());
    if (!rows) return;
    for (const auto& [key, value] : *rows) {
      client.erase(table(), key, client.get(table(), key).context);
    }
  }

 private:
  static void check_values(const std::string& dc, const std::string& key, const Writes& writes,
                           const std::set<std::string>& shown, Violations& out) {
    const Writes concurrent = maximal(writes);
    for (const Write* w : concurrent) {
      const bool maybe_seen = std::any_of(writes.begin(), writes.end(), [&](const Write* other) {
        return other->outcome == Outcome::kUnknown && other->seen.covers(w->version.dot);
      });
      if (shown.contains(*w->value) || maybe_seen) continue;
      out.push_back(dc + " has lost " + quoted(w->value) + " of " + key +
                    ", which nobody had decided about");
    }
    for (const auto& value : shown) {
      const bool open = std::any_of(concurrent.begin(), concurrent.end(),
                                    [&](const Write* w) { return w->value == value; });
      if (open || maybe_written(writes, value)) continue;
      out.push_back(dc + " still has '" + value + "' of " + key + ", which was overwritten");
    }
  }
};

}  // namespace

std::unique_ptr<Workload> make_siblings() { return std::make_unique<Siblings>(); }

}  // namespace entente::chaos
