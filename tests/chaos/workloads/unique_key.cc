#include <algorithm>

#include "tests/chaos/checks.h"
#include "tests/chaos/workload.h"

namespace entente::chaos {
namespace {

constexpr uint64_t kKeys = 5, kUses = 50;
constexpr double kErases = 0.3;

// Rows that take a key that others take, too: shown is the first that took it and is still there;
// the others wait, and are listed.
class UniqueKey : public Workload {
 public:
  UniqueKey() : Workload("uniques") {}

  std::string value_type() const override { return "TEXT UNIQUE"; }
  std::string rules() const override { return "{policy: lww, granularity: row, unique: first}"; }
  bool wants_losers() const override { return true; }

  void step(Actor& actor) override {
    Client& home = actor.at_home();
    const std::string taken = hot_key(actor, kKeys, kUses);
    if (!actor.random.chance(kErases)) {
      record(home.put(table(), prefix() + "-" + fresh(actor), taken));
      return;
    }
    // Nobody writes an id again: it stays erased.
    const auto holder = home.select("SELECT id, v FROM uniques WHERE v = '" + taken + "'");
    if (holder && holder->size() == 1) record(home.erase(table(), holder->begin()->first));
  }

  Violations check(const History& history, const Finals& finals) const override {
    Violations out;
    const auto rows = rows_of(history);
    for (const auto& [dc, state] : finals) {
      for (const auto& [taken, takers] : rows) check_key(dc, state, taken, takers, out);
    }
    return out;
  }

 private:
  struct Taker {
    const Write* put = nullptr;
    bool erased = false, maybe_erased = false;
    bool sure() const { return put->outcome == Outcome::kAcknowledged && !erased && !maybe_erased; }
  };
  using Takers = std::vector<Taker>;

  // By the key that they take.
  static std::map<std::string, Takers> rows_of(const History& history) {
    std::map<std::string, Taker> by_id;
    for (const auto& write : history.writes) {
      if (write.outcome == Outcome::kRefused) continue;
      Taker& row = by_id[write.key];
      if (write.value) {
        row.put = &write;
      } else {
        (write.outcome == Outcome::kAcknowledged ? row.erased : row.maybe_erased) = true;
      }
    }
    std::map<std::string, Takers> out;
    for (const auto& [id, row] : by_id) {
      if (row.put != nullptr) out[*row.put->value].push_back(row);
    }
    return out;
  }

  static void check_key(const std::string& dc, const Final& state, const std::string& taken,
                        const Takers& takers, Violations& out) {
    const Taker* first = nullptr;
    const Taker* shown = nullptr;
    for (const auto& row : takers) {
      if (row.sure() && (first == nullptr || later(*first->put, *row.put))) first = &row;
      if (!state.rows.contains(row.put->key)) continue;
      if (shown != nullptr) out.push_back(dc + " shows " + taken + " twice");
      shown = &row;
    }
    const std::string in_words = shown == nullptr ? "nobody" : shown->put->key;
    if (shown != nullptr && shown->erased) {
      out.push_back(dc + " shows " + in_words + " with " + taken + ", which was erased");
    } else if (first != nullptr && (shown == nullptr || (shown->sure() && shown != first))) {
      out.push_back(dc + " shows " + in_words + " with " + taken + ": first was " +
                    first->put->key);
    }
    for (const auto& row : takers) {
      if (!row.sure() || &row == shown || state.losers.contains(row.put->version.dot)) continue;
      out.push_back(dc + " neither shows nor lists " + row.put->key + " with " + taken);
    }
  }
};

}  // namespace

std::unique_ptr<Workload> make_unique_key() { return std::make_unique<UniqueKey>(); }

}  // namespace entente::chaos
