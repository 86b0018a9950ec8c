#include "tests/chaos/checks.h"

#include <algorithm>

namespace entente::chaos {
namespace {

// Who wrote the same as the winner has lost nothing: two erases, say.
void check_losers(const std::string& dc, const Final& state, const Writes& concurrent,
                  const Write* winner, Violations& out) {
  for (const Write* w : concurrent) {
    if (w->value == winner->value) continue;
    const auto listed = state.losers.find(w->version.dot);
    if (listed == state.losers.end()) {
      out.push_back(dc + " lists nowhere that " + w->key + " = " + quoted(w->value) + " (" +
                    to_string(w->version.dot) + ") lost against " + quoted(winner->value));
    } else if (listed->second != w->value) {
      out.push_back(dc + " lists " + quoted(listed->second) + " as what lost of " + w->key +
                    " instead of " + quoted(w->value));
    }
  }
}

std::string first_difference(const Rows& a, const Rows& b) {
  for (const auto& [key, value] : a) {
    const auto other = b.find(key);
    if (other == b.end()) return key + " = " + value + " against nothing";
    if (other->second != value) return key + " = " + value + " against " + other->second;
  }
  for (const auto& [key, value] : b) {
    if (!a.contains(key)) return key + ": nothing against " + value;
  }
  return "the values of a row";
}

}  // namespace

std::string quoted(const std::optional<std::string>& value) {
  return value ? "'" + *value + "'" : "nothing";
}

std::map<std::string, Writes> by_key(const History& history) {
  std::map<std::string, Writes> out;
  for (const auto& write : history.writes) {
    if (write.outcome != Outcome::kRefused) out[write.key].push_back(&write);
  }
  return out;
}

Writes maximal(const Writes& writes) {
  Writes out;
  for (const Write* w : writes) {
    if (w->outcome != Outcome::kAcknowledged) continue;
    const bool overwritten = std::any_of(writes.begin(), writes.end(), [&](const Write* other) {
      return other->outcome == Outcome::kAcknowledged && other->seen.covers(w->version.dot);
    });
    if (!overwritten) out.push_back(w);
  }
  return out;
}

bool maybe_written(const Writes& writes, const std::optional<std::string>& value) {
  return std::any_of(writes.begin(), writes.end(), [&](const Write* w) {
    return w->outcome == Outcome::kUnknown && w->value == value;
  });
}

bool any_unknown(const Writes& writes) {
  return std::any_of(writes.begin(), writes.end(),
                     [](const Write* w) { return w->outcome == Outcome::kUnknown; });
}

bool later(const Write& a, const Write& b) { return a.version > b.version; }

// If a write whose outcome is unknown happened and was overwritten by an acknowledged one, that one
// has seen all that it had seen: so the winner among the acknowledged is shown, or an unknown one.
void check_register(const std::string& dc, const Final& state, const std::string& key,
                    const Writes& writes, const Beats& beats, bool listed, Violations& out) {
  const Writes concurrent = maximal(writes);
  const Write* winner = nullptr;
  for (const Write* w : concurrent) {
    if (winner == nullptr || beats(*w, *winner)) winner = w;
  }
  const auto row = state.rows.find(key);
  const auto shown =
      row == state.rows.end() ? std::nullopt : std::optional<std::string>(row->second);
  const auto expected = winner == nullptr ? std::nullopt : winner->value;
  if (shown != expected && !maybe_written(writes, shown)) {
    out.push_back(dc + " shows " + key + " = " + quoted(shown) + " instead of " + quoted(expected));
  }
  if (listed && !any_unknown(writes)) check_losers(dc, state, concurrent, winner, out);
}

Violations check_alike(const Finals& finals) {
  Violations out;
  for (const auto& [dc, state] : finals) {
    const auto& [first, other] = *finals.begin();
    if (state == other) continue;
    out.push_back(first + " and " + dc + " differ: " + first_difference(other.rows, state.rows));
  }
  return out;
}

}  // namespace entente::chaos
