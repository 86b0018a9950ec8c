#include "tests/chaos/checks.h"
#include "tests/chaos/workload.h"

namespace entente::chaos {
namespace {

constexpr uint64_t kKeys = 4, kUses = 64;
constexpr double kWithContext = 0.4;

// Rows that everybody writes: blindly, or over what somebody read somewhere a while ago. What they
// show is a function of the writes that nobody overwrote.
class Register : public Workload {
 public:
  Register(std::string table, std::string rules, double erases, Beats beats)
      : Workload(std::move(table)), rules_(std::move(rules)), erases_(erases), beats_(beats) {}

  std::string rules() const override { return rules_; }
  bool wants_losers() const override { return true; }

  void step(Actor& actor) override {
    const std::string key = hot_key(actor, kKeys, kUses);
    std::string context;
    if (actor.random.chance(kWithContext)) {
      const Shown shown = actor.somewhere().get(table(), key);
      if (!shown.answered) return;
      context = shown.context;
    }
    if (actor.random.chance(erases_)) {
      record(actor.at_home().erase(table(), key, context));
    } else {
      record(actor.at_home().put(table(), key, fresh(actor), context));
    }
  }

  Violations check(const History& history, const Finals& finals) const override {
    Violations out;
    const auto written = by_key(history);
    for (const auto& [dc, state] : finals) {
      for (const auto& [key, writes] : written) {
        check_register(dc, state, key, writes, beats_, true, out);
      }
    }
    return out;
  }

 private:
  const std::string rules_;
  const double erases_;
  const Beats beats_;
};

}  // namespace

std::unique_ptr<Workload> make_last_write() {
  return std::make_unique<Register>("last_writes", "{policy: lww, granularity: row}", 0, later);
}

std::unique_ptr<Workload> make_priority(Priorities priorities) {
  const Beats beats = [priorities = std::move(priorities)](const Write& a, const Write& b) {
    const int left = priorities.at(a.dc), right = priorities.at(b.dc);
    return left != right ? left > right : later(a, b);
  };
  return std::make_unique<Register>("priorities", "{policy: priority, granularity: row}", 0, beats);
}

// What is deleted stays so until somebody writes it again (P8).
std::unique_ptr<Workload> make_recreate() {
  return std::make_unique<Register>("recreated", "{policy: lww, granularity: row}", 0.4, later);
}

}  // namespace entente::chaos
