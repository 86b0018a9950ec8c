#include "tests/chaos/checks.h"
#include "tests/chaos/workload.h"

namespace entente::chaos {
namespace {

constexpr uint64_t kKeys = 3, kUses = 400;

// What is added anywhere counts once. What is not known to have been added may count or not.
class Counter : public Workload {
 public:
  Counter() : Workload("counters") {}

  std::string value_type() const override { return "INTEGER NOT NULL DEFAULT 0"; }
  std::string rules() const override { return "{columns: {v: {policy: counter}}}"; }

  void step(Actor& actor) override {
    const std::string key = hot_key(actor, kKeys, kUses);
    const int64_t by = actor.random.between(-20, 100);
    if (by == 0) return;
    if (actor.random.chance(0.5)) {
      record(actor.at_home().increment(table(), key, by));
    } else {
      record(actor.at_home().execute(
          "UPDATE counters SET v = v + " + std::to_string(by) + " WHERE id = '" + key + "'", key,
          std::to_string(by)));
    }
  }

  Violations check(const History& history, const Finals& finals) const override {
    Violations out;
    const auto written = by_key(history);
    for (const auto& [dc, state] : finals) {
      for (const auto& [key, writes] : written) check_sum(dc, state, key, writes, out);
    }
    return out;
  }

 private:
  static void check_sum(const std::string& dc, const Final& state, const std::string& key,
                        const Writes& writes, Violations& out) {
    std::set<int64_t> sums{0};
    int64_t acknowledged = 0;
    for (const Write* w : writes) {
      const int64_t by = std::stoll(*w->value);
      if (w->outcome == Outcome::kAcknowledged) {
        acknowledged += by;
        continue;
      }
      const auto without = sums;
      for (const int64_t sum : without) sums.insert(sum + by);
    }
    const auto row = state.rows.find(key);
    const int64_t shown = row == state.rows.end() ? 0 : std::stoll(row->second);
    if (sums.contains(shown - acknowledged)) return;
    out.push_back(dc + " counts " + std::to_string(shown) + " for " + key + "; acknowledged were " +
                  std::to_string(acknowledged) + " and " + std::to_string(sums.size() - 1) +
                  " sums of unknown outcome");
  }
};

}  // namespace

std::unique_ptr<Workload> make_counter() { return std::make_unique<Counter>(); }

}  // namespace entente::chaos
