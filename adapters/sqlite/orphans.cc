#include "adapters/sqlite/orphans.h"

#include <algorithm>
#include <map>

#include "adapters/sqlite/sql_text.h"

namespace entente::sqlite {
namespace {

bool refers_to(const ForeignKey& fk, const Table& parent) {
  return lower(fk.parent) == lower(parent.def.name);
}

}  // namespace

void Orphans::changed(const Table& t, std::string_view key, bool erased) {
  if (!t.foreign_keys.empty() && !erased) waiting_.emplace_back(&t, Key(key));
  if (!t.referenced) return;
  if (erased) {
    gone_.emplace(&t, Key(key));
  } else {
    came_.insert(&t);
  }
}

Result<void> Orphans::look_again(const Table& t) {
  const auto extras = extras_.find(t.id);
  if (extras == extras_.end() || t.foreign_keys.empty()) return {};
  const auto look = [&](std::string_view kind) -> Result<void> {
    auto keys = log_.waiting(t, kind);
    if (!keys) return tl::unexpected(keys.error());
    for (auto& key : *keys) waiting_.emplace_back(&t, std::move(key));
    return {};
  };
  if (extras->second.orphans > 0) {
    if (auto done = look(kOrphanKind); !done) return done;
  }
  if (extras->second.quarantined == 0) return {};
  return look(kUniqueKind).and_then([&] { return look(kConstraintKind); });
}

Result<void> Orphans::settle(const World& world, uint64_t now_ms) {
  std::map<RowName, int> looks;
  if (auto done = spread(world); !done) return done;
  while (!waiting_.empty()) {
    const auto [t, key] = std::move(waiting_.front());
    waiting_.pop_front();
    constexpr int kLooksMax = 8;  // rows that refer to each other in a circle
    if (++looks[{t, key}] > kLooksMax) continue;
    if (auto done = check(world, *t, key, now_ms); !done) return done;
    if (auto done = spread(world); !done) return done;
  }
  return {};
}

// Whom the coming and going of parents concerns.
Result<void> Orphans::spread(const World& world) {
  for (const auto& [name, child] : world.tables) {
    for (const auto& fk : child->foreign_keys) {
      for (const auto& [parent, key] : gone_) {
        if (!refers_to(fk, *parent)) continue;
        if (auto done = add_children(*child, fk, key); !done) return done;
        if (auto done = look_again(*child); !done) return done;  // children that are not shown
      }
      const bool hopes = std::any_of(came_.begin(), came_.end(),
                                     [&](const Table* parent) { return refers_to(fk, *parent); });
      if (!hopes) continue;
      if (auto done = look_again(*child); !done) return done;
    }
  }
  gone_.clear();
  came_.clear();
  return {};
}

// The children of a parent that went: by its key, or, where they refer to other columns of it, all
// whose parent cannot be found.
Result<void> Orphans::add_children(const Table& child, const ForeignKey& fk, const Key& parent) {
  auto q = rows_.plan(fk.find_children);
  if (!q) return tl::unexpected(q.error());
  auto bound = fk.by_key ? bind_key(**q, 1, fk.columns.size(), parent) : Result<void>();
  if (!bound) return bound;
  Rows found(**q);
  auto row = found.next();
  for (; row && *row; row = found.next()) {
    std::vector<Value> parts;
    for (size_t i = 0; i < child.key.size(); ++i) {
      parts.push_back((*q)->value(static_cast<int>(i)));
    }
    auto key = canonical_key(child.def, parts);
    if (key) waiting_.emplace_back(&child, std::move(*key));
  }
  if (!row) return tl::unexpected(row.error());
  return {};
}

Result<bool> Orphans::is_orphan(const Table& t, const Key& key, const Row& row) {
  const auto parts = key_parts(key);
  const auto value = [&](size_t column) -> Value {
    const Column& c = t.columns[column];
    const auto it = row.find(c.name);
    if (it != row.end()) return it->second;
    return c.key_part > 0 && parts ? (*parts)[c.key_part - 1u] : Value{};
  };
  for (const auto& fk : t.foreign_keys) {
    auto q = rows_.plan(fk.find_parent);
    if (!q) return tl::unexpected(q.error());
    bool null = false;
    int at = 0;
    std::vector<Value> values;
    for (const size_t column : fk.columns) values.push_back(value(column));
    for (const auto& v : values) {
      null |= std::holds_alternative<Null>(v);
      (*q)->bind(++at, v);
    }
    if (null) continue;
    Rows found(**q);
    auto parent = found.next();
    if (!parent) return tl::unexpected(parent.error());
    if (!*parent) return true;
  }
  return false;
}

Result<void> Orphans::check(const World& world, const Table& t, const Key& key, uint64_t now_ms) {
  auto loaded = rows_.load(world, t, key);
  if (!loaded) return tl::unexpected(loaded.error());
  const auto row = visible(loaded->state, t.layout, world.ranks);
  Result<bool> orphan = false;
  if (row) orphan = is_orphan(t, key, *row);
  if (!orphan) return tl::unexpected(orphan.error());
  auto listed = log_.is_open(t, key, kOrphanKind);
  if (!listed) return tl::unexpected(listed.error());
  if (*orphan != *listed) {
    extras_[t.id].orphans += *orphan ? 1 : -1;
    auto done = log_.set_open(t, key, "", kOrphanKind, *orphan, "", now_ms);
    if (!done) return done;
  }
  if (t.rules.orphans != entente::Orphans::kHide) return {};
  const bool was_hidden = loaded->meta && loaded->meta->quarantined && !loaded->shown;
  if (*orphan && loaded->shown) {
    if (t.referenced) gone_.emplace(&t, key);
    return rows_.hide(world, t, key, *loaded, RowStore::Hidden::kOrphan, now_ms);
  }
  if (*orphan || !was_hidden) return {};
  if (t.referenced) came_.insert(&t);
  return rows_.store(world, t, key, *loaded, now_ms);
}

}  // namespace entente::sqlite
