#include "tests/chaos/checks.h"
#include "tests/chaos/workload.h"

namespace entente::chaos {
namespace {

constexpr uint64_t kKeys = 4, kUses = 80;
constexpr std::string_view kLeft = "-left", kRight = "-right";

// Two rows that are always written, or erased, together: whoever reads both, at any time and place,
// finds both of one transaction or neither (P5).
class Pairs : public Workload {
 public:
  Pairs() : Workload("pairs") {}

  void step(Actor& actor) override {
    const std::string pair = hot_key(actor, kKeys, kUses);
    const std::string left = pair + std::string(kLeft), right = pair + std::string(kRight);
    if (actor.random.chance(0.5)) {
      Client& reader = actor.somewhere();
      const auto rows =
          reader.select("SELECT id, v FROM pairs WHERE id IN ('" + left + "', '" + right + "')");
      if (rows) record(Read{actor.name, reader.dc(), *rows, {}});
      return;
    }
    const auto value =
        actor.random.chance(0.2) ? std::nullopt : std::optional<std::string>(fresh(actor));
    record(actor.at_home().transaction(table(), pair, {left, right}, value));
  }

  Violations check(const History& history, const Finals& finals) const override {
    Violations out;
    for (const auto& read : history.reads)
      check_whole(read.client + " at " + read.dc, read.rows, out);
    const auto written = by_key(history);
    for (const auto& [dc, state] : finals) {
      check_whole(dc + " in the end", state.rows, out);
      for (const auto& [pair, writes] : written) {
        for (const auto side : {kLeft, kRight}) {
          check_register(dc, state, pair + std::string(side), writes, later, false, out);
        }
      }
    }
    return out;
  }

 private:
  static void check_whole(const std::string& who, const Rows& rows, Violations& out) {
    for (const auto& [key, value] : rows) {
      const bool left = key.ends_with(kLeft);
      const std::string pair = key.substr(0, key.size() - (left ? kLeft : kRight).size());
      const auto other = rows.find(pair + std::string(left ? kRight : kLeft));
      if (other != rows.end() && other->second == value) continue;
      out.push_back(who + " saw half a transaction: " + key + " = " + value + " beside " +
                    (other == rows.end() ? "nothing" : other->second));
    }
  }
};

}  // namespace

std::unique_ptr<Workload> make_pairs() { return std::make_unique<Pairs>(); }

}  // namespace entente::chaos
