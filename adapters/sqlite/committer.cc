#include "adapters/sqlite/committer.h"

#include <algorithm>

#include "conflict/merge.h"

namespace entente::sqlite {
namespace {

// A row's values as captured ones are encoded.
std::string values_of(const Table& t, const Row& row) {
  ByteWriter out;
  for (const size_t i : t.by_name) {
    const auto it = row.find(t.columns[i].name);
    out.value(it != row.end() ? it->second : Value{});
  }
  return out.take();
}

Result<void> once(Connection& db, Stmt& stmt, std::string_view sql) {
  if (!stmt) {
    auto made = db.prepare(sql);
    if (!made) return tl::unexpected(made.error());
    stmt = std::move(*made);
  }
  return stmt.run();
}

}  // namespace

Committer::Committer(Connection& db, Guard& guard, FileState& state, const DatabaseOptions& options)
    : db_(db),
      state_(state),
      options_(options),
      log_(db, options.conflict_log_rows),
      rows_(db, &log_, &state.extras),
      storage_(db, options.rules),
      sql_(db, guard, options, Guard::Mode::kWrite),
      capture_(db, guard, rows_),
      functions_(db, guard, rows_, [&state] { return state.world; }),
      ids_(db, guard, rows_, capture_, state, options),
      schema_(db, sql_, storage_, rows_, log_, state),
      side_{db, sql_, capture_, rows_, schema_, state, options, group_.wall_ms} {
  functions_.install();
  sql_.number_keys_in(state.world);
}

Result<CommittedGroup> Committer::commit(std::span<const ClientTransaction> group,
                                         uint64_t wall_ms) {
  rows_.tidy();
  ids_.begin_group(wall_ms);
  state_.retired.clear();
  to_retry_.clear();
  const Stream& self = state_.streams.at(state_.self);
  group_ = Group{{state_.self, self.state.seq + 1, 0, {}}, self.state.chain, wall_ms, false};
  if (auto done = once(db_, begin_, "BEGIN IMMEDIATE"); !done) return tl::unexpected(done.error());
  CommittedGroup out;
  out.results.reserve(group.size());
  for (const auto& work : group) {
    out.results.push_back(run_one(work));
    if (group_.lost || group_.run.records.size() >= kGroupBytes) break;
  }
  if (group_.lost) {
    rows_.forget();
    to_retry_.clear();
    db_.rollback();
    const Error why = out.results.back().error();
    if (why.code == Code::kExhausted || why.code == Code::kCorrupt) return tl::unexpected(why);
    for (size_t i = 0; i + 1 < out.results.size(); ++i) {
      out.results[i] = tl::unexpected(group_lost(why));
    }
    while (out.results.size() < group.size()) {
      out.results.push_back(tl::unexpected(group_lost(why)));
    }
    return out;
  }
  auto chunk = close();
  if (!chunk) {
    rows_.forget();
    db_.rollback();
    return tl::unexpected(chunk.error());
  }
  out.chunk = std::move(*chunk);
  return out;
}

Error Committer::group_lost(const Error& why) const {
  return {Code::kBusy,
          "another transaction of the same group failed in a way that undid the group (" +
              why.text + "): send this one again",
          "SQLITE_BUSY"};
}

Result<Committed> Committer::run_one(const ClientTransaction& work) {
  sqlite3_set_last_insert_rowid(db_.get(), 0);
  const SchemaState schema(state_);
  capture_.start(*schema.world, options_.transaction_bytes);
  SqliteWriteSession session(side_);
  capture_.on();
  auto done = work(session);
  capture_.off();
  Result<Committed> result;
  if (!done) {
    result = tl::unexpected(undo(session, std::move(done.error())));
  } else {
    result = finish(session);
  }
  if (!result) {
    if (state_.world != schema.world) schema_changed();
    schema.restore(state_);
  }
  return result;
}

// Takes back what a failed transaction did. Without a savepoint there is nothing to take back, or
// only the whole group can be.
Error Committer::undo(SqliteWriteSession& session, Error why) {
  if (!db_.in_transaction()) {
    group_.lost = true;
  } else if (session.has_savepoint()) {
    rows_.drop_waiting();
    const std::string name = SqliteWriteSession::kSavepoint;
    auto undone = once(db_, undo_, "ROLLBACK TO " + name);
    auto released = once(db_, release_, "RELEASE " + name);
    group_.lost = !undone || !released;
  } else {
    group_.lost = session.wrote();
  }
  return why;
}

Result<Committed> Committer::finish(SqliteWriteSession& session) {
  if (!db_.in_transaction()) {
    group_.lost = true;
    return fail(Code::kBusy, "the database undid the transaction: send it again", "SQLITE_ABORT");
  }
  if (session.doom()) return tl::unexpected(undo(session, *session.doom()));
  auto committed = check_deferred().and_then([&] { return end_schema(session); }).and_then([&] {
    return stamp(session);
  });
  if (!committed) return tl::unexpected(undo(session, committed.error()));
  if (session.has_savepoint()) {
    auto done = once(db_, release_, std::string("RELEASE ") + SqliteWriteSession::kSavepoint);
    if (!done) {
      group_.lost = true;
      return tl::unexpected(done.error());
    }
  }
  return committed;
}

// A deferred foreign key that is still broken would fail the whole group's commit.
Result<void> Committer::check_deferred() {
  int broken = 0, most = 0;
  sqlite3_db_status(db_.get(), SQLITE_DBSTATUS_DEFERRED_FKS, &broken, &most, 0);
  if (broken == 0) return {};
  return fail(Code::kConstraint, "FOREIGN KEY constraint failed", "SQLITE_CONSTRAINT");
}

// Rows that were not shown may be shown now.
Result<void> Committer::end_schema(const SqliteWriteSession& session) {
  if (session.schema().steps.empty() && session.schema().aside.empty()) return {};
  if (auto done = schema_.finish(session.schema(), capture_); !done) return done;
  for (const auto& [name, table] : state_.world->tables) {
    const auto extras = state_.extras.find(table->id);
    const bool waits = extras != state_.extras.end() && extras->second.quarantined > 0;
    if (waits) to_retry_.push_back(table.get());
  }
  return {};
}

Result<Committed> Committer::stamp(const SqliteWriteSession& session) {
  const auto captured = capture_.rows(*state_.world);
  if (!captured) return tl::unexpected(captured.error());
  const auto changes = *captured;
  const auto& steps = session.schema().steps;
  if (changes.empty() && steps.empty()) {
    return Committed{std::nullopt, state_.clock.last(), state_.applied};
  }
  Record& record = record_;
  record.changes.clear();
  record.count = steps.size();
  const uint64_t seq = state_.applied.at(state_.self) + 1;
  record.version = {state_.clock.tick(group_.wall_ms), {state_.self, seq}};
  for (const auto& step : steps) append_change(record.changes, step.change);
  for (const auto& c : changes) {
    if (auto done = write_row(c, record); !done) return tl::unexpected(done.error());
  }
  if (auto done = erase_twins(changes, record); !done) return tl::unexpected(done.error());
  if (record.changes.size() > options_.transaction_bytes) {
    return fail(Code::kTooLarge,
                "the transaction's record has " + std::to_string(record.changes.size()) +
                    " bytes; the limit (transaction_bytes) is " +
                    std::to_string(options_.transaction_bytes) + ": split it",
                "transaction_too_large");
  }
  seal(record, "");
  if (const size_t limit = record_bytes_; record.sealed.size() > limit) {
    return tl::unexpected(record_too_long(record.sealed.size(), limit));
  }
  append(record);
  if (session.has_savepoint()) {
    if (auto done = rows_.flush(); !done) return tl::unexpected(done.error());
  }
  return Committed{record.version.dot, record.version.hlc, state_.applied};
}

void Committer::seal(Record& record, const std::string& declares_dc) {
  Transaction& head = record.head;
  head.dot = record.version.dot;
  head.hlc = record.version.hlc;
  head.context = state_.applied;
  head.epoch = state_.epoch;
  head.declares_dc = declares_dc;
  record.sealed.clear();
  seal_record(record.sealed, head, record.count, record.changes.view(),
              state_.streams.at(state_.self).state);
  record.frame.clear();
  record.frame.varint(record.sealed.size());
}

void Committer::append(const Record& record) {
  StreamState& stream = state_.streams.at(state_.self).state;
  const Transaction& head = record.head;
  group_.run.records += record.frame.view();
  group_.run.records += record.sealed.view();
  ++group_.run.count;
  stream.seq = head.dot.seq;
  stream.hlc = head.hlc;
  stream.context = state_.applied;
  stream.chain = chain_after(stream.chain, record.sealed.view());
  state_.applied.advance(state_.self, head.dot.seq);
}

Result<std::optional<LogChunk>> Committer::close() {
  std::optional<LogChunk> chunk;
  if (group_.run.count > 0) {
    const Stream& self = state_.streams.at(state_.self);
    chunk = LogChunk{++state_.log_head, std::move(group_.run)};
    auto done = rows_.flush()
                    .and_then([&] {
                      return storage_.append_log(state_, self.id, *chunk, group_.chain_before,
                                                 group_.wall_ms);
                    })
                    .and_then([&] { return storage_.save_stream(self); })
                    .and_then([&] { return storage_.save(state_); })
                    .and_then([&] { return storage_.save_numbers(state_); });
    if (!done) return tl::unexpected(done.error());
  }
  if (auto done = once(db_, commit_, "COMMIT"); !done) return tl::unexpected(done.error());
  return chunk;
}

Result<void> Committer::declare(uint64_t wall_ms) {
  const Stream& self = state_.streams.at(state_.self);
  group_ = Group{{state_.self, self.state.seq + 1, 0, {}}, self.state.chain, wall_ms, false};
  Record record;
  record.version = {state_.clock.tick(wall_ms), {state_.self, self.state.seq + 1}};
  seal(record, options_.dc);
  append(record);
  auto chunk = close();
  if (!chunk) return tl::unexpected(chunk.error());
  return {};
}

Result<void> Committer::write_row(const Capture::Change& c, Record& record) {
  ++record.count;
  note_number(c);
  auto done = write_one(c, record);
  const auto extras = state_.extras.find(c.table->id);
  if (extras != state_.extras.end() && extras->second.quarantined > 0) {
    to_retry_.push_back(c.table);
  }
  if (c.table->referenced || !c.table->foreign_keys.empty()) note_orphans();
  // SQLite lets REPLACE leave a row without a parent if the old one was its own.
  if (c.table->refers_to_itself && c.after != Capture::kNone) {
    rows_.note_change(*c.table, capture_.key(c));
  }
  return done;
}

// What was given to a row that is not there in the end is free, as in SQLite.
void Committer::note_number(const Capture::Change& c) {
  const Table& t = *c.table;
  const bool made = c.before == Capture::kNone && c.after != Capture::kNone;
  if (!made || !t.numbers_key || t.rules.numbering != Numbering::kInterleaved) return;
  ByteReader in(capture_.key(c));
  const Value key = in.value();
  const auto* number = std::get_if<int64_t>(&key);
  if (number == nullptr || *number >= SmallKeys::kEnd) return;
  int64_t& last = state_.numbers.made[t.id];
  if (*number <= last) return;
  last = *number;
  state_.numbers.unsaved.insert(t.id);
}

// A parent may have come for those that wait, or gone from those that SQLite does not see.
void Committer::note_orphans() {
  for (const auto& [id, extras] : state_.extras) {
    const bool waits = extras.orphans > 0 || extras.quarantined > 0;
    const Table* t = waits ? state_.world->by_id(id) : nullptr;
    if (t != nullptr) to_retry_.push_back(t);
  }
}

Result<void> Committer::write_one(const Capture::Change& c, Record& record) {
  const auto extras = state_.extras.find(c.table->id);
  const bool plain = extras == state_.extras.end() || extras->second.none();
  const bool own_context = c.intent != nullptr && c.intent->context && !c.plain;
  const bool decided = c.intent != nullptr && c.intent->decider != Decider::kWriter;
  const bool missing = c.before == Capture::kNone && c.after == Capture::kNone;
  const bool more = c.table->any_keeps_more && c.after != Capture::kNone;
  if (more) {
    if (auto fit = check_values(c); !fit) return fit;
  }
  if (slow_only_ || own_context || decided || missing || (more && c.before != Capture::kNone)) {
    return write_slow(c, record);
  }
  if (plain && !more) return write_fast(c, record);
  const auto meta = rows_.meta(*c.table, capture_.key(c));
  if (!meta) return tl::unexpected(meta.error());
  const bool fast = !*meta || ((*meta)->simple() && !more);
  return fast ? write_fast(c, record) : write_slow(c, record);
}

// Counters take integers, sets JSON arrays.
Result<void> Committer::check_values(const Capture::Change& c) const {
  const Table& t = *c.table;
  for (const size_t i : t.by_name) {
    const Policy& policy = t.layout.groups[t.columns[i].group].policy;
    if (!t.keeps_more[t.columns[i].group] || (!policy.is_counter() && !policy.is_set())) continue;
    ByteReader in(capture_.value(c.after, i));
    const Value v = in.value();
    const bool fits =
        std::holds_alternative<Null>(v) ||
        (policy.is_counter() ? std::holds_alternative<int64_t>(v) : set_elements(v).has_value());
    if (fits) continue;
    return fail(Code::kConstraint,
                "column " + t.columns[i].name + " of " + t.def.name +
                    (policy.is_counter() ? " is a counter: it takes 64-bit integers"
                                         : " is a set: it takes a JSON array as text") +
                    ", not " + describe(v),
                policy.is_counter() ? "counter_value" : "set_value");
  }
  return {};
}

// The columns that the change carries, by name: all of each group it touches. Fills groups_ too.
const std::vector<size_t>& Committer::columns_of(const Capture::Change& c) {
  const Table& t = *c.table;
  columns_.clear();
  groups_.clear();
  if (c.after == Capture::kNone) return columns_;
  if (c.before == Capture::kNone) {
    for (size_t g = 0; g < t.layout.groups.size(); ++g) groups_.push_back(g);
    columns_ = t.by_name;
    return columns_;
  }
  const auto touch = [&](size_t i) {
    const size_t g = t.columns[i].group;
    if (std::find(groups_.begin(), groups_.end(), g) == groups_.end()) groups_.push_back(g);
  };
  for (const size_t i : t.by_name) {
    if (capture_.value(c.before, i) != capture_.value(c.after, i)) touch(i);
  }
  if (c.intent != nullptr) std::for_each(c.intent->columns.begin(), c.intent->columns.end(), touch);
  if (t.one_register() && groups_.empty()) groups_.push_back(0);
  for (const size_t i : t.by_name) {
    const size_t g = t.columns[i].group;
    if (std::find(groups_.begin(), groups_.end(), g) != groups_.end()) columns_.push_back(i);
  }
  return columns_;
}

// The usual case: the writer has seen all there is of the row, which is one value per register.
Result<void> Committer::write_fast(const Capture::Change& c, Record& record) {
  const Stamp stamp = stamp_of(*state_.world, record.version);
  const auto& columns = columns_of(c);
  const auto left = keys_left(c);
  const bool updates = c.before != Capture::kNone && c.after != Capture::kNone;
  if (updates && (!c.table->one_register() || !left.empty())) {
    return update_fast(c, columns, left, record);
  }
  append_plain(c, columns, {}, record);
  if (c.after == Capture::kNone) return erase_version(c, stamp);
  return rows_.put_stamp_later(*c.table, capture_.key(c), stamp);
}

// The row's version says more than its stamp, or has to.
Result<void> Committer::update_fast(const Capture::Change& c, const std::vector<size_t>& columns,
                                    const std::vector<size_t>& left, Record& record) {
  const Table& t = *c.table;
  const std::string_view key = capture_.key(c);
  const Stamp stamp = stamp_of(*state_.world, record.version);
  auto meta = rows_.meta(t, key);
  if (!meta) return tl::unexpected(meta.error());
  RowMeta now = meta->value_or(RowMeta{});
  std::vector<KeysSet> told;
  std::vector<std::pair<uint32_t, Stamp>> kept;
  for (const size_t g : left) {
    const uint32_t id = t.group_ids[g];
    const Stamp* version = t.one_register() ? &now.row : now.of(id);
    if (version == nullptr) continue;
    kept.emplace_back(id, now.keys_set_in(id, *version));
    told.push_back({t.layout.groups[g].name, version_of(*state_.world, kept.back().second)});
  }
  append_plain(c, columns, std::move(told), record);
  t.one_register() ? now.put_all(stamp) : now.put(t, groups_, stamp);
  now.keys_set.insert(now.keys_set.end(), kept.begin(), kept.end());
  return rows_.put_meta(t, key, now);
}

// The registers that an update writes to without changing a column of a UNIQUE key in them: indices
// into layout.groups.
std::vector<size_t> Committer::keys_left(const Capture::Change& c) const {
  std::vector<size_t> left;
  if (c.before == Capture::kNone || c.after == Capture::kNone) return left;
  for (const auto& in : c.table->unique) {
    if (std::find(groups_.begin(), groups_.end(), in.group) == groups_.end()) continue;
    const bool same = std::all_of(in.columns.begin(), in.columns.end(), [&](size_t i) {
      return capture_.value(c.before, i) == capture_.value(c.after, i);
    });
    if (same) left.push_back(in.group);
  }
  return left;
}

Result<void> Committer::erase_version(const Capture::Change& c, const Stamp& stamp) {
  const Table& t = *c.table;
  const std::string_view key = capture_.key(c);
  RowMeta now;
  if (!t.one_register()) {
    auto meta = rows_.meta(t, key);
    if (!meta) return tl::unexpected(meta.error());
    now = meta->value_or(RowMeta{});
    for (const size_t i : t.by_name) {
      if (t.columns[i].group == 0) continue;
      ByteReader in(capture_.value(c.before, i));
      now.retained.emplace_back(t.columns[i].id, in.value());
    }
  } else {
    now.rest = stamp;
  }
  now.row = stamp;
  now.tombstone = true;
  return rows_.put_meta(t, key, now);
}

void Committer::append_plain(const Capture::Change& c, const std::vector<size_t>& columns,
                             std::vector<KeysSet> keys_set, Record& record) {
  const Table& t = *c.table;
  PlainRowChange change;
  change.erase = c.after == Capture::kNone;
  change.inserted = c.before == Capture::kNone && !change.erase;
  change.key = capture_.key(c);
  std::vector<size_t> with_key;
  const std::vector<size_t>* which = &columns;
  if (capture_.spelled_otherwise(c)) {
    with_key = columns;
    with_key.insert(with_key.end(), t.key.begin(), t.key.end());
    std::sort(with_key.begin(), with_key.end(),
              [&](size_t a, size_t b) { return t.columns[a].name < t.columns[b].name; });
    which = &with_key;
  }
  values_.clear();
  for (const size_t i : *which) values_ += capture_.value(c.after, i);
  change.values = values_;
  if (which == &columns && columns.size() == t.by_name.size()) {
    change.shape = t.full_shape;
  } else {
    ByteWriter shape;
    shape.string(t.def.name);
    for (const size_t i : *which) shape.string(t.columns[i].name);
    shape_ = shape.take();
    change.shape = shape_;
  }
  old_.clear();
  if (t.rules.old_values && c.before != Capture::kNone) note_old_values(c, *which);
  change.old = old_.view();
  const std::string keys = encode_keys_set(std::move(keys_set));
  change.keys_set = keys;
  append_change(record.changes, change);
}

void Committer::note_old_values(const Capture::Change& c, const std::vector<size_t>& columns) {
  const Table& t = *c.table;
  if (c.after == Capture::kNone) {
    ByteWriter names;
    for (const size_t i : t.by_name) names.string(t.columns[i].name);
    old_.names(names.view());
    for (const size_t i : t.by_name) old_.value(capture_.value(c.before, i));
    return;
  }
  for (const size_t i : columns) {
    const auto before = capture_.value(c.before, i);
    before == capture_.value(c.after, i) ? old_.same() : old_.value(before);
  }
}

std::optional<Row> Committer::image(const Capture::Change& c, uint32_t at) const {
  if (at == Capture::kNone) return std::nullopt;
  Row row;
  for (size_t i = 0; i < c.table->columns.size(); ++i) {
    ByteReader in(capture_.value(at, i));
    row.emplace(c.table->columns[i].name, in.value());
  }
  return row;
}

// The general case: through the row's whole state.
Result<void> Committer::write_slow(const Capture::Change& c, Record& record) {
  const Table& t = *c.table;
  const World& world = *state_.world;
  const Key key(capture_.key(c));
  auto loaded = rows_.load(world, t, key, image(c, c.before));
  if (!loaded) return tl::unexpected(loaded.error());
  RowChange change{t.def.name, key, c.after == Capture::kNone, false, {}, {}, std::nullopt, {},
                   {},         {}};
  change.inserted = c.before == Capture::kNone && !change.erase;
  for (const size_t i : columns_of(c)) {
    ByteReader in(capture_.value(c.after, i));
    change.columns.emplace(t.columns[i].name, in.value());
  }
  if (capture_.spelled_otherwise(c)) {
    for (const size_t i : t.key) {
      ByteReader in(capture_.value(c.after, i));
      change.columns.emplace(t.columns[i].name, in.value());
    }
  }
  if (c.intent != nullptr && c.intent->context && !c.plain) {
    change.context = c.intent->context;
    change.kept = c.intent->kept;
  } else {
    change.kept = hidden_siblings(loaded->state, t.layout, world.ranks);
  }
  if (c.intent != nullptr && !c.plain) {
    change.decider = c.intent->decider;
    change.decided_by = c.intent->decided_by;
  }
  if (c.intent != nullptr && c.intent->anew) {
    auto done = renew(change, loaded->state, t.layout, *c.intent->anew);
    if (!done) return done;
  } else {
    add_bases(change, loaded->state, t.layout, image(c, c.before),
              c.intent != nullptr ? c.intent->counters : std::nullopt);
    if (!t.unique.empty()) {
      add_keys_set(change, t.unique_names(), loaded->state, t.layout, world.ranks);
    }
  }
  if (t.rules.old_values) add_old_values(change, t.layout, image(c, c.before));
  append_change(record.changes, Change(change));
  auto losses = apply(loaded->state, t.layout, change, record.version, state_.applied, world.ranks);
  if (auto done = log_.add(world, t, key, std::move(losses), group_.wall_ms); !done) return done;
  loaded->shown = image(c, c.after);
  return rows_.store(world, t, key, *loaded, group_.wall_ms);
}

// Equal rows of a table without a key are one to its users: what is done to the one that is shown
// is done to those that it hides, or they would come back.
Result<void> Committer::erase_twins(std::span<const Capture::Change> changes, Record& record) {
  std::map<const Table*, std::set<std::string>> left;  // the values that are not shown any more
  for (const auto& c : changes) {
    const auto extras = state_.extras.find(c.table->id);
    const bool hides = extras != state_.extras.end() && extras->second.quarantined > 0;
    if (!c.table->def.keyless() || !hides || c.before == Capture::kNone) continue;
    std::string values;
    for (const size_t i : c.table->by_name) values += capture_.value(c.before, i);
    left[c.table].insert(std::move(values));
  }
  for (const auto& [t, values] : left) {
    auto hidden = log_.waiting(*t, kUniqueKind);
    if (!hidden) return tl::unexpected(hidden.error());
    for (const auto& key : *hidden) {
      if (capture_.touched(*t, key)) continue;
      auto loaded = rows_.load(*state_.world, *t, key);
      if (!loaded) return tl::unexpected(loaded.error());
      auto row = visible(loaded->state, t->layout, state_.world->ranks);
      if (!row || !values.contains(values_of(*t, *row))) continue;
      auto done = erase_hidden(*t, key, *loaded, std::move(*row), record);
      if (!done) return done;
    }
  }
  return {};
}

Result<void> Committer::erase_hidden(const Table& t, const Key& key, Loaded& loaded, Row row,
                                     Record& record) {
  const World& world = *state_.world;
  RowChange change{t.def.name, key, true, false, {}, {}, std::nullopt, {}, {}, {}};
  change.kept = hidden_siblings(loaded.state, t.layout, world.ranks);
  if (t.rules.old_values) add_old_values(change, t.layout, std::move(row));
  append_change(record.changes, Change(change));
  ++record.count;
  auto losses = apply(loaded.state, t.layout, change, record.version, state_.applied, world.ranks);
  return log_.add(world, t, key, std::move(losses), group_.wall_ms).and_then([&] {
    return rows_.store(world, t, key, loaded, group_.wall_ms);
  });
}

}  // namespace entente::sqlite
