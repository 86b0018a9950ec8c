#include "adapters/sqlite/unique_keys.h"

#include <algorithm>
#include <set>

namespace entente::sqlite {
namespace {

// The values of a unique key as bytes that are equal when SQLite says that the key is taken; ""
// if it has a NULL, which nothing equals.
std::string claim_of(const UniqueKey& unique, size_t number, const Table& t, const Row& row) {
  std::vector<Value> parts;
  for (const size_t i : unique.columns) {
    const auto it = row.find(t.columns[i].name);
    if (it == row.end() || std::holds_alternative<Null>(it->second)) return "";
    parts.push_back(it->second);
  }
  const auto key = canonical_key(unique.as_key, parts);
  return key ? std::to_string(number) + ":" + *key : "";
}

Version taken_by(const Table& t, const RowState& state, const Verdicts& verdicts) {
  Version newest;
  for (const auto& unique : t.unique) {
    for (const size_t i : unique.columns) {
      const size_t g = t.columns[i].group;
      const Register& r = register_of(state, t.layout.groups[g].name);
      if (r.siblings.empty()) continue;
      newest = std::max(newest, r.siblings[verdicts.of[g].winner].version);
    }
  }
  return newest;
}

}  // namespace

Result<void> UniqueKeys::add(const World& world, const Table& t, const Key& key, Contenders& all) {
  if (all.contains(key)) return {};
  auto loaded = rows_.load(world, t, key);
  if (!loaded) return tl::unexpected(loaded.error());
  const Verdicts verdicts = judge(loaded->state, t.layout, world.ranks);
  auto row = visible(loaded->state, t.layout, verdicts);
  Contender c{std::move(*loaded), {}, {}, {}, false, false};
  c.taken = taken_by(t, c.loaded.state, verdicts);
  c.shown = c.loaded.shown.has_value();
  if (row) {
    auto whole = with_key(t, key, std::move(*row));
    if (!whole) return tl::unexpected(whole.error());
    c.row = std::move(*whole);
  }
  for (size_t i = 0; i < t.unique.size(); ++i) {
    auto claim = claim_of(t.unique[i], i, t, c.row);
    if (!claim.empty()) c.claims.push_back(std::move(claim));
  }
  all.emplace(key, std::move(c));
  return {};
}

Result<void> UniqueKeys::add_holders(const World& world, const Table& t, const Contender& of,
                                     Contenders& all) {
  for (const auto& unique : t.unique) {
    auto q = rows_.plan(unique.find);
    if (!q) return tl::unexpected(q.error());
    bool claims = true;
    for (size_t i = 0; i < unique.columns.size(); ++i) {
      const auto it = of.row.find(t.columns[unique.columns[i]].name);
      claims = claims && it != of.row.end() && !std::holds_alternative<Null>(it->second);
      if (claims) (*q)->bind(static_cast<int>(i + 1), it->second);
    }
    if (!claims) continue;
    std::vector<Value> parts;
    {
      Rows found(**q);
      auto next = found.next();
      if (!next) return tl::unexpected(next.error());
      if (!*next) continue;
      for (size_t i = 0; i < t.key.size(); ++i) parts.push_back((*q)->value(static_cast<int>(i)));
    }
    auto key = canonical_key(t.def, parts);
    if (!key) return tl::unexpected(key.error());
    if (auto done = add(world, t, *key, all); !done) return done;
  }
  return {};
}

void UniqueKeys::choose(const Table& t, Contenders& all) {
  std::vector<Contender*> order;
  for (auto& [key, c] : all) order.push_back(&c);
  const bool first = t.rules.unique == UniqueWins::kFirst;
  std::stable_sort(order.begin(), order.end(), [&](const Contender* a, const Contender* b) {
    return first ? a->taken < b->taken : b->taken < a->taken;
  });
  std::set<std::string> held;
  for (auto* c : order) {
    c->wins = std::none_of(c->claims.begin(), c->claims.end(),
                           [&](const std::string& claim) { return held.contains(claim); });
    if (c->wins) held.insert(c->claims.begin(), c->claims.end());
  }
}

Result<void> UniqueKeys::settle(const World& world, const Table& t, const std::vector<Key>& waiting,
                                uint64_t now_ms) {
  Contenders all;
  for (const auto& key : waiting) {
    if (auto done = add(world, t, key, all); !done) return done;
  }
  for (const auto& key : waiting) {
    if (auto done = add_holders(world, t, all.at(key), all); !done) return done;
  }
  choose(t, all);
  // First those that give their keys up, then those that take them.
  for (auto& [key, c] : all) {
    if (!c.shown || c.wins) continue;
    auto done = rows_.hide(world, t, key, c.loaded, RowStore::Hidden::kUnique, now_ms);
    if (!done) return done;
  }
  for (auto& [key, c] : all) {
    if (c.shown || !c.wins) continue;
    auto done = rows_.store(world, t, key, c.loaded, now_ms);
    if (!done) return done;
  }
  return {};
}

}  // namespace entente::sqlite
