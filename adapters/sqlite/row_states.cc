#include "adapters/sqlite/row_states.h"

#include <algorithm>

#include "adapters/sqlite/versions.h"

namespace entente::sqlite {
namespace {

std::string versions_sql(const Table& t, bool from_the_first) {
  std::string columns, after;
  for (size_t i = 1; i <= t.key.size(); ++i) {
    const char* comma = i > 1 ? ", " : "";
    columns += comma + (t.rowid_key ? "k" : "k" + std::to_string(i));
    after += comma + ("?" + std::to_string(i));
  }
  return "SELECT " + columns + ", o, s, h, x IS NULL FROM _entente_v_" + std::to_string(t.id) +
         (from_the_first ? "" : " WHERE (" + columns + ") > (" + after + ")") + " ORDER BY " +
         columns + " LIMIT ?" + std::to_string(t.key.size() + 1);
}

// The keys in the slice that may hold news.
Result<std::vector<Key>> candidates(RowStore& rows, const World& world, const Table& t,
                                    const StateQuery& query, StateSlice& slice) {
  auto q = rows.plan(versions_sql(t, query.after.empty()));
  if (!q) return tl::unexpected(q.error());
  const int n = static_cast<int>(t.key.size());
  auto bound = query.after.empty() ? Result<void>() : bind_key(**q, 1, t.key.size(), query.after);
  if (!bound) return tl::unexpected(bound.error());
  (*q)->bind(n + 1, static_cast<int64_t>(std::min<uint64_t>(query.rows_max, INT64_MAX)));
  const bool sets = t.layout.has_sets();
  std::vector<Key> keys;
  Rows found(**q);
  size_t looked_at = 0;
  auto row = found.next();
  for (; row && *row; row = found.next(), ++looked_at) {
    std::vector<Value> parts;
    for (int i = 0; i < n; ++i) parts.push_back((*q)->value(i));
    auto key = canonical_key(t.def, parts);
    if (!key) return tl::unexpected(key.error());
    slice.last = *key;
    const Stamp stamp{(*q)->integer(n), (*q)->natural(n + 1), (*q)->natural(n + 2)};
    const bool steady = (*q)->integer(n + 3) != 0;
    if (sets || !steady || !query.knows(version_of(world, stamp))) keys.push_back(std::move(*key));
  }
  if (!row) return tl::unexpected(row.error());
  slice.complete = looked_at < query.rows_max;
  return keys;
}

}  // namespace

Result<StateSlice> read_states(RowStore& rows, const World& world, const Table& t,
                               const StateQuery& query) {
  StateSlice slice;
  for (const auto& key : query.keys) {
    auto loaded = rows.load(world, t, key);
    if (!loaded) return tl::unexpected(loaded.error());
    loaded->state.key = key;
    slice.rows.push_back(std::move(loaded->state));
  }
  if (!query.keys.empty()) return slice;
  auto keys = candidates(rows, world, t, query, slice);
  if (!keys) return tl::unexpected(keys.error());
  for (const auto& key : *keys) {
    auto loaded = rows.load(world, t, key);
    if (!loaded) return tl::unexpected(loaded.error());
    if (!has_news(loaded->state, query.knows, t.layout)) continue;
    slice.rows.push_back(std::move(loaded->state));
  }
  return slice;
}

}  // namespace entente::sqlite
