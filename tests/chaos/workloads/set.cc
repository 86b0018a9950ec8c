#include "tests/chaos/checks.h"
#include "tests/chaos/workload.h"

namespace entente::chaos {
namespace {

// Rows that nobody writes twice: none that was acknowledged is lost, none is made up (P2).
class Set : public Workload {
 public:
  Set() : Workload("sets") {}

  void step(Actor& actor) override {
    const std::string value = fresh(actor);
    record(actor.at_home().put(table(), prefix() + "-" + value, value));
  }

  Violations check(const History& history, const Finals& finals) const override {
    Violations out;
    const auto written = by_key(history);
    for (const auto& [dc, state] : finals) {
      for (const auto& [key, writes] : written) {
        check_register(dc, state, key, writes, later, false, out);
      }
      for (const auto& [key, value] : state.rows) {
        if (!written.contains(key)) out.push_back(dc + " shows " + key + ", which nobody wrote");
      }
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Workload> make_set() { return std::make_unique<Set>(); }

}  // namespace entente::chaos
