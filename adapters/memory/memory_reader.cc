#include "adapters/memory/memory_reader.h"

#include <algorithm>

#include "adapters/memory/row_view.h"
#include "conflict/key_shape.h"
#include "conflict/open_conflict.h"
#include "conflict/row_changes.h"

namespace entente {
namespace {

using Contents = MemoryDisk::Contents;

const RowState kNever;

Ranks ranks_of(const Contents& contents, const ConflictRules& rules) {
  Ranks ranks(rules.priorities);
  for (const auto& [origin, dc] : contents.labels) ranks.declare(origin, dc);
  return ranks;
}

tl::unexpected<Error> no_table(std::string_view table) {
  return fail(Code::kNotFound, "there is no table " + std::string(table), "unknown_table");
}

bool wanted(const ConflictQuery& query, const std::string& table, const Key& key, uint64_t id) {
  return id > query.after_id && (query.table.empty() || query.table == table) &&
         (!query.key || *query.key == key);
}

// An open conflict as the log lists it, made from the row's state.
std::optional<ConflictEntry> open_entry(const Contents& contents, const ConflictRules& rules,
                                        const Ranks& ranks, const MemoryDisk::RegisterName& name,
                                        const MemoryDisk::OpenMark& mark) {
  const auto& [table, key, group] = name;
  const auto def = contents.tables.find(table);
  if (def == contents.tables.end()) return std::nullopt;
  const Layout layout(def->second, rules.of(table));
  const RowState& state = contents.rows.at(table).at(key);
  const auto open = describe_open(state, layout, layout.group_named(group), ranks);
  if (!open) return std::nullopt;
  const auto version = [&](const Sibling& s) {
    return RowVersion{s.version, std::string(ranks.dc(s.version.dot.origin)), s.row};
  };
  ConflictEntry entry;
  entry.id = mark.id;
  entry.table = table;
  entry.key = key;
  entry.group = group;
  entry.policy = open->policy;
  entry.kind = open->kind;
  entry.note = open->failure;
  entry.open = true;
  entry.detected_ms = mark.detected_ms;
  entry.winner = version(open->winner);
  for (const auto& s : open->losers) entry.losers.push_back(version(s));
  return entry;
}

// The order of keys that SQLite has.
bool key_before(const Key& a, const Key& b) {
  const auto x = key_parts(a), y = key_parts(b);
  for (size_t i = 0; x && y && i < std::min(x->size(), y->size()); ++i) {
    const auto ordered = order((*x)[i], (*y)[i]);
    if (ordered != 0) return ordered < 0;
  }
  return false;
}

bool could_hold(const TableDef& table, const DigestQuery& query) {
  const KeyShape shape(table);
  const auto fits = [&](const Key& key) { return shape.fits(key); };
  return (query.after.empty() || fits(query.after)) && (!query.upto || fits(*query.upto)) &&
         std::all_of(query.keys.begin(), query.keys.end(), fits);
}

// The keys that the query is about, and whether those are all.
std::pair<std::vector<Key>, bool> keys_of(const MemoryDisk::Rows& rows, const DigestQuery& query) {
  if (!query.keys.empty()) return {query.keys, true};
  std::vector<Key> keys;
  for (const auto& [key, state] : rows) {
    const bool begun = query.after.empty() || key_before(query.after, key);
    if (begun && !(query.upto && key_before(*query.upto, key))) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end(), key_before);
  const bool complete = keys.size() < query.rows_max;
  if (!complete) keys.resize(query.rows_max);
  return {std::move(keys), complete};
}

tl::unexpected<Error> no_sql() {
  return fail(Code::kRefused, "the memory database speaks no SQL: use the row API", "no_sql");
}

}  // namespace

Result<void> MemoryReader::begin() {
  const std::lock_guard held(disk_->lock);
  snapshot_ = disk_->contents;
  return {};
}

Result<VersionVector> MemoryReader::applied() {
  return with([](const Contents& c) { return entente::applied(c); });
}

Result<StatementResult> MemoryReader::execute(const Statement&) { return no_sql(); }
Result<StatementDescription> MemoryReader::describe(const Statement&) { return no_sql(); }

Result<RowRead> MemoryReader::row(std::string_view table, std::span<const Value> key,
                                  bool all_siblings) {
  return with([&](const Contents& c) -> Result<RowRead> {
    const auto def = c.tables.find(table);
    if (def == c.tables.end()) return no_table(table);
    const auto canonical = canonical_key(def->second, key);
    if (!canonical) return tl::unexpected(canonical.error());
    const TableRules& rules = rules_.of(table);
    const Layout layout(def->second, rules);
    const Ranks ranks = ranks_of(c, rules_);
    const RowState* state = &kNever;
    if (const auto rows = c.rows.find(table); rows != c.rows.end()) {
      if (const auto it = rows->second.find(*canonical); it != rows->second.end()) {
        state = &it->second;
      }
    }
    const RowView view(def->second, layout, *state, ranks);
    RowRead out;
    out.row = view.whole(*canonical);
    out.context.seen = entente::applied(c);
    out.context.counters = counters_of(out.row, layout);
    out.etag = view.etag();
    out.conflict = view.conflict();
    const bool logged = std::any_of(c.resolved.begin(), c.resolved.end(), [&](const auto& entry) {
      return entry.table == table && entry.key == *canonical;
    });
    if (logged && out.conflict == RowConflict::kNone) {
      out.conflict = RowConflict::kResolved;
    }
    out.policy = rules.policy.kind;
    out.decides_on_read =
        out.conflict == RowConflict::kOpen && resolve(*state, layout, ranks).has_value();
    out.siblings = view.count_values();
    if (!all_siblings) return out;
    out.values = view.values();
    out.parts = parts_of(*state, layout, ranks);
    return out;
  });
}

Result<std::vector<ConflictEntry>> MemoryReader::conflicts(const ConflictQuery& query) {
  return with([&](const Contents& c) -> Result<std::vector<ConflictEntry>> {
    std::vector<ConflictEntry> out;
    const Ranks ranks = ranks_of(c, rules_);
    if (query.state != ConflictQuery::State::kOpen) {
      for (const auto& entry : c.resolved) {
        if (wanted(query, entry.table, entry.key, entry.id)) out.push_back(entry);
      }
    }
    if (query.state != ConflictQuery::State::kResolved) {
      for (const auto& [name, mark] : c.open) {
        if (!wanted(query, std::get<0>(name), std::get<1>(name), mark.id)) continue;
        if (auto entry = open_entry(c, rules_, ranks, name, mark)) out.push_back(std::move(*entry));
      }
    }
    std::sort(out.begin(), out.end(),
              [](const ConflictEntry& a, const ConflictEntry& b) { return a.id < b.id; });
    if (out.size() > query.limit) out.resize(query.limit);
    return out;
  });
}

Result<std::map<Key, Row>> MemoryReader::table(std::string_view table) {
  return with([&](const Contents& c) -> Result<std::map<Key, Row>> {
    const auto def = c.tables.find(table);
    if (def == c.tables.end()) return no_table(table);
    std::map<Key, Row> out;
    const auto rows = c.rows.find(table);
    if (rows == c.rows.end()) return out;
    const Layout layout(def->second, rules_.of(table));
    const Ranks ranks = ranks_of(c, rules_);
    for (const auto& [key, state] : rows->second) {
      if (auto row = RowView(def->second, layout, state, ranks).whole(key)) {
        out.emplace(key, std::move(*row));
      }
    }
    return out;
  });
}

Result<DigestSlice> MemoryReader::digests(const DigestQuery& query) {
  return with([&](const Contents& c) -> Result<DigestSlice> {
    const auto def = c.tables.find(query.table);
    if (def == c.tables.end()) return no_table(query.table);
    if (!could_hold(def->second, query)) {
      return fail(Code::kInvalid, "table " + query.table + " cannot have rows of these keys");
    }
    const auto found = c.rows.find(query.table);
    static const MemoryDisk::Rows kNone;
    const auto& rows = found == c.rows.end() ? kNone : found->second;
    const Layout layout(def->second, rules_.of(query.table));
    const Ranks ranks = ranks_of(c, rules_);
    const auto [keys, complete] = keys_of(rows, query);
    DigestSlice out;
    for (const auto& key : keys) {
      const auto at = rows.find(key);
      RowState state = at == rows.end() ? RowState{} : at->second;
      state.key = key;
      const auto shown = RowView(def->second, layout, state, ranks).whole(key);
      auto digest = digest_of(state, layout, ranks, entente::applied(c), shown, false);
      if (!query.keys.empty() || !digest.absent()) out.rows.push_back(std::move(digest));
    }
    if (!keys.empty()) out.last = keys.back();
    out.looked_at = keys.size();
    out.complete = complete;
    return out;
  });
}

Result<StateSlice> MemoryReader::states(const StateQuery& query) {
  return with([&](const Contents& c) -> Result<StateSlice> {
    const auto def = c.tables.find(query.table);
    if (def == c.tables.end()) return no_table(query.table);
    const auto found = c.rows.find(query.table);
    StateSlice out;
    for (const auto& key : query.keys) {
      out.rows.push_back(RowState{key, {}});
      if (found == c.rows.end()) continue;
      if (const auto row = found->second.find(key); row != found->second.end()) {
        out.rows.back().registers = row->second.registers;
      }
    }
    if (found == c.rows.end() || !query.keys.empty()) return out;
    const Layout layout(def->second, rules_.of(query.table));
    size_t looked_at = 0;
    auto it = query.after.empty() ? found->second.begin() : found->second.upper_bound(query.after);
    for (; it != found->second.end() && looked_at < query.rows_max; ++it, ++looked_at) {
      out.last = it->first;
      if (!has_news(it->second, query.knows, layout)) continue;
      out.rows.push_back(it->second);
      out.rows.back().key = it->first;
    }
    out.complete = it == found->second.end();
    return out;
  });
}

Result<std::vector<TableDef>> MemoryReader::tables() {
  return with([](const Contents& c) -> Result<std::vector<TableDef>> {
    std::vector<TableDef> out;
    for (const auto& [name, def] : c.tables) out.push_back(def);
    return out;
  });
}

Result<std::optional<TableDef>> MemoryReader::find_table(std::string_view table) {
  return with([&](const Contents& c) -> Result<std::optional<TableDef>> {
    const auto it = c.tables.find(table);
    if (it == c.tables.end()) return std::nullopt;
    return it->second;
  });
}

}  // namespace entente
