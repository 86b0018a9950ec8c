#include "adapters/sqlite/row_store.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "conflict/codec.h"
#include "conflict/conform.h"
#include "conflict/counter.h"

namespace entente::sqlite {
namespace {

bool counts(const Group& group) { return group.policy.is_counter() && !group.name.empty(); }

// True if a register needs more than a stamp and the value that is shown: then the side table holds
// it whole.
bool needs_side_table(const Register& r, const Group& group) {
  if (r.siblings.empty()) return false;
  const Sibling& s = r.siblings.front();
  if (r.siblings.size() > 1 || s.base) return true;
  if (!s.addend) return false;
  const std::string& column = group.columns.front();
  const auto it = s.row->find(column);
  return it == s.row->end() || first_addend(s.version, column, it->second).addend != s.addend;
}

}  // namespace

Result<Row> with_key(const Table& t, const Key& key, Row row) {
  auto parts = key_parts(key);
  if (!parts) return tl::unexpected(parts.error());
  if (parts->size() != t.key.size()) {
    return fail(Code::kInvalid, "a key of table " + t.def.name + " has the wrong number of parts");
  }
  for (size_t i = 0; i < t.key.size(); ++i) {
    row.try_emplace(t.columns[t.key[i]].name, std::move((*parts)[i]));
  }
  return row;
}

namespace {

// A visible row that does not carry its key columns spells them canonically.
Row spelled(const Table& t, const Key& key, Row row) {
  return with_key(t, key, row).value_or(std::move(row));
}

// Splits a whole row among the registers that were written.
Result<void> spread(const World& world, const Table& t, const Key& key, const RowMeta& meta,
                    const Row& values, RowState& state) {
  std::vector<Row> rows(t.layout.groups.size());
  std::vector<Value> spelled;
  for (const auto& c : t.columns) {
    const auto it = values.find(c.name);
    if (it != values.end() && c.key_part == 0) rows[c.group].insert(*it);
  }
  for (const size_t i : t.key) {
    const auto it = values.find(t.columns[i].name);
    if (it != values.end()) spelled.push_back(it->second);
  }
  if (spelled.size() == t.key.size() && spelled_otherwise(spelled, key)) {
    for (const size_t i : t.key) rows[0].insert(*values.find(t.columns[i].name));
  }
  std::optional<Row> existing;
  if (!meta.tombstone) existing = std::move(rows[0]);
  const auto keys_set = [&](size_t g, const Stamp& stamp) -> std::optional<Version> {
    const Stamp& set = meta.keys_set_in(t.group_ids[g], stamp);
    return set == stamp ? std::nullopt : std::optional(version_of(world, set));
  };
  state.registers[""].siblings.push_back({version_of(world, meta.row), std::move(existing)});
  if (t.one_register()) state.registers[""].siblings[0].keys_set = keys_set(0, meta.row);
  for (size_t g = 1; g < rows.size(); ++g) {
    const Stamp* stamp = meta.of(t.group_ids[g]);
    if (stamp == nullptr) continue;
    const Group& group = t.layout.groups[g];
    const Version version = version_of(world, *stamp);
    auto& siblings = state.registers[group.name].siblings;
    if (counts(group) && !rows[g].empty()) {
      siblings.push_back(first_addend(version, group.columns[0], rows[g].begin()->second));
    } else {
      siblings.push_back({version, std::move(rows[g])});
      siblings.back().keys_set = keys_set(g, *stamp);
    }
  }
  return {};
}

// Which version each register's visible value has, and the values that would otherwise be nowhere.
RowMeta meta_of(const World& world, const Table& t, const RowState& state, const Verdicts& verdicts,
                bool refused) {
  RowMeta meta;
  meta.quarantined = refused;
  meta.held = verdicts.held && !verdicts.deleted;
  const bool hidden = refused || meta.held;
  const auto retain = [&](const Row& row) {
    for (const auto& [name, value] : row) {
      if (const Column* c = t.find(name)) meta.retained.emplace_back(c->id, value);
    }
  };
  for (size_t g = 0; g < t.layout.groups.size(); ++g) {
    const Register& r = register_of(state, t.layout.groups[g].name);
    const Sibling* s = r.siblings.empty() ? nullptr : &r.siblings[verdicts.of[g].winner];
    const Row* row = shown(r, verdicts.of[g]);
    meta.siblings |= needs_side_table(r, t.layout.groups[g]);
    if (s != nullptr && s->keys_set) {
      meta.keys_set.emplace_back(t.group_ids[g], stamp_of(world, *s->keys_set));
    }
    if (g == 0) {
      meta.row = meta.rest = s != nullptr ? stamp_of(world, s->version) : Stamp{};
      meta.tombstone = row == nullptr;
      if (hidden && row != nullptr) retain(*row);
      continue;
    }
    if (row != nullptr && (meta.tombstone || hidden)) retain(*row);
    RowMeta::Exception e{t.group_ids[g], std::nullopt};
    if (s != nullptr) e.stamp = stamp_of(world, s->version);
    meta.exceptions.push_back(e);
  }
  const auto first = std::find_if(meta.exceptions.begin(), meta.exceptions.end(),
                                  [](const RowMeta::Exception& e) { return e.stamp.has_value(); });
  if (first != meta.exceptions.end()) meta.rest = *first->stamp;
  std::erase_if(meta.exceptions, [&](const RowMeta::Exception& e) { return e.stamp == meta.rest; });
  std::sort(meta.exceptions.begin(), meta.exceptions.end(),
            [](const auto& a, const auto& b) { return a.group < b.group; });
  return meta;
}

constexpr uint8_t kHasRow = 1, kHasBase = 2, kHasAddend = 4, kHasKeysSet = 8;

void append_sibling(ByteWriter& out, const World& world, const Sibling& s) {
  append_version(out, world, s.version);
  out.u8(static_cast<uint8_t>((s.row ? kHasRow : 0) | (s.base ? kHasBase : 0) |
                              (s.addend ? kHasAddend : 0) | (s.keys_set ? kHasKeysSet : 0)));
  if (s.row) out.string(encode_row(*s.row));
  if (s.base) out.string(encode_row(*s.base));
  if (s.addend) {
    out.wide(s.addend->sum), out.wide(s.addend->floor), out.varint(s.addend->floor_seq);
  }
  if (s.keys_set) append_version(out, world, *s.keys_set);
}

Result<std::optional<Row>> read_row_if(bool there, ByteReader& in) {
  if (!there) return std::optional<Row>();
  return decode_row(in.string()).map([](Row row) { return std::optional(std::move(row)); });
}

Result<Sibling> read_sibling(const World& world, ByteReader& in) {
  const Version version = read_version(world, in);
  const uint8_t flags = in.u8();
  auto row = read_row_if(flags & kHasRow, in);
  if (!row) return tl::unexpected(row.error());
  auto base = read_row_if(flags & kHasBase, in);
  if (!base) return tl::unexpected(base.error());
  Sibling s{version, std::move(*row), std::move(*base)};
  if (flags & kHasAddend) {
    Addend a;
    a.sum = in.wide(), a.floor = in.wide(), a.floor_seq = in.varint();
    s.addend = a;
  }
  if (flags & kHasKeysSet) s.keys_set = read_version(world, in);
  return s;
}

// What the side table holds of a row: its registers that need it, each whole.
std::string encode_registers(const World& world, const Table& t, const RowState& state,
                             const OpenGroups& open) {
  ByteWriter out;
  out.varint(open.size());
  for (const auto& [group, note] : open) out.string(group), out.string(note);
  for (const auto& group : t.layout.groups) {
    const Register& r = register_of(state, group.name);
    if (!needs_side_table(r, group)) continue;
    out.string(group.name);
    out.varint(r.siblings.size());
    for (const auto& s : r.siblings) append_sibling(out, world, s);
  }
  return out.take();
}

Result<void> read_registers(const World& world, std::string_view bytes, RowState& state,
                            OpenGroups& open) {
  ByteReader in(bytes);
  for (size_t n = in.count(2); n > 0 && in.ok(); --n) {
    std::string group(in.string());
    open.emplace(std::move(group), in.string());
  }
  while (in.ok() && in.left() > 0) {
    Register& r = state.registers[std::string(in.string())];
    r.siblings.clear();
    const size_t n = in.count(11);
    for (size_t i = 0; i < n; ++i) {
      auto s = read_sibling(world, in);
      if (!s) return tl::unexpected(s.error());
      r.siblings.push_back(std::move(*s));
    }
  }
  if (!in.ok()) return fail(Code::kCorrupt, "a side table holds bytes that are not a row's values");
  return {};
}

// The registers that nobody has decided, and why not.
OpenGroups open_of(const Table& t, const Verdicts& verdicts) {
  OpenGroups open;
  for (size_t g = 0; g < t.layout.groups.size() && !verdicts.deleted; ++g) {
    const Verdict& v = verdicts.of[g];
    if (v.open) open.emplace(t.layout.groups[g].name, v.failure);
  }
  return open;
}

}  // namespace

void forget_unknown_columns(Row& columns, const Table& t) {
  for (auto it = columns.begin(); it != columns.end();) {
    it = t.find(it->first) == nullptr ? columns.erase(it) : std::next(it);
  }
}

bool bind_encoded(Stmt& stmt, int at, ByteReader& in) {
  const std::string_view rest = in.rest();
  const uint8_t tag = rest.empty() ? 0xff : static_cast<uint8_t>(rest[0]);
  if (tag == kTagText || tag == kTagBlob) {
    in.u8();
    const std::string_view bytes = in.string();
    if (!in.ok()) return false;
    tag == kTagText ? stmt.bind(at, Text{bytes}) : stmt.bind(at, Bytes{bytes});
    return true;
  }
  if (!rest.empty() && tag >= kTagSmall) {
    in.u8();
    stmt.bind(at, static_cast<int64_t>(tag - kTagSmall));
    return true;
  }
  const Value v = in.value();
  if (in.ok()) stmt.bind(at, v);
  return in.ok();
}

Result<void> bind_key(Stmt& stmt, int first, size_t parts, std::string_view key) {
  ByteReader in(key);
  for (size_t i = 0; i < parts; ++i, ++first) {
    if (!bind_encoded(stmt, first, in)) return fail(Code::kInvalid, "a key has too few parts");
  }
  if (!in.done()) return fail(Code::kInvalid, "a key has too many parts");
  return {};
}

Result<Stmt*> RowStore::plan(const Table& t, Plan which) {
  Plans& plans = plans_[t.id];
  if (plans.of != t.def.changed) plans = Plans{};
  plans.of = t.def.changed;
  Stmt& stmt = plans.statements[static_cast<size_t>(which)];
  if (stmt) return &stmt;
  const std::array<const std::string*, static_cast<size_t>(Plan::kCount)> sql = {
      &t.read_version, &t.put_version, &t.put_versions, &t.delete_version,
      &t.read_row,     &t.insert_row,  &t.update_row,   &t.delete_row};
  auto made = db_.prepare(*sql[static_cast<size_t>(which)]);
  if (!made) return tl::unexpected(made.error());
  stmt = std::move(*made);
  return &stmt;
}

Result<Stmt*> RowStore::plan(const std::string& sql) {
  if (const auto it = others_.find(sql); it != others_.end()) return &it->second;
  auto made = db_.prepare(sql);
  if (!made) return tl::unexpected(made.error());
  return &others_.emplace(sql, std::move(*made)).first->second;
}

void RowStore::tidy() {
  constexpr size_t kKept = 512;
  if (others_.size() > kKept) others_.clear();
}

Result<std::optional<RowMeta>> RowStore::meta(const Table& t, std::string_view key) {
  if (waits(t, key)) {
    if (auto done = flush_versions(); !done) return tl::unexpected(done.error());
  }
  auto q = plan(t, Plan::kReadVersion);
  if (!q) return tl::unexpected(q.error());
  if (auto bound = bind_key(**q, 1, t.key.size(), key); !bound)
    return tl::unexpected(bound.error());
  Rows rows(**q);
  auto row = rows.next();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  RowMeta meta;
  meta.row = {(*q)->integer(0), (*q)->natural(1), (*q)->natural(2)};
  if (auto done = decode_extras((*q)->bytes(3), meta); !done) return tl::unexpected(done.error());
  for (const auto& [group, applied] : t.later_groups) meta.not_written(group, applied);
  return meta;
}

Result<void> RowStore::put_meta(const Table& t, std::string_view key, const RowMeta& meta) {
  const std::string x = encode_extras(meta);
  if (x.empty()) return put_stamp_later(t, key, meta.row);
  if (meta.tombstone || meta.siblings) {
    if (auto done = mark_unsettled(t, key); !done) return done;
  }
  if (waits(t, key)) {
    if (auto done = flush_versions(); !done) return done;
  }
  auto q = plan(t, Plan::kPutVersion);
  if (!q) return tl::unexpected(q.error());
  const int n = static_cast<int>(t.key.size());
  if (auto bound = bind_key(**q, 1, t.key.size(), key); !bound) return bound;
  (*q)->bind(n + 1, meta.row.origin);
  (*q)->bind(n + 2, meta.row.seq);
  (*q)->bind(n + 3, meta.row.hlc);
  (*q)->bind(n + 4, Bytes{x});
  return (*q)->run();
}

// It has something that collecting may forget.
Result<void> RowStore::mark_unsettled(const Table& t, std::string_view key) {
  auto q = plan("INSERT OR IGNORE INTO _entente_unsettled VALUES (?1, ?2)");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all(t.id, Bytes{key});
  return (*q)->run();
}

Result<void> RowStore::forget_row(const Table& t, const Key& key, const RowMeta& meta) {
  if (waits(t, key)) {
    if (auto done = flush_versions(); !done) return done;
  }
  if (meta.siblings) {
    --(*extras_)[t.id].siblings;
    if (auto done = forget_siblings(t, key); !done) return done;
  }
  auto q = plan(t, Plan::kDeleteVersion);
  if (!q) return tl::unexpected(q.error());
  if (auto bound = bind_key(**q, 1, t.key.size(), key); !bound) return bound;
  return (*q)->run();
}

Result<void> RowStore::put_stamp(const Table& t, std::string_view key, const Stamp& stamp) {
  auto q = plan(t, Plan::kPutVersion);
  if (!q) return tl::unexpected(q.error());
  const int n = static_cast<int>(t.key.size());
  if (auto bound = bind_key(**q, 1, t.key.size(), key); !bound) return bound;
  (*q)->bind(n + 1, stamp.origin);
  (*q)->bind(n + 2, stamp.seq);
  (*q)->bind(n + 3, stamp.hlc);
  (*q)->bind(n + 4, nullptr);
  return (*q)->run();
}

bool RowStore::waits(const Table& t, std::string_view key) const {
  return &t == later_table_ && std::any_of(later_.begin(), later_.end(),
                                           [&](const Later& l) { return key_of(l) == key; });
}

Result<void> RowStore::put_stamp_later(const Table& t, std::string_view key, const Stamp& stamp) {
  if (later_table_ != &t || later_.size() == kVersionsAtOnce) {
    if (auto done = flush_versions(); !done) return done;
  }
  later_table_ = &t;
  later_.push_back(
      {static_cast<uint32_t>(later_keys_.size()), static_cast<uint32_t>(key.size()), stamp});
  later_keys_ += key;
  return {};
}

Result<void> RowStore::flush() {
  if (log_ != nullptr) {
    if (auto done = log_->flush(); !done) return done;
  }
  return flush_versions();
}

void RowStore::drop_waiting() {
  later_.clear();
  later_keys_.clear();
  if (log_ != nullptr) log_->drop_waiting();
}

Result<void> RowStore::flush_versions() {
  if (later_.empty()) return {};
  const Table& t = *later_table_;
  Result<void> done;
  if (later_.size() < kVersionsAtOnce) {
    for (const auto& l : later_) {
      done = put_stamp(t, key_of(l), l.stamp);
      if (!done) break;
    }
  } else if (auto q = plan(t, Plan::kPutVersions); !q) {
    done = tl::unexpected(q.error());
  } else {
    int at = 1;
    for (const auto& l : later_) {
      done = bind_key(**q, at, t.key.size(), key_of(l));
      if (!done) break;
      at += static_cast<int>(t.key.size());
      (*q)->bind(at++, l.stamp.origin);
      (*q)->bind(at++, l.stamp.seq);
      (*q)->bind(at++, l.stamp.hlc);
    }
    if (done) done = (*q)->run();
  }
  later_.clear();
  later_keys_.clear();
  return done;
}

Result<std::optional<Row>> RowStore::shown(const Table& t, std::string_view key) {
  auto q = plan(t, Plan::kReadRow);
  if (!q) return tl::unexpected(q.error());
  if (auto bound = bind_key(**q, 1, t.key.size(), key); !bound)
    return tl::unexpected(bound.error());
  Rows rows(**q);
  auto row = rows.next();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  Row out;
  for (size_t i = 0; i < t.columns.size(); ++i) {
    out.emplace(t.columns[i].name, (*q)->value(static_cast<int>(i)));
  }
  return out;
}

Result<void> RowStore::delete_row(const Table& t, std::string_view key) {
  auto q = plan(t, Plan::kDeleteRow);
  if (!q) return tl::unexpected(q.error());
  if (auto bound = bind_key(**q, 1, t.key.size(), key); !bound) return bound;
  return (*q)->run();
}

bool RowStore::shows(const Table& t, const Key& key, const std::optional<Row>& shown,
                     const std::optional<Row>& want) {
  if (!shown || !want) return !shown && !want;
  return includes(*shown, *want) && (!t.respells || includes(*shown, spelled(t, key, *want)));
}

Result<Loaded> RowStore::load(const World& world, const Table& t, const Key& key) {
  auto row = shown(t, key);
  if (!row) return tl::unexpected(row.error());
  return load(world, t, key, std::move(*row));
}

Result<Loaded> RowStore::load(const World& world, const Table& t, const Key& key,
                              std::optional<Row> shown) {
  auto meta = this->meta(t, key);
  if (!meta) return tl::unexpected(meta.error());
  return load(world, t, key, std::move(shown), std::move(*meta));
}

Result<Loaded> RowStore::load(const World& world, const Table& t, const Key& key,
                              std::optional<Row> shown, std::optional<RowMeta> meta) {
  Loaded out;
  out.meta = std::move(meta);
  out.shown = std::move(shown);
  out.state.key = key;
  if (!out.meta && !out.shown) return out;
  const RowMeta known = out.meta.value_or(RowMeta{});
  Row values = out.shown ? *out.shown : t.layout.fills;
  for (const auto& [id, value] : known.retained) {
    if (const Column* c = t.with_id(id)) values.insert_or_assign(c->name, value);
  }
  if (auto done = spread(world, t, key, known, values, out.state); !done) {
    return tl::unexpected(done.error());
  }
  if (known.siblings) {
    if (auto done = load_siblings(world, t, key, out); !done) {
      return tl::unexpected(done.error());
    }
  }
  return out;
}

Result<void> RowStore::conform(const World& world, const Table& was, const Table& now,
                               uint64_t now_ms) {
  const PresentNames names(was.def, now.def);
  if (auto done = log_->rename_columns(world, now, names); !done) return done;
  std::vector<Key> keys;
  {
    auto q = plan("SELECT key FROM _entente_siblings WHERE tbl = ?1");
    if (!q) return tl::unexpected(q.error());
    (*q)->bind(1, now.id);
    Rows rows(**q);
    auto row = rows.next();
    for (; row && *row; row = rows.next()) keys.emplace_back((*q)->bytes(0));
    if (!row) return tl::unexpected(row.error());
  }
  if (keys.empty()) return {};
  const Quiet quiet(db_);
  for (const auto& key : keys) {
    if (auto done = conform(world, was, now, names, key, now_ms); !done) return done;
  }
  return {};
}

Result<void> RowStore::conform(const World& world, const Table& was, const Table& now,
                               const PresentNames& names, const Key& key, uint64_t now_ms) {
  auto row = shown(now, key);
  if (!row) return tl::unexpected(row.error());
  if (*row) {
    Row as_it_was;
    for (const auto& [name, value] : **row) {
      const Column* before = was.with_id(now.find(name)->id);
      if (before != nullptr) as_it_was.emplace(before->name, value);
    }
    *row = std::move(as_it_was);
  }
  auto loaded = load(world, was, key, std::move(*row));
  if (!loaded) return tl::unexpected(loaded.error());
  entente::conform(loaded->state, was.def, now.def, now.layout);
  // What the user's table shows of it is not touched.
  if (loaded->shown) {
    loaded->shown = visible(loaded->state, now.layout, world.ranks);
    if (loaded->shown && now.respells) loaded->shown = spelled(now, key, std::move(*loaded->shown));
  }
  OpenGroups open;
  for (auto& [group, note] : loaded->open) open.emplace(names.of(group), std::move(note));
  loaded->open = std::move(open);
  return store(world, now, key, *loaded, now_ms);
}

Result<void> RowStore::load_siblings(const World& world, const Table& t, const Key& key,
                                     Loaded& row) {
  auto q = plan("SELECT registers FROM _entente_siblings WHERE tbl = ?1 AND key = ?2");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all(t.id, Bytes{key});
  Rows rows(**q);
  auto found = rows.next();
  if (!found) return tl::unexpected(found.error());
  return *found ? read_registers(world, (*q)->bytes(0), row.state, row.open) : Result<void>();
}

Result<void> RowStore::store(const World& world, const Table& t, const Key& key, const Loaded& row,
                             uint64_t now_ms) {
  return store(world, t, key, row, judge(row.state, t.layout, world.ranks), now_ms);
}

Result<void> RowStore::store(const World& world, const Table& t, const Key& key, const Loaded& row,
                             const Verdicts& verdicts, uint64_t now_ms) {
  auto outcome = show(t, key, visible(row.state, t.layout, verdicts), row);
  if (!outcome) return tl::unexpected(outcome.error());
  return write_down(world, t, key, verdicts, row, *outcome, now_ms);
}

Result<void> RowStore::hide(const World& world, const Table& t, const Key& key, const Loaded& row,
                            Hidden why, uint64_t now_ms) {
  const Quiet quiet(db_);
  if (auto done = delete_row(t, key); !done) return done;
  if (row.shown) note(t, key, true, false);
  const Verdicts verdicts = judge(row.state, t.layout, world.ranks);
  return write_down(world, t, key, verdicts, row, {why, {}}, now_ms);
}

void RowStore::note(const Table& t, std::string_view key, bool gone, bool came) {
  note_change(t, key);
  if (!t.referenced) return;
  if (gone) news_.gone.emplace(t.id, key);
  if (came) news_.came.insert(t.id);
}

void RowStore::note_change(const Table& t, std::string_view key) {
  if (!t.foreign_keys.empty()) news_.changed.emplace(t.id, key);
}

Result<void> RowStore::write_down(const World& world, const Table& t, const Key& key,
                                  const Verdicts& verdicts, const Loaded& row,
                                  const Outcome& outcome, uint64_t now_ms) {
  const RowMeta meta = meta_of(world, t, row.state, verdicts, outcome.why != Hidden::kNo);
  const bool had = row.meta && row.meta->siblings;
  if (meta.siblings) {
    auto q = plan("INSERT OR REPLACE INTO _entente_siblings VALUES (?1, ?2, ?3)");
    if (!q) return tl::unexpected(q.error());
    const OpenGroups open = open_of(t, verdicts);
    const std::string registers = encode_registers(world, t, row.state, open);
    (*q)->bind_all(t.id, Bytes{key}, Bytes{registers});
    if (auto done = (*q)->run(); !done) return done;
    if (auto done = list_open(t, key, row.open, open, now_ms); !done) return done;
  } else if (had) {
    if (auto done = forget_siblings(t, key); !done) return done;
    if (auto done = list_open(t, key, row.open, {}, now_ms); !done) return done;
  }
  if (auto done = put_meta(t, key, meta); !done) return done;
  return count(t, key, row.meta.value_or(RowMeta{}), meta, outcome, now_ms);
}

// Makes the user's table show `want`, if its constraints let it; says why not.
Result<RowStore::Outcome> RowStore::show(const Table& t, const Key& key,
                                         const std::optional<Row>& want, const Loaded& before) {
  const bool was = before.shown.has_value();
  const auto hide = [&](Outcome outcome) -> Result<Outcome> {
    if (was) {
      const Quiet quiet(db_);
      if (auto done = delete_row(t, key); !done) return tl::unexpected(done.error());
    }
    note(t, key, was, false);
    return outcome;
  };
  if (!want) return hide({});
  Row row = *want;
  forget_unknown_columns(row, t);
  if (was && t.respells) row = spelled(t, key, std::move(row));
  if (was && shows(t, key, before.shown, row)) return Outcome{};
  const Quiet quiet(db_);
  auto done = put_row(t, key, row, was);
  if (done) {
    const bool renamed =
        was && std::any_of(row.begin(), row.end(), [&](const auto& column) {
          const auto old = before.shown->find(column.first);
          return t.referenced_columns.contains(column.first) &&
                 (old == before.shown->end() || !identical(old->second, column.second));
        });
    note(t, key, renamed, !was || renamed);
    return Outcome{};
  }
  const Hidden why = refusal(done.error());
  if (why == Hidden::kNo) return tl::unexpected(done.error());
  if (why == Hidden::kUnique && !t.unique.empty()) return hide({why, {}});
  return hide({Hidden::kConstraint, done.error().text});
}

RowStore::Hidden RowStore::refusal(const Error& error) const {
  if (blame_of(error) != Blame::kRow) return Hidden::kNo;
  const bool taken = sqlite3_extended_errcode(db_.get()) == SQLITE_CONSTRAINT_UNIQUE;
  return taken ? Hidden::kUnique : Hidden::kConstraint;
}

Result<void> RowStore::put_row(const Table& t, const Key& key, const Row& row, bool exists) {
  return exists ? update_row(t, key, row) : insert_row(t, key, row);
}

Result<void> RowStore::insert_row(const Table& t, const Key& key, const Row& row, bool replace) {
  auto full = with_key(t, key, row);
  if (!full) return tl::unexpected(full.error());
  std::vector<size_t> which;
  for (size_t i = 0; i < t.columns.size(); ++i) {
    if (full->contains(t.columns[i].name)) which.push_back(i);
  }
  auto q = plan(replace ? t.replace_sql(which) : t.insert_sql(which));
  if (!q) return tl::unexpected(q.error());
  int at = 0;
  for (const size_t i : which) (*q)->bind(++at, full->find(t.columns[i].name)->second);
  return (*q)->run();
}

Result<void> RowStore::update_row(const Table& t, const Key& key, const Row& row) {
  std::vector<size_t> which;
  for (const auto& [name, value] : row) {
    which.push_back(static_cast<size_t>(t.find(name) - t.columns.data()));
  }
  if (which.empty()) return {};
  auto q = which == t.by_name ? plan(t, Plan::kUpdateRow) : plan(t.update_sql(which));
  if (!q) return tl::unexpected(q.error());
  int at = 0;
  for (const auto& [name, value] : row) (*q)->bind(++at, value);
  if (auto bound = bind_key(**q, at + 1, t.key.size(), key); !bound) return bound;
  return (*q)->run();
}

Result<void> RowStore::forget_siblings(const Table& t, const Key& key) {
  auto q = plan("DELETE FROM _entente_siblings WHERE tbl = ?1 AND key = ?2");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all(t.id, Bytes{key});
  return (*q)->run();
}

// Keeps the list of what is open in step.
Result<void> RowStore::list_open(const Table& t, const Key& key, const OpenGroups& was,
                                 const OpenGroups& now, uint64_t now_ms) {
  for (const auto& [group, note] : was) {
    if (now.contains(group)) continue;
    auto done = log_->set_open(t, key, group, kOpenKind, false, "", now_ms);
    if (!done) return done;
  }
  for (const auto& [group, note] : now) {
    const auto it = was.find(group);
    if (it != was.end() && it->second == note) continue;
    auto done = log_->set_open(t, key, group, kOpenKind, true, note, now_ms);
    if (!done) return done;
  }
  return {};
}

// Keeps the counts in step, and the list of rows that are not shown.
Result<void> RowStore::count(const Table& t, const Key& key, const RowMeta& was, const RowMeta& now,
                             const Outcome& outcome, uint64_t now_ms) {
  Extras& extras = (*extras_)[t.id];
  extras.siblings += now.siblings - was.siblings;
  extras.quarantined += now.quarantined - was.quarantined;
  if (!was.quarantined && !now.quarantined) return {};
  for (const auto& [hidden, kind] :
       {std::pair(Hidden::kConstraint, kConstraintKind), std::pair(Hidden::kUnique, kUniqueKind)}) {
    const bool open = outcome.why == hidden;
    auto done = log_->set_open(t, key, "", kind, open, open ? outcome.note : "", now_ms);
    if (!done) return done;
  }
  return {};
}

std::string etag_of(const RowState& state) {
  ByteWriter out;
  for (const auto& [group, r] : state.registers) {
    out.string(group);
    out.varint(r.siblings.size());
    for (const auto& s : r.siblings)
      out.origin(s.version.dot.origin), out.varint(s.version.dot.seq);
  }
  if (out.size() == 0) return {};
  const XXH128_hash_t hash = XXH3_128bits(out.view().data(), out.size());
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

}  // namespace entente::sqlite
