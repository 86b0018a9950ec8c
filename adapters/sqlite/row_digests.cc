#include "adapters/sqlite/row_digests.h"

#include <algorithm>

#include "adapters/sqlite/sql_text.h"

namespace entente::sqlite {
namespace {

const char* name_of(Collation c) {
  if (c == Collation::kNocase) return "NOCASE";
  return c == Collation::kRtrim ? "RTRIM" : "BINARY";
}

// One of the two tables that know a table's keys: "SELECT a, b FROM … WHERE …".
std::string select_keys(const std::string& from, const std::vector<std::string>& columns,
                        const DigestQuery& query) {
  std::string list, after, upto, where;
  for (size_t i = 0; i < columns.size(); ++i) {
    const char* comma = i > 0 ? ", " : "";
    list += comma + columns[i];
    after += comma + ("?" + std::to_string(i + 1));
    upto += comma + ("?" + std::to_string(columns.size() + i + 1));
    where += (i > 0 ? " AND " : "") + columns[i] + " IS NOT NULL";
  }
  if (!query.after.empty()) where += " AND (" + list + ") > (" + after + ")";
  if (query.upto) where += " AND (" + list + ") <= (" + upto + ")";
  return "SELECT " + list + " FROM " + from + " WHERE " + where;
}

// As the user's table has them. It may declare another collation than its key's.
std::vector<std::string> user_columns(const Table& t) {
  std::vector<std::string> out;
  for (const size_t i : t.key) {
    out.push_back(quote_name(t.columns[i].name));
    if (!t.rowid_key) {
      out.back() += std::string(" COLLATE ") + name_of(t.def.columns[i].collation);
    }
  }
  return out;
}

std::vector<std::string> version_columns(const Table& t) {
  if (t.rowid_key) return {"k"};
  std::vector<std::string> out;
  for (size_t i = 0; i < t.key.size(); ++i) out.push_back("k" + std::to_string(i + 1));
  return out;
}

// Both tables are read in the order of their keys and merged: no sorting.
std::string keys_sql(const Table& t, const DigestQuery& query) {
  const auto users = user_columns(t);
  std::string sql = select_keys(quote_name(t.def.name), users, query);
  // SQLite does not always search by rows with COLLATE in them.
  if (!query.after.empty()) sql += " AND " + users[0] + " >= ?1";
  sql += " UNION " + select_keys("_entente_v_" + std::to_string(t.id), version_columns(t), query);
  sql += " ORDER BY ";
  for (size_t i = 1; i <= t.key.size(); ++i) sql += (i > 1 ? ", " : "") + std::to_string(i);
  return sql + " LIMIT ?" + std::to_string(2 * t.key.size() + 1);
}

Result<std::vector<Key>> keys_in_range(RowStore& rows, const Table& t, const DigestQuery& query) {
  auto q = rows.plan(keys_sql(t, query));
  if (!q) return tl::unexpected(q.error());
  const int n = static_cast<int>(t.key.size());
  Result<void> bound;
  if (!query.after.empty()) bound = bind_key(**q, 1, t.key.size(), query.after);
  if (bound && query.upto) bound = bind_key(**q, n + 1, t.key.size(), *query.upto);
  if (!bound) return tl::unexpected(bound.error());
  (*q)->bind(2 * n + 1, static_cast<int64_t>(std::min<uint64_t>(query.rows_max, INT64_MAX)));
  Rows found(**q);
  std::vector<Key> keys;
  auto row = found.next();
  for (; row && *row; row = found.next()) {
    std::vector<Value> parts;
    for (int i = 0; i < n; ++i) parts.push_back((*q)->value(i));
    auto key = canonical_key(t.def, parts);
    if (!key) return tl::unexpected(key.error());
    keys.push_back(std::move(*key));
  }
  if (!row) return tl::unexpected(row.error());
  return keys;
}

Result<RowDigest> digest_row(RowStore& rows, const World& world, const Table& t, const Key& key,
                             const VersionVector& applied) {
  auto loaded = rows.load(world, t, key);
  if (!loaded) return tl::unexpected(loaded.error());
  const bool refused = loaded->meta && loaded->meta->quarantined;
  const bool lost =
      !loaded->shown && !refused && visible(loaded->state, t.layout, world.ranks).has_value();
  return digest_of(std::move(loaded->state), t.layout, world.ranks, applied, loaded->shown, lost);
}

bool could_hold(const Table& t, const DigestQuery& query) {
  const auto fits = [&](const Key& key) { return t.key_shape.fits(key); };
  return (query.after.empty() || fits(query.after)) && (!query.upto || fits(*query.upto)) &&
         std::all_of(query.keys.begin(), query.keys.end(), fits);
}

}  // namespace

Result<DigestSlice> read_digests(RowStore& rows, const World& world, const Table& t,
                                 const DigestQuery& query, const VersionVector& applied) {
  const bool named = !query.keys.empty();
  if (!could_hold(t, query)) {
    return fail(Code::kInvalid, "table " + t.def.name + " cannot have rows of these keys");
  }
  auto keys = named ? Result<std::vector<Key>>(query.keys) : keys_in_range(rows, t, query);
  if (!keys) return tl::unexpected(keys.error());
  DigestSlice out;
  for (const auto& key : *keys) {
    auto digest = digest_row(rows, world, t, key, applied);
    if (!digest) return tl::unexpected(digest.error());
    if (named || !digest->absent()) out.rows.push_back(std::move(*digest));
  }
  if (!keys->empty()) out.last = keys->back();
  out.looked_at = keys->size();
  out.complete = named || keys->size() < query.rows_max;
  return out;
}

}  // namespace entente::sqlite
