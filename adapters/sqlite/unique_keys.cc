#include "adapters/sqlite/unique_keys.h"

#include <algorithm>

#include "conflict/key.h"

namespace entente::sqlite {
namespace {

using Hidden = RowStore::Hidden;

Version taken_by(const Table& t, const RowState& state, const Verdicts& verdicts) {
  Version newest;
  for (const auto& in : t.unique) {
    const Register& r = register_of(state, t.layout.groups[in.group].name);
    if (!r.siblings.empty()) newest = std::max(newest, keys_set(r, verdicts.of[in.group]));
  }
  return newest;
}

// While it lives, notes the rows of one table that REPLACE takes out of another's way.
class GivingWay {
 public:
  GivingWay(Connection& db, const Table& table) : db_(db), table_(table) {
    sqlite3_preupdate_hook(db_.get(), &GivingWay::hook, this);
  }
  ~GivingWay() { sqlite3_preupdate_hook(db_.get(), nullptr, nullptr); }
  GivingWay(const GivingWay&) = delete;
  GivingWay& operator=(const GivingWay&) = delete;

  Result<std::set<Key>> take() {
    if (broken_) return tl::unexpected(*broken_);
    return std::move(keys_);
  }

 private:
  static void hook(void* self, sqlite3*, int op, const char*, const char*, sqlite3_int64 rowid,
                   sqlite3_int64) {
    if (op == SQLITE_DELETE) static_cast<GivingWay*>(self)->gives_way(rowid);
  }

  void gives_way(int64_t rowid) {
    std::vector<Value> parts;
    for (const size_t i : table_.key) {
      sqlite3_value* v = nullptr;
      if (table_.rowid_key) {
        parts.emplace_back(rowid);
      } else if (sqlite3_preupdate_old(db_.get(), table_.columns[i].hook_index, &v) == SQLITE_OK) {
        parts.push_back(value_of(v));
      }
    }
    auto key = canonical_key(table_.def, parts);
    if (!key) {
      broken_ = key.error();
    } else {
      keys_.insert(std::move(*key));
    }
  }

  Connection& db_;
  const Table& table_;
  std::set<Key> keys_;
  std::optional<Error> broken_;
};

}  // namespace

template <class Work>
Result<void> UniqueKeys::try_out(Work work) {
  if (auto done = db_.exec("SAVEPOINT _entente_unique"); !done) return done;
  auto done = work();
  if (!done) return done;  // the caller undoes its transaction
  return db_.exec("ROLLBACK TO _entente_unique; RELEASE _entente_unique");
}

Result<void> UniqueKeys::add(const World& world, const Table& t, const Key& key, Contenders& all) {
  auto loaded = rows_.load(world, t, key);
  if (!loaded) return tl::unexpected(loaded.error());
  const Verdicts verdicts = judge(loaded->state, t.layout, world.ranks);
  Contender c{std::move(*loaded), {}, {}, false, Hidden::kNo};
  c.row = visible(c.loaded.state, t.layout, verdicts);
  if (c.row) forget_unknown_columns(*c.row, t);
  c.taken = taken_by(t, c.loaded.state, verdicts);
  c.shown = c.loaded.shown.has_value();
  all.emplace(key, std::move(c));
  return {};
}

// The rows that are shown and hold a key that one of these wants. Says of those that are refused
// though nobody holds their keys that another constraint does so.
Result<std::set<Key>> UniqueKeys::holders(const Table& t, Contenders& waiting) {
  GivingWay giving_way(db_, t);
  auto done = try_out([&]() -> Result<void> {
    for (auto& [key, c] : waiting) {
      auto put = c.row ? rows_.insert_row(t, key, *c.row, true) : Result<void>();
      if (put) continue;
      if (rows_.refusal(put.error()) == Hidden::kNo) return put;
      c.why = Hidden::kConstraint;
    }
    return {};
  });
  if (!done) return tl::unexpected(done.error());
  return giving_way.take();
}

// Says of each whether it is shown, and why not: in their order, each is put where the table lets
// it.
Result<void> UniqueKeys::choose(const Table& t, Contenders& all) {
  std::vector<std::pair<const Key*, Contender*>> order;
  for (auto& [key, c] : all) {
    if (c.row && c.why == Hidden::kNo) order.emplace_back(&key, &c);
  }
  const bool first = t.rules.unique == UniqueWins::kFirst;
  std::stable_sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
    return first ? a.second->taken < b.second->taken : b.second->taken < a.second->taken;
  });
  return try_out([&]() -> Result<void> {
    for (const auto& [key, c] : order) {
      auto done = c->shown ? rows_.delete_row(t, *key) : Result<void>();
      if (!done) return done;
    }
    for (const auto& [key, c] : order) {
      auto put = rows_.insert_row(t, *key, *c->row);
      if (put) continue;
      c->why = rows_.refusal(put.error());
      if (c->why == Hidden::kNo) return put;
    }
    return {};
  });
}

Result<void> UniqueKeys::settle(const World& world, const Table& t, const std::vector<Key>& waiting,
                                uint64_t now_ms) {
  Contenders all;
  for (const auto& key : waiting) {
    if (auto done = add(world, t, key, all); !done) return done;
  }
  auto held = holders(t, all);
  if (!held) return tl::unexpected(held.error());
  for (const auto& key : *held) {
    if (all.contains(key)) continue;
    if (auto done = add(world, t, key, all); !done) return done;
  }
  if (auto done = choose(t, all); !done) return done;
  // First those that give their keys up, then those that take them.
  for (auto& [key, c] : all) {
    if (c.why == Hidden::kNo || (!c.shown && c.why == Hidden::kUnique)) continue;
    if (auto done = rows_.hide(world, t, key, c.loaded, c.why, now_ms); !done) return done;
  }
  for (auto& [key, c] : all) {
    if (c.shown || c.why != Hidden::kNo) continue;
    auto done = rows_.store(world, t, key, c.loaded, now_ms);
    if (!done) return done;
  }
  return {};
}

}  // namespace entente::sqlite
