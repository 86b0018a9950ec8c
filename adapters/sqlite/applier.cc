#include "adapters/sqlite/applier.h"

#include <algorithm>

#include "adapters/forgotten.h"
#include "adapters/schema_history.h"
#include "conflict/conform.h"

namespace entente::sqlite {
namespace {

constexpr size_t kPlansMax = 4096;
constexpr size_t kPendingMax = 4096;

// Undoes what was not committed.
class Rollback {
 public:
  explicit Rollback(Connection& db) : db_(db) {}
  ~Rollback() { db_.rollback(); }
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;

 private:
  Connection& db_;
};

tl::unexpected<Error> malformed_value() {
  return fail(Code::kInvalid, "a row change holds a malformed value");
}

tl::unexpected<Error> unusable_key(const Table& t) {
  return fail(Code::kInvalid, "a row change of table " + t.def.name + " has no usable key");
}

// The values of so many columns, then those of the key.
Result<void> bind_row(Stmt& stmt, int at, size_t columns, const Table& t,
                      const PlainRowChange& change) {
  ByteReader values(change.values);
  for (size_t i = 0; i < columns; ++i, ++at) {
    if (!bind_encoded(stmt, at, values)) return malformed_value();
  }
  return bind_key(stmt, at, t.key.size(), change.key);
}

// A counter shows what it counts, which is not always what was written.
bool whole_numbers(const std::vector<bool>& counters, std::string_view values) {
  ByteReader in(values);
  return std::all_of(counters.begin(), counters.end(), [&](bool counter) {
    const Value v = in.value();
    return !counter || std::holds_alternative<int64_t>(v) || std::holds_alternative<Null>(v);
  });
}

Result<RowChange> as_row_change(const PlainRowChange& plain) {
  ByteWriter out;
  append_change(out, plain);
  ByteReader in(out.view());
  auto change = decode_change(in);
  if (!change) return tl::unexpected(change.error());
  return std::get<RowChange>(std::move(*change));
}

bool among(const std::vector<size_t>& all, size_t one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

bool all_covered(const World& world, const Table& t, const RowMeta& meta,
                 const std::vector<size_t>& groups, const VersionVector& context) {
  if (!covered(world, meta.row, context)) return false;
  return std::all_of(groups.begin(), groups.end(), [&](size_t g) {
    const Stamp* stamp = g == 0 ? &meta.row : meta.of(t.group_ids[g]);
    return stamp == nullptr || covered(world, *stamp, context);
  });
}

}  // namespace

Applier::Applier(Connection& db, Guard& guard, FileState& state, const DatabaseOptions& options)
    : db_(db),
      state_(state),
      log_(db, options.conflict_log_rows),
      rows_(db, &log_, &state.extras),
      unique_(db, rows_),
      visibility_(rows_, log_, unique_, state.extras),
      storage_(db, options.rules),
      log_ms_(options.conflict_log_ms),
      sql_(db, guard, options, Guard::Mode::kWrite),
      schema_(db, sql_, storage_, rows_, log_, state),
      ids_(db, 0) {}

Result<void> Applier::run(Stmt& stmt, const char* sql) {
  if (!stmt) {
    auto made = db_.prepare(sql);
    if (!made) return tl::unexpected(made.error());
    stmt = std::move(*made);
  }
  return stmt.run();
}

Result<std::vector<LogChunk>> Applier::apply(std::span<const Run> runs, uint64_t wall_ms) {
  wall_ms_ = wall_ms;
  changed_schema_ = false;
  to_retry_.clear();
  advanced_.clear();
  rows_.tidy();
  pending_.clear();
  visibility_.forget();
  drop_waiting();
  state_.retired.clear();
  if (auto done = run(begin_, "BEGIN IMMEDIATE"); !done) return tl::unexpected(done.error());
  const Rollback rollback(db_);
  std::vector<LogChunk> chunks;
  for (const auto& r : runs) {
    if (auto done = apply_run(r, chunks); !done) return tl::unexpected(done.error());
  }
  auto done = store_pending().and_then([&] { return settle(); }).and_then([&] { return finish(); });
  if (!done) return tl::unexpected(done.error());
  return chunks;
}

Result<void> Applier::finish() {
  if (auto done = rows_.flush(); !done) return done;
  for (const auto& origin : advanced_) {
    if (auto done = storage_.save_stream(state_.streams.at(origin)); !done) return done;
  }
  if (auto done = storage_.save(state_); !done) return done;
  return run(commit_, "COMMIT");
}

Result<void> Applier::apply_run(const Run& run, std::vector<LogChunk>& chunks) {
  auto fresh = slice_after(run, state_.applied.at(run.origin));
  if (!fresh) return tl::unexpected(fresh.error());
  if (fresh->count == 0) return {};
  if (fresh->first != state_.applied.at(run.origin) + 1) {
    return fail(Code::kInvalid, "transactions of " + to_hex(run.origin) + " are missing before " +
                                    std::to_string(fresh->first));
  }
  ByteReader in(fresh->records);
  auto stream = stream_of(run.origin, ByteReader(fresh->records).string());
  if (!stream) return tl::unexpected(stream.error());
  const auto chain_before = (*stream)->state.chain;
  for (uint64_t i = 0; i < fresh->count; ++i) {
    if (auto done = apply_record(run.origin, in.string()); !done) return done;
  }
  if (auto done = insert_waiting(); !done) return done;
  if (std::find(advanced_.begin(), advanced_.end(), run.origin) == advanced_.end()) {
    advanced_.push_back(run.origin);
  }
  LogChunk chunk{++state_.log_head, std::move(*fresh)};
  auto logged = storage_.append_log(state_, (*stream)->id, chunk, chain_before, wall_ms_);
  if (!logged) return logged;
  chunks.push_back(std::move(chunk));
  return {};
}

Result<Stream*> Applier::stream_of(const Origin& origin, std::string_view first_record) {
  if (origin == state_.self || origin == Origin{}) {
    return fail(Code::kFork,
                "a peer sent transactions in this database's own name that it never made");
  }
  if (const auto it = state_.streams.find(origin); it != state_.streams.end()) return &it->second;
  auto head = decode_head(origin, first_record, {});
  if (!head) return tl::unexpected(head.error());
  if (auto done = storage_.add_origin(state_, origin, head->declares_dc); !done) {
    return tl::unexpected(done.error());
  }
  return &state_.streams.at(origin);
}

Result<void> Applier::apply_record(const Origin& origin, std::string_view bytes) {
  StreamState& stream = state_.streams.at(origin).state;
  auto head = decode_head(origin, bytes, stream);
  if (!head) return tl::unexpected(head.error());
  if (!state_.applied.covers(head->context)) {
    return fail(Code::kInvalid,
                "a transaction of " + to_hex(origin) + " came before one that it depends on");
  }
  if (head->change_count > 0) {  // a declaration writes nothing
    auto fit = check_forgotten(origin, head->context, state_.collected);
    if (!fit) return fit;
  }
  Record record{{head->hlc, {origin, stream.seq + 1}}, {}, head->context, head->epoch};
  record.stamp = stamp_of(*state_.world, record.version);
  if (auto done = apply_changes(*head, record); !done) return done;
  stream = advance(stream, *head, bytes);
  state_.applied.advance(origin, stream.seq);
  state_.clock.observe(head->hlc);
  return {};
}

Result<void> Applier::apply_changes(const RecordHead& head, const Record& record) {
  ByteReader in(head.changes);
  for (size_t i = 0; i < head.change_count; ++i) {
    const ByteReader start = in;
    Attempt attempt;
    if (const auto plain = next_plain_change(in)) {
      auto tried = apply_plain(*plain, record);
      if (!tried) return tl::unexpected(tried.error());
      if (tried->done) continue;
      attempt = std::move(*tried);
      in = start;
    }
    auto change = decode_change(in);
    if (!change) return tl::unexpected(change.error());
    if (!admissible(*change, record.context)) {
      return fail(Code::kInvalid, "a change has seen more of its row than its transaction has");
    }
    const auto* row = std::get_if<RowChange>(&*change);
    if (row != nullptr && row->context) {
      auto fit = check_forgotten(record.version.dot.origin, *row->context, state_.collected);
      if (!fit) return fit;
    }
    if (auto done = insert_waiting(); !done) return done;
    const auto* schema = std::get_if<SchemaChange>(&*change);
    auto done = schema != nullptr ? apply_schema(*schema, record)
                                  : apply_slow(std::get<RowChange>(std::move(*change)), record,
                                               std::move(attempt.known));
    if (!done) return done;
  }
  if (!in.done()) return fail(Code::kInvalid, "a record has bytes after its last change");
  return {};
}

const Table* Applier::table(std::string_view name, uint64_t epoch) const {
  const World& world = *state_.world;
  return epoch == state_.epoch ? world.find(name) : world.find(name, epoch);
}

Result<Applier::Plan*> Applier::plan_of(std::string_view shape, uint64_t epoch) {
  if (last_plan_ != nullptr && last_shape_ == shape && last_epoch_ == epoch) return last_plan_;
  if (plans_.size() > kPlansMax) {
    if (auto done = insert_waiting(); !done) return tl::unexpected(done.error());
    plans_.clear();
  }
  ByteWriter name;
  name.varint(epoch);
  name.raw(shape);
  const auto [it, fresh] = plans_.try_emplace(name.take());
  last_shape_ = shape;
  last_epoch_ = epoch;
  last_plan_ = &it->second;
  if (!fresh) return last_plan_;
  return make_plan(it->second, shape, epoch).map([&] { return last_plan_; });
}

Result<void> Applier::make_plan(Plan& plan, std::string_view shape, uint64_t epoch) {
  ByteReader in(shape);
  const Table* t = plan.table = table(in.string(), epoch);
  plan.simple = t != nullptr;
  while (in.ok() && in.left() > 0) {
    const std::string_view name = in.string();
    const ColumnDef* c = t != nullptr ? t->def.find(name, epoch) : nullptr;
    plan.simple &= c != nullptr && c->key_part == 0;
    if (!plan.simple) continue;
    const size_t i = static_cast<size_t>(c - t->def.columns.data());
    const size_t group = t->columns[i].group;
    if (among(plan.columns, i)) {
      plan.simple = false;  // named twice: malformed
      continue;
    }
    plan.columns.push_back(i);
    plan.counters.push_back(t->layout.groups[group].policy.is_counter());
    plan.counts = plan.counts || plan.counters.back();
    plan.more |= t->keeps_more[group];
    if (!among(plan.groups, group)) plan.groups.push_back(group);
  }
  if (!plan.simple) return {};
  size_t columns = t->layout.groups[0].columns.size();
  for (const size_t g : plan.groups) columns += g > 0 ? t->layout.groups[g].columns.size() : 0;
  plan.complete = columns == plan.columns.size();
  plan.whole = plan.columns.size() == t->by_name.size();
  for (const auto& fk : t->foreign_keys) {
    for (const size_t i : fk.columns) plan.moves |= among(plan.columns, i);
  }
  for (const size_t i : plan.columns) {
    plan.renames |= t->referenced_columns.contains(t->columns[i].name);
  }
  std::vector<size_t> inserted = plan.columns;
  inserted.insert(inserted.end(), t->key.begin(), t->key.end());
  auto insert = db_.prepare(t->insert_sql(inserted));
  if (!insert) return tl::unexpected(insert.error());
  plan.insert = std::move(*insert);
  if (plan.whole) plan.insert_rows_sql = t->insert_rows_sql(inserted);
  if (plan.columns.empty() && !t->respells) return {};
  auto update = db_.prepare(t->put_sql(plan.columns));
  if (!update) return tl::unexpected(update.error());
  plan.update = std::move(*update);
  return {};
}

void Applier::touched(const Table& t) {
  const auto extras = state_.extras.find(t.id);
  if (extras == state_.extras.end() || extras->second.quarantined == 0) return;
  if (std::find(to_retry_.begin(), to_retry_.end(), &t) == to_retry_.end()) to_retry_.push_back(&t);
}

Result<Applier::Attempt> Applier::apply_plain(const PlainRowChange& change, const Record& record) {
  auto plan = plan_of(change.shape, record.epoch);
  if (!plan) return tl::unexpected(plan.error());
  const bool usual = (*plan)->simple && (change.erase || (*plan)->complete);
  if (!usual || slow_only_) return Attempt{};
  return try_fast(**plan, change, record);
}

// The usual case: the change has seen all there is of the row, or the row is new.
Result<Applier::Attempt> Applier::try_fast(Plan& plan, const PlainRowChange& change,
                                           const Record& record) {
  const Table& t = *plan.table;
  if (!t.can_have(change.key)) return unusable_key(t);
  if (is_pending(t, change.key)) return Attempt{};
  const auto keys_set = keys_set_of(change, t, record);
  if (!keys_set) return Attempt{};
  auto known = rows_.meta(t, change.key);
  if (!known) return tl::unexpected(known.error());
  const auto attempt = [](bool done) { return Attempt{done}; };
  if (!*known) {
    if (change.erase || !plan.whole || *keys_set) return Attempt{};
    if (plan.counts && !whole_numbers(plan.counters, change.values)) return Attempt{};
    return insert_later(plan, change, record).map([] { return Attempt{true}; });
  }
  if (auto done = insert_waiting(); !done) return tl::unexpected(done.error());
  RowMeta& meta = **known;
  if ((plan.more && !change.erase) || !meta.simple() ||
      !all_covered(*state_.world, t, meta, plan.groups, record.context)) {
    return Attempt{false, std::move(*known)};
  }
  const bool was = !meta.tombstone;
  if (change.erase) {
    if (t.one_register()) meta.rest = record.stamp, meta.keys_set.clear();
    auto done = erase_fast(plan, change, meta);
    if (!done || !*done) return done.map(attempt);
    meta.row = record.stamp;
    meta.tombstone = true;
  } else {
    if (meta.tombstone && !plan.whole) return Attempt{};
    auto done = put_fast(plan, change, !meta.tombstone);
    if (!done || !*done) return done.map(attempt);
    if (plan.whole) {
      meta.put_all(record.stamp);
      if (*keys_set) meta.keys_set.emplace_back(kRestGroupId, **keys_set);
    } else {
      meta.put(t, plan.groups, record.stamp);
    }
  }
  if (change.erase) {
    rows_.note(t, change.key, was, false);
  } else if (!was || plan.renames) {
    rows_.note(t, change.key, was, true);
  } else if (plan.moves) {
    rows_.note_change(t, change.key);
  }
  touched(t);
  return rows_.put_meta(t, change.key, meta).map([] { return Attempt{true}; });
}

// Who set the UNIQUE keys of the one register that a plain change writes to, if it says so. Absent:
// what it says is for the general path.
std::optional<std::optional<Stamp>> Applier::keys_set_of(const PlainRowChange& change,
                                                         const Table& t,
                                                         const Record& record) const {
  if (change.keys_set.empty()) return std::optional<Stamp>();
  const auto set = decode_keys_set(change.keys_set);
  const bool usual = set && set->size() == 1 && set->front().group.empty() && t.one_register() &&
                     record.context.covers(set->front().by.dot);
  if (!usual) return std::nullopt;
  return std::optional(stamp_of(*state_.world, set->front().by));
}

// Should the row wait already, its key refuses the second put, and the general path decides.
Result<void> Applier::insert_later(Plan& plan, const PlainRowChange& change, const Record& record) {
  if (!waiting_.empty() && waiting_plan_ != &plan) {
    if (auto done = insert_waiting(); !done) return done;
  }
  waiting_plan_ = &plan;
  if (waiting_records_.empty() || waiting_records_.back().version.dot != record.version.dot) {
    waiting_records_.push_back(record);
  }
  waiting_.push_back({change, waiting_records_.size() - 1});
  return waiting_.size() == kRowsAtOnce ? insert_waiting() : Result<void>();
}

Result<void> Applier::insert_waiting() {
  if (waiting_.empty()) return {};
  const bool full = waiting_.size() == kRowsAtOnce && !waiting_plan_->insert_rows_sql.empty();
  auto together = full ? insert_together(*waiting_plan_) : Result<bool>(false);
  if (!together) return tl::unexpected(together.error());
  for (const auto& row : waiting_) {
    const Table& t = *waiting_plan_->table;
    auto done = Result<void>();
    if (*together) {
      rows_.note(t, row.change.key, false, true);
      touched(t);
      done = rows_.put_stamp_later(t, row.change.key, waiting_records_[row.record].stamp);
    } else {
      done = insert_or_decide(*waiting_plan_, row);
    }
    if (!done) return done;
  }
  drop_waiting();
  return {};
}

// False: one of them is refused, and none is there.
Result<bool> Applier::insert_together(Plan& plan) {
  if (!plan.insert_rows) {
    auto made = db_.prepare(plan.insert_rows_sql);
    if (!made) return tl::unexpected(made.error());
    plan.insert_rows = std::move(*made);
  }
  int at = 1;
  for (const auto& row : waiting_) {
    auto bound = bind_row(plan.insert_rows, at, plan.columns.size(), *plan.table, row.change);
    if (!bound) return tl::unexpected(bound.error());
    at += static_cast<int>(plan.columns.size() + plan.table->key.size());
  }
  auto done = plan.insert_rows.run();
  if (done) return true;
  if (blame_of(done.error()) == Blame::kRow) return false;
  return tl::unexpected(done.error());
}

Result<void> Applier::insert_or_decide(Plan& plan, const NewRow& row) {
  const Record& record = waiting_records_[row.record];
  auto put = put_fast(plan, row.change, false);
  if (!put) return tl::unexpected(put.error());
  if (*put) {
    rows_.note(*plan.table, row.change.key, false, true);
    touched(*plan.table);
    return rows_.put_stamp_later(*plan.table, row.change.key, record.stamp);
  }
  auto change = as_row_change(row.change);
  if (!change) return tl::unexpected(change.error());
  return apply_slow(std::move(*change), record, std::nullopt);
}

// False: the row is refused, or it is not as its version says; the general path decides.
Result<bool> Applier::put_fast(Plan& plan, const PlainRowChange& change, bool exists) {
  if (exists && !plan.update) return true;
  Stmt& stmt = exists ? plan.update : plan.insert;
  auto bound = bind_row(stmt, 1, plan.columns.size(), *plan.table, change);
  if (!bound) return tl::unexpected(bound.error());
  auto done = stmt.run();
  if (!done) {
    if (blame_of(done.error()) == Blame::kRow) return false;
    return tl::unexpected(done.error());
  }
  return sqlite3_changes64(db_.get()) == 1;
}

// Keeps what the columns' registers must not forget, and deletes the row.
Result<bool> Applier::erase_fast(Plan& plan, const PlainRowChange& change, RowMeta& meta) {
  const Table& t = *plan.table;
  if (meta.tombstone) return true;
  if (!t.one_register()) {
    auto shown = rows_.shown(t, change.key);
    if (!shown) return tl::unexpected(shown.error());
    if (!*shown) return false;
    for (const size_t i : t.by_name) {
      if (t.columns[i].group == 0) continue;
      meta.retained.emplace_back(t.columns[i].id, (**shown)[t.columns[i].name]);
    }
  }
  return rows_.delete_row(t, change.key).map([] { return true; });
}

Result<void> Applier::apply_slow(RowChange change, const Record& record,
                                 std::optional<RowMeta> known) {
  const World& world = *state_.world;
  const Table* t = table(change.table, record.epoch);
  if (t == nullptr) return list_without_place(change, record);
  if (!t->can_have(change.key)) return unusable_key(*t);
  if (record.epoch < state_.epoch) conform(change, t->def, t->layout, record.epoch);
  auto found = pending(*t, change.key, std::move(known));
  if (!found) return tl::unexpected(found.error());
  auto& [row, batch] = **found;
  auto losses =
      batch.apply(row.state, t->layout, change, record.version, record.context, world.ranks);
  return log_.add(world, *t, change.key, std::move(losses), wall_ms_);
}

// Its table is gone. If another has taken over the rows, what it says must not vanish in silence.
Result<void> Applier::list_without_place(const RowChange& change, const Record& record) {
  const Table* heir = state_.world->heir_of(change.table, record.epoch);
  if (heir == nullptr) return {};
  return log_.add(*state_.world, *heir, change.key, left_over(change, record.version), wall_ms_);
}

Result<Applier::Pending*> Applier::pending(const Table& t, const Key& key,
                                           std::optional<RowMeta> known) {
  if (const auto it = pending_.find({&t, key}); it != pending_.end()) return &it->second;
  if (pending_.size() >= kPendingMax) {
    if (auto done = store_pending(); !done) return tl::unexpected(done.error());
  }
  const World& world = *state_.world;
  auto shown = rows_.shown(t, key);
  if (!shown) return tl::unexpected(shown.error());
  auto row = known ? rows_.load(world, t, key, std::move(*shown), std::move(known))
                   : rows_.load(world, t, key, std::move(*shown));
  if (!row) return tl::unexpected(row.error());
  return &pending_.emplace(RowName(&t, key), Pending{std::move(*row), {}}).first->second;
}

bool Applier::is_pending(const Table& t, std::string_view key) const {
  return !pending_.empty() && pending_.contains(std::pair(&t, Key(key)));
}

Result<void> Applier::store_pending() {
  const World& world = *state_.world;
  for (auto& [name, pending] : pending_) {
    const auto& [t, key] = name;
    auto& [row, batch] = pending;
    auto losses = batch.finish(row.state, t->layout, world.ranks);
    if (auto done = log_.add(world, *t, key, std::move(losses), wall_ms_); !done) return done;
    const Verdicts verdicts = batch.verdicts(row.state, t->layout, world.ranks);
    if (auto done = rows_.store(world, *t, key, row, verdicts, wall_ms_); !done) return done;
    touched(*t);
  }
  pending_.clear();
  return {};
}

// A schema change that fails here must not stop the stream: what it made is missing, and the rows
// for it are left out.
Result<void> Applier::apply_schema(const SchemaChange& change, const Record& record) {
  if (auto follows = follows_epoch(change, state_.epoch); !follows) return follows;
  auto done =
      store_pending().and_then([&] { return settle(); }).and_then([&] { return rows_.flush(); });
  if (!done) return done;
  const auto before = state_.world;
  plans_.clear();
  last_plan_ = nullptr;
  VersionVector seen = record.context;
  seen.advance(record.version.dot.origin, record.version.dot.seq);
  if (auto applied = schema_.apply(change, seen, wall_ms_); !applied) return applied;
  rows_.forget();
  changed_schema_ = true;
  for (const auto& [name, table] : state_.world->tables) touched(*table);
  return look_at_keys(*before);
}

// Rows were not checked against foreign keys that are new.
Result<void> Applier::look_at_keys(const World& before) {
  const auto same = [](const ForeignKey& a, const ForeignKey& b) {
    return a.find_orphans == b.find_orphans;
  };
  for (const auto& [name, t] : state_.world->tables) {
    const Table* was = before.by_id(t->id);
    if (was == t.get() || (was == nullptr && t->foreign_keys.empty())) continue;
    const auto &now = t->foreign_keys, old = was != nullptr ? was->foreign_keys : now;
    const bool known =
        was != nullptr && std::equal(now.begin(), now.end(), old.begin(), old.end(), same);
    if (known) continue;
    if (auto done = visibility_.look_for_orphans(*t); !done) return done;
  }
  return {};
}

Result<void> Applier::retry_left_out(uint64_t wall_ms) {
  if (state_.left_out.empty()) return {};
  wall_ms_ = wall_ms;
  if (auto done = run(begin_, "BEGIN IMMEDIATE"); !done) return done;
  const Rollback rollback(db_);
  const auto before = state_.world;
  visibility_.forget();
  forget_plans();
  if (auto done = schema_.retry_left_out(wall_ms); !done) return done;
  to_retry_.clear();
  for (const auto& [name, table] : state_.world->tables) touched(*table);
  return look_at_keys(*before)
      .and_then([&] { return settle(); })
      .and_then([&] { return rows_.flush(); })
      .and_then([&] { return run(commit_, "COMMIT"); });
}

Result<void> Applier::judge_again(const Table& t, const Key& key) {
  const World& world = *state_.world;
  auto loaded = rows_.load(world, t, key);
  if (!loaded) return tl::unexpected(loaded.error());
  std::vector<std::string> were_open;
  for (const auto& [group, note] : loaded->open) were_open.push_back(group);
  auto losses = decided_late(loaded->state, t.layout, were_open, world.ranks);
  if (auto done = log_.add(world, t, key, std::move(losses), wall_ms_); !done) return done;
  return rows_.store(world, t, key, *loaded, wall_ms_);
}

Result<void> Applier::judge_refused(const Table& t) {
  auto keys = log_.waiting(t, kConstraintKind);
  if (!keys) return tl::unexpected(keys.error());
  for (const auto& key : *keys) {
    if (auto done = judge_again(t, key); !done) return done;
  }
  return {};
}

Result<void> Applier::settle() {
  for (const Table* then : std::exchange(to_retry_, {})) {
    const Table* t = state_.world->by_id(then->id);  // the schema may have changed
    if (t == nullptr) continue;
    if (auto done = judge_refused(*t); !done) return done;
    visibility_.look_again(*t);
  }
  return visibility_.settle(*state_.world, wall_ms_);
}

Result<void> Applier::retry_quarantined(const std::vector<const Table*>& tables, RowNews news,
                                        const World& before, uint64_t wall_ms) {
  wall_ms_ = wall_ms;
  if (auto done = run(begin_, "BEGIN IMMEDIATE"); !done) return done;
  const Rollback rollback(db_);
  visibility_.forget();
  rows_.news() = std::move(news);
  to_retry_ = tables;
  if (&before != state_.world.get()) {
    if (auto done = look_at_keys(before); !done) return done;
  }
  return settle().and_then([&] { return rows_.flush(); }).and_then([&] {
    return run(commit_, "COMMIT");
  });
}

Result<void> Applier::show_again(const std::vector<const Table*>& tables, uint64_t wall_ms) {
  visibility_.forget();
  for (const Table* t : tables) {
    if (auto done = visibility_.look_at_children(*t); !done) return done;
  }
  return retry_quarantined(tables, std::exchange(rows_.news(), {}), *state_.world, wall_ms);
}

Result<void> Applier::judge_again(const std::string& which) {
  std::vector<std::pair<const Table*, Key>> found;
  {
    auto q = rows_.plan(which);
    if (!q) return tl::unexpected(q.error());
    Rows rows(**q);
    auto row = rows.next();
    for (; row && *row; row = rows.next()) {
      const Table* t = state_.world->by_id((*q)->integer(0));
      if (t != nullptr) found.emplace_back(t, Key((*q)->bytes(1)));
    }
    if (!row) return tl::unexpected(row.error());
  }
  for (const auto& [t, key] : found) {
    if (auto done = judge_again(*t, key); !done) return done;
    touched(*t);
  }
  return settle();
}

Result<void> Applier::forget_old_conflicts() {
  constexpr uint64_t kEvery = 60'000;
  if (wall_ms_ < aged_ms_ + kEvery) return {};
  aged_ms_ = wall_ms_;
  return log_.forget_before(wall_ms_ > log_ms_ ? wall_ms_ - log_ms_ : 0);
}

Result<size_t> Applier::waiting_for_handlers() {
  auto q = rows_.plan(
      "SELECT count(*) FROM _entente_conflicts WHERE open = 1 AND kind = 'open' AND note <> ''");
  if (!q) return tl::unexpected(q.error());
  Rows rows(**q);
  auto row = rows.next();
  if (!row) return tl::unexpected(row.error());
  return *row ? (*q)->natural(0) : 0;
}

// In small parts: those that are not tried now are tried another time.
Result<size_t> Applier::judge_again(uint64_t wall_ms) {
  wall_ms_ = wall_ms;
  if (auto done = forget_old_conflicts(); !done) return tl::unexpected(done.error());
  auto waiting = waiting_for_handlers();
  if (!waiting || *waiting == 0) return waiting;
  to_retry_.clear();
  if (auto done = run(begin_, "BEGIN IMMEDIATE"); !done) return tl::unexpected(done.error());
  const Rollback rollback(db_);
  auto done =
      judge_again(
          "SELECT tbl, key FROM _entente_conflicts WHERE open = 1 AND kind = 'open' AND note <> '' "
          "ORDER BY random() LIMIT 64")
          .and_then([&] { return rows_.flush(); })
          .and_then([&] { return run(commit_, "COMMIT"); });
  if (!done) return tl::unexpected(done.error());
  return waiting_for_handlers();
}

Result<void> Applier::judge_all(uint64_t wall_ms) {
  wall_ms_ = wall_ms;
  to_retry_.clear();
  if (auto done = run(begin_, "BEGIN IMMEDIATE"); !done) return done;
  const Rollback rollback(db_);
  return judge_again("SELECT tbl, key FROM _entente_siblings")
      .and_then([&] { return rows_.flush(); })
      .and_then([&] { return run(commit_, "COMMIT"); });
}

Result<Applier::Taken> Applier::collect_row(const Table& t, const Key& key,
                                            const VersionVector& stable) {
  auto loaded = rows_.load(*state_.world, t, key);
  if (!loaded) return tl::unexpected(loaded.error());
  RowState& state = loaded->state;
  Taken taken{false, true};
  for (const auto& [group, r] : state.registers) {
    for (const auto& s : r.siblings) taken.all = taken.all && stable.covers(s.version.dot);
  }
  taken.some = loaded->meta && collapse(state, t.layout, stable, state_.world->ranks);
  if (!taken.some) return taken;
  auto done = state.registers.empty() ? rows_.forget_row(t, key, *loaded->meta)
                                      : rows_.store(*state_.world, t, key, *loaded, wall_ms_);
  return done.map([&] { return taken; });
}

Result<Collected> Applier::collect(const VersionVector& stable, size_t rows_max) {
  if (auto done = run(begin_, "BEGIN IMMEDIATE"); !done) return tl::unexpected(done.error());
  const Rollback rollback(db_);
  VersionVector collected = state_.collected;
  collected.join(stable);
  if (collected != state_.collected) {
    auto saved = storage_.save_collected(collected);
    if (!saved) return tl::unexpected(saved.error());
  }
  auto found = unsettled(rows_max);
  if (!found) return tl::unexpected(found.error());
  Collected out;
  for (const auto& [id, key] : *found) {
    const Table* t = state_.world->by_id(id);
    Result<Taken> taken = Taken{false, true};
    if (t != nullptr) taken = collect_row(*t, key, stable);
    if (!taken) return tl::unexpected(taken.error());
    out.rows += taken->some;
    if (!taken->all) continue;
    auto settle = rows_.plan("DELETE FROM _entente_unsettled WHERE tbl = ?1 AND key = ?2");
    if (!settle) return tl::unexpected(settle.error());
    (*settle)->bind_all(id, Bytes{key});
    if (auto done = (*settle)->run(); !done) return tl::unexpected(done.error());
  }
  out.round_over = found->size() < rows_max;
  collected_up_to_ = out.round_over ? std::pair<int64_t, Key>() : found->back();
  return rows_.flush().and_then([&] { return run(commit_, "COMMIT"); }).map([&] {
    state_.collected = std::move(collected);
    return out;
  });
}

// The next rows of which something may be collected.
Result<std::vector<std::pair<int64_t, Key>>> Applier::unsettled(size_t rows_max) {
  auto q = rows_.plan(
      "SELECT tbl, key FROM _entente_unsettled WHERE (tbl, key) > (?1, ?2) ORDER BY tbl, key LIMIT "
      "?3");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all(collected_up_to_.first, Bytes{collected_up_to_.second},
                 static_cast<int64_t>(rows_max));
  std::vector<std::pair<int64_t, Key>> found;
  Rows rows(**q);
  auto row = rows.next();
  for (; row && *row; row = rows.next()) found.emplace_back((*q)->integer(0), (*q)->bytes(1));
  if (!row) return tl::unexpected(row.error());
  return found;
}

Result<void> Applier::trim_log(LogPosition up_to) {
  auto q = rows_.plan("DELETE FROM _entente_log WHERE position <= ?1");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind(1, up_to);
  return (*q)->run();
}

}  // namespace entente::sqlite
