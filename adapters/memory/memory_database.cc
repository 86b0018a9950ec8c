#include "adapters/memory/memory_database.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "adapters/forgotten.h"
#include "adapters/memory/memory_disk.h"
#include "adapters/memory/memory_reader.h"
#include "adapters/memory/memory_session.h"
#include "adapters/memory/row_view.h"
#include "adapters/schema_history.h"
#include "adapters/state_join.h"
#include "conflict/conform.h"
#include "conflict/key_shape.h"

namespace entente {
namespace {

// A transaction that is decoded and may be applied, and its record.
struct Incoming {
  Transaction transaction;
  StreamState after;
};

class MemoryDatabase final : public Database {
  friend class MemoryJoin;
  using Tables = decltype(MemoryDisk::Contents::tables);

 public:
  MemoryDatabase(std::shared_ptr<MemoryDisk> disk, const DatabaseOptions& options)
      : disk_(std::move(disk)), options_(options), ranks_(options.rules.priorities) {
    for (const auto& [origin, dc] : disk_->contents.labels) ranks_.declare(origin, dc);
    if (disk_->self == Origin{}) declare();
  }

  DatabaseState state() const override {
    const std::lock_guard held(disk_->lock);
    return {
        disk_->self, disk_->contents.streams, disk_->contents.labels, disk_->log_head, disk_->epoch,
        disk_->hlc,  disk_->promised,         disk_->collected};
  }

  Result<CommittedGroup> commit(std::span<const ClientTransaction> group,
                                uint64_t wall_ms) override {
    CommittedGroup out;
    Run run;
    for (const auto& transaction : group) {
      if (run.records.size() >= kGroupBytes) break;
      out.results.push_back(run_one(transaction, wall_ms, run));
    }
    if (run.count > 0) {
      const std::lock_guard held(disk_->lock);
      out.chunk = log(std::move(run), wall_ms);
    }
    return out;
  }

  Result<std::vector<LogChunk>> apply(std::span<const Run> runs, uint64_t wall_ms) override {
    std::vector<Run> fresh;
    auto incoming = decode(runs, fresh);
    if (!incoming) return tl::unexpected(incoming.error());
    if (auto ok = check_keys(*incoming); !ok) return tl::unexpected(ok.error());
    const std::lock_guard held(disk_->lock);
    for (const auto& in : *incoming) apply_remote(in, wall_ms);
    std::vector<LogChunk> chunks;
    for (auto& run : fresh) chunks.push_back(log(std::move(run), wall_ms));
    return chunks;
  }

  void limit_records(size_t bytes) override { record_bytes_ = bytes; }

  Result<std::unique_ptr<Reader>> reader() override {
    return std::make_unique<MemoryReader>(disk_, options_.rules);
  }

  Result<std::vector<LogChunk>> read_log(LogPosition position, size_t max_bytes) override {
    const std::lock_guard held(disk_->lock);
    std::vector<LogChunk> out;
    size_t bytes = 0;
    auto it =
        std::upper_bound(disk_->log.begin(), disk_->log.end(), position,
                         [](LogPosition p, const LogChunk& chunk) { return p < chunk.position; });
    for (; it != disk_->log.end(); ++it) {
      bytes += it->run.records.size();
      if (!out.empty() && bytes > max_bytes) break;
      out.push_back(*it);
    }
    return out;
  }

  Result<LogPosition> position_before(const Origin& origin, uint64_t seq) override {
    const std::lock_guard held(disk_->lock);
    const auto floor = disk_->floors.find(origin);
    if (floor != disk_->floors.end() && seq <= floor->second) {
      return fail(Code::kNotFound, "the log was trimmed past " + to_string(Dot{origin, seq}),
                  "trimmed");
    }
    for (const auto& chunk : disk_->log) {
      if (chunk.run.origin == origin && chunk.run.last() >= seq) return chunk.position - 1;
    }
    return disk_->log_head;
  }

  Result<std::optional<std::array<uint8_t, 16>>> chain_at(const Origin& origin,
                                                          uint64_t seq) override {
    const std::lock_guard held(disk_->lock);
    if (seq == 0) return MemoryDisk::Chain{};
    const auto chains = disk_->chains.find(origin);
    if (chains == disk_->chains.end()) return std::nullopt;
    const auto chain = chains->second.find(seq);
    if (chain == chains->second.end()) return std::nullopt;
    return chain->second;
  }

  Result<void> trim_log(const VersionVector& stable, const LogRetention& keep) override {
    const std::lock_guard held(disk_->lock);
    while (!disk_->log.empty()) {
      const Run& run = disk_->log.front().run;
      if (!stable.covers(Dot{run.origin, run.last()})) break;
      const bool full = disk_->log_bytes - run.records.size() >= keep.bytes;
      if (disk_->logged_ms.front() >= keep.since_ms && !full) break;
      disk_->floors[run.origin] = run.last();
      auto& chains = disk_->chains[run.origin];
      chains.erase(chains.begin(), chains.lower_bound(run.last()));
      disk_->log_bytes -= run.records.size();
      disk_->log.pop_front();
      disk_->logged_ms.pop_front();
    }
    return {};
  }

  Result<std::unique_ptr<StateJoin>> join(const DatabaseState& theirs, uint64_t wall_ms) override;

  // What is shown is computed when it is read; only the list of what is open is kept.
  Result<size_t> judge_again(uint64_t wall_ms) override {
    const std::lock_guard held(disk_->lock);
    auto& resolved = disk_->contents.resolved;
    while (!resolved.empty() && resolved.front().detected_ms + options_.conflict_log_ms < wall_ms) {
      resolved.pop_front();
    }
    const auto open = disk_->contents.open;
    size_t waiting = 0;
    for (const auto& [name, mark] : open) {
      RowChange row;
      row.table = std::get<0>(name);
      row.key = std::get<1>(name);
      const RowState& state = disk_->contents.rows[row.table][row.key];
      const Layout& rules = layout(row.table);
      const Verdicts before = judge(state, rules, ranks_);
      for (const auto& v : before.of) waiting += !v.failure.empty();
      note(row, decided_late(state, rules, {std::get<2>(name)}, ranks_), wall_ms);
    }
    return waiting;
  }

  Result<void> promise(const VersionVector& floor) override {
    const std::lock_guard held(disk_->lock);
    disk_->promised.join(floor);
    return {};
  }

  Result<Collected> collect(const VersionVector& stable, size_t rows_max) override {
    const std::lock_guard held(disk_->lock);
    disk_->collected.join(stable);
    Collected out;
    size_t looked_at = 0;
    for (auto& [table, rows] : disk_->contents.rows) {
      if (table < collected_up_to_.first) continue;
      auto it = table == collected_up_to_.first ? rows.lower_bound(collected_up_to_.second)
                                                : rows.begin();
      while (it != rows.end()) {
        if (looked_at++ == rows_max) {
          collected_up_to_ = {table, it->first};
          out.round_over = false;
          return out;
        }
        out.rows += collapse(it->second, layout(table), stable, ranks_);
        it = it->second.registers.empty() ? rows.erase(it) : std::next(it);
      }
    }
    collected_up_to_ = {};
    return out;
  }

 private:
  // The first record of a new database says whose it is.
  void declare() {
    disk_->self = options_.fresh_origin;
    const Dot dot{disk_->self, 1};
    HlcClock clock(disk_->hlc);
    Run run;
    Transaction t{dot, clock.tick(options_.wall_ms), {}, 0, options_.dc, {}};
    append(t, run);
    log(std::move(run), options_.wall_ms);
  }

  Result<Committed> run_one(const ClientTransaction& transaction, uint64_t wall_ms, Run& run) {
    HlcClock clock(disk_->hlc);
    const uint64_t seq = disk_->stream(disk_->self).seq + 1;
    const Version version{clock.tick(wall_ms), {disk_->self, seq}};
    MemorySession session(*disk_, options_, ranks_, version);
    if (auto ok = transaction(session); !ok) return tl::unexpected(ok.error());

    const auto& schema = session.schema_changes();
    const uint64_t epoch = schema.empty() ? disk_->epoch : schema.back().epoch;
    Transaction t{version.dot, version.hlc, disk_->applied(), epoch, {}, session.changes()};
    if (!t.changes.empty()) {
      const size_t bytes = encode_record(t, disk_->stream(disk_->self)).size();
      if (bytes > options_.transaction_bytes) {
        return fail(Code::kTooLarge,
                    "the transaction takes " + std::to_string(bytes) + " bytes; the limit is " +
                        std::to_string(options_.transaction_bytes) + " (transaction_bytes)",
                    "transaction_bytes");
      }
      if (const size_t limit = record_bytes_; bytes > limit) {
        return tl::unexpected(record_too_long(bytes, limit));
      }
    }
    return publish(t, session, wall_ms, run);
  }

  Committed publish(const Transaction& t, const MemorySession& session, uint64_t wall_ms,
                    Run& run) {
    const std::lock_guard held(disk_->lock);
    for (const auto& change : session.schema_changes()) take(change);
    for (const auto& [name, row] : session.touched()) {
      if (row.erased_nothing) continue;
      disk_->contents.rows[name.first][name.second] = row.now;
      note(row.change, row.losses, wall_ms);
    }
    if (t.changes.empty()) return {std::nullopt, disk_->hlc, disk_->applied()};
    append(t, run);
    return {t.dot, t.hlc, disk_->applied()};
  }

  // Encodes a transaction of our own behind the others of its group.
  void append(const Transaction& t, Run& run) {
    const StreamState before = disk_->stream(t.dot.origin);
    const std::string record = encode_record(t, before);
    if (run.count++ == 0) run.origin = t.dot.origin, run.first = t.dot.seq;
    ByteWriter out;
    out.string(record);
    run.records += out.view();
    enter(t, advance(before, {t.hlc, t.context, t.epoch, t.declares_dc, 0, {}}, record));
  }

  // What every transaction does beside its changes.
  void enter(const Transaction& t, const StreamState& after) {
    disk_->contents.streams[t.dot.origin] = after;
    disk_->chains[t.dot.origin][t.dot.seq] = after.chain;
    HlcClock clock(disk_->hlc);
    clock.observe(t.hlc);
    disk_->hlc = clock.last();
    if (t.declares_dc.empty()) return;
    disk_->contents.labels[t.dot.origin] = t.declares_dc;
    ranks_.declare(t.dot.origin, t.declares_dc);
  }

  LogChunk log(Run run, uint64_t wall_ms) {
    disk_->log_bytes += run.records.size();
    disk_->logged_ms.push_back(wall_ms);
    disk_->log.push_back({++disk_->log_head, std::move(run)});
    return disk_->log.back();
  }

  // Decodes what is not applied yet; `fresh` are the runs of it. Changes nothing.
  Result<std::vector<Incoming>> decode(std::span<const Run> runs, std::vector<Run>& fresh) const {
    std::vector<Incoming> out;
    std::map<Origin, StreamState> streams;
    for (const auto& run : runs) {
      StreamState& stream =
          streams.try_emplace(run.origin, disk_->stream(run.origin)).first->second;
      auto rest = slice_after(run, stream.seq);
      if (!rest) return tl::unexpected(rest.error());
      if (rest->count == 0) continue;
      if (rest->first != stream.seq + 1) {
        return fail(Code::kInvalid,
                    "there is a gap before " + to_string(Dot{run.origin, run.first}));
      }
      ByteReader in(rest->records);
      for (uint64_t i = 0; i < rest->count; ++i) {
        const auto record = in.string();
        auto t = decode_record(run.origin, record, stream);
        if (!t) return tl::unexpected(t.error());
        for (const auto& change : t->changes) {
          const auto* row = std::get_if<RowChange>(&change);
          const bool own = row != nullptr && row->context;
          auto fit =
              check_forgotten(run.origin, own ? *row->context : t->context, disk_->collected);
          if (!fit) return tl::unexpected(fit.error());
        }
        stream = advance(stream, {t->hlc, t->context, t->epoch, t->declares_dc, 0, {}}, record);
        out.push_back({std::move(*t), stream});
      }
      fresh.push_back(std::move(*rest));
    }
    return out;
  }

  // Refuses rows whose tables, as they will be by then, cannot have them. Changes nothing.
  Result<void> check_keys(const std::vector<Incoming>& incoming) const {
    Tables tables = disk_->contents.tables;
    uint64_t epoch = disk_->epoch;
    for (const auto& [t, after] : incoming) {
      for (const auto& change : t.changes) {
        if (const auto* schema = std::get_if<SchemaChange>(&change)) {
          if (auto follows = follows_epoch(*schema, epoch); !follows) return follows;
          const auto known = knows(*schema, tables, epoch);
          if (!known) return tl::unexpected(known.error());
          if (*known) continue;
          take(*schema, tables);
          epoch = std::max(epoch, schema->epoch);
          continue;
        }
        const auto& row = std::get<RowChange>(change);
        const TableDef* table = table_of(row, tables, t.epoch < epoch ? &t.epoch : nullptr);
        if (table == nullptr || KeyShape(*table).fits(row.key)) continue;
        return fail(Code::kInvalid, "a row change of table " + table->name + " has no usable key");
      }
    }
    return {};
  }

  // The table that a change means, by the names of that epoch or by those of now; null: it is gone.
  static const TableDef* table_of(const RowChange& change, const Tables& tables,
                                  const uint64_t* epoch) {
    if (epoch == nullptr) {
      const auto it = tables.find(change.table);
      return it == tables.end() ? nullptr : &it->second;
    }
    const auto it = std::find_if(tables.begin(), tables.end(), [&](const auto& named) {
      return named.second.was_called(change.table, *epoch);
    });
    return it == tables.end() ? nullptr : &it->second;
  }

  static Result<bool> knows(const SchemaChange& change, const Tables& tables, uint64_t epoch) {
    if (change.epoch > epoch) return false;
    const auto found = [&](const auto& is) -> const TableDef* {
      const auto it = std::find_if(tables.begin(), tables.end(),
                                   [&](const auto& named) { return is(named.second); });
      return it != tables.end() ? &it->second : nullptr;
    };
    return entente::knows(
        change, {[&](const TableDef& def) {
                   return found([&](const TableDef& t) { return same_table(t, def); });
                 },
                 [&](std::string_view name) {
                   return found([&](const TableDef& t) { return same_name(t.name, name); });
                 }});
  }

  static void take(const SchemaChange& change, Tables& tables) {
    for (const auto& name : change.dropped) tables.erase(name);
    for (const auto& table : change.tables) {
      std::erase_if(tables, [&](const auto& named) { return same_table(named.second, table); });
      tables[table.name] = table;
    }
  }

  void apply_remote(const Incoming& in, uint64_t wall_ms) {
    const Transaction& t = in.transaction;
    enter(t, in.after);
    for (const auto& change : t.changes) {
      if (const auto* schema = std::get_if<SchemaChange>(&change)) {
        const auto known = knows(*schema, disk_->contents.tables, disk_->epoch);
        if (known && !*known) take(*schema);
        continue;
      }
      auto row = std::get<RowChange>(change);
      const bool older = t.epoch < disk_->epoch;
      const TableDef* table = table_of(row, disk_->contents.tables, older ? &t.epoch : nullptr);
      if (table == nullptr) continue;
      if (older) conform(row, *table, layout(table->name), t.epoch);
      RowState& state = disk_->contents.rows[row.table][row.key];
      note(row, entente::apply(state, layout(row.table), row, {t.hlc, t.dot}, t.context, ranks_),
           wall_ms);
    }
  }

  void take(const SchemaChange& change) {
    auto& contents = disk_->contents;
    disk_->epoch = std::max(disk_->epoch, change.epoch);
    for (const auto& name : change.dropped) forget(name);
    for (const auto& table : change.tables) {
      const auto was =
          std::find_if(contents.tables.begin(), contents.tables.end(),
                       [&](const auto& named) { return same_table(named.second, table); });
      if (was == contents.tables.end()) {
        contents.tables[table.name] = table;
        layouts_.erase(table.name);
      } else {
        const TableDef before = was->second;
        redefine(before, table);
      }
    }
  }

  void forget(const std::string& table) {
    auto& contents = disk_->contents;
    contents.tables.erase(table);
    contents.rows.erase(table);
    layouts_.erase(table);
    std::erase_if(contents.open,
                  [&](const auto& mark) { return std::get<0>(mark.first) == table; });
    std::erase_if(contents.resolved, [&](const auto& entry) { return entry.table == table; });
  }

  void redefine(const TableDef& was, const TableDef& table) {
    auto& contents = disk_->contents;
    auto rows = std::move(contents.rows[was.name]);
    auto resolved = contents.resolved;
    const auto marks = contents.open;
    forget(was.name);
    contents.tables[table.name] = table;
    const PresentNames names(was, table);
    for (auto& entry : resolved) {
      if (entry.table == was.name) conform(entry, table.name, names);
    }
    contents.resolved = std::move(resolved);
    for (auto& [key, state] : rows) conform(state, was, table, layout(table.name));
    contents.rows[table.name] = std::move(rows);
    for (const auto& [name, mark] : marks) {
      if (std::get<0>(name) == was.name) list_open(table.name, std::get<1>(name), mark.detected_ms);
    }
  }

  const Layout& layout(const std::string& table) {
    const auto it = layouts_.find(table);
    if (it != layouts_.end()) return it->second;
    const TableDef& def = disk_->contents.tables.at(table);
    return layouts_.emplace(table, Layout(def, options_.rules.of(table))).first->second;
  }

  // Keeps the conflict log: what lost by this change, and which registers now wait for a decision.
  void note(const RowChange& change, const std::vector<Loss>& losses, uint64_t wall_ms) {
    auto& contents = disk_->contents;
    const Loss* before = nullptr;
    for (const auto& loss : losses) {
      const auto version = [&](const Sibling& s) {
        return RowVersion{s.version, std::string(ranks_.dc(s.version.dot.origin)), s.row};
      };
      if (before != nullptr && same_conflict(*before, loss)) {
        contents.resolved.back().losers.push_back(version(loss.loser));
        continue;
      }
      before = &loss;
      contents.resolved.push_back({++disk_->last_conflict,
                                   change.table,
                                   change.key,
                                   loss.group,
                                   loss.policy,
                                   false,
                                   loss.kind,
                                   version(loss.winner),
                                   {version(loss.loser)},
                                   wall_ms,
                                   loss.decided_by,
                                   ""});
    }
    bound_conflicts();
    list_open(change.table, change.key, wall_ms);
  }

  void bound_conflicts() {
    auto& resolved = disk_->contents.resolved;
    while (resolved.size() > options_.conflict_log_rows) resolved.pop_front();
  }

  // Keeps the list of the row's registers that wait for a decision.
  void list_open(const std::string& table, const Key& key, uint64_t wall_ms) {
    auto& contents = disk_->contents;
    const RowState& state = contents.rows[table][key];
    const Layout& rules = layout(table);
    const auto open = open_groups(rules, judge(state, rules, ranks_));
    for (const auto& group : rules.groups) {
      const MemoryDisk::RegisterName name{table, key, group.name};
      if (std::find(open.begin(), open.end(), group.name) == open.end()) {
        contents.open.erase(name);
      } else if (!contents.open.contains(name)) {
        contents.open[name] = {++disk_->last_conflict, wall_ms};
      }
    }
  }

  const std::shared_ptr<MemoryDisk> disk_;
  const DatabaseOptions options_;
  Ranks ranks_;
  std::map<std::string, Layout> layouts_;
  std::atomic<size_t> record_bytes_{SIZE_MAX};
  std::pair<std::string, Key> collected_up_to_;  // where the next slice starts
};

// Under the disk's lock in every call.
class MemoryJoin final : public StateJoin {
 public:
  MemoryJoin(MemoryDatabase& db, DatabaseState theirs, uint64_t wall_ms)
      : db_(db),
        disk_(*db.disk_),
        theirs_(std::move(theirs)),
        wall_ms_(wall_ms),
        seen_(disk_.applied()),
        collected_(disk_.promised) {
    for (const auto& [origin, stream] : theirs_.streams) their_seen_.advance(origin, stream.seq);
    for (const auto& [origin, dc] : theirs_.labels) db.ranks_.declare(origin, dc);
    collected_.meet(theirs_.promised);
  }

  Result<void> rows(const TableDef& was, std::vector<RowState> rows) override {
    const std::lock_guard held(disk_.lock);
    const TableDef* table = same(was);
    if (table == nullptr || !db_.options_.rules.of(table->name).replicate) return {};
    const Layout& layout = db_.layout(table->name);
    for (auto& row : rows) {
      if (was != *table) conform(row, was, *table, layout);
      join_row(table->name, layout, row);
    }
    return {};
  }

  Result<void> conflicts(std::vector<ConflictEntry> entries) override {
    const std::lock_guard held(disk_.lock);
    if (listed_.empty()) {
      for (const auto& entry : disk_.contents.resolved) {
        for (const auto& loser : entry.losers) listed_.insert(name_of_loser(entry, loser));
      }
    }
    for (auto& entry : entries) {
      const auto there = their_tables_.find(entry.table);
      if (there == their_tables_.end()) continue;
      conform(entry, there->second.name, there->second.names);
      std::erase_if(entry.losers, [&](const RowVersion& loser) {
        return !listed_.insert(name_of_loser(entry, loser)).second;
      });
      if (entry.losers.empty()) continue;
      entry.id = ++disk_.last_conflict;
      disk_.contents.resolved.push_back(std::move(entry));
    }
    db_.bound_conflicts();
    return {};
  }

  Result<void> log(std::vector<LoggedRun> records) override {
    const std::lock_guard held(disk_.lock);
    for (auto& [run, chain] : records) {
      auto& chains = chains_[run.origin];
      if (chains.empty()) chains[run.first - 1] = chain;
      ByteReader in(run.records);
      for (uint64_t seq = run.first; seq <= run.last(); ++seq) {
        chains[seq] = chain = chain_after(chain, in.string());
      }
      db_.log(std::move(run), wall_ms_);
    }
    return {};
  }

  Result<void> finish() override {
    const std::lock_guard held(disk_.lock);
    for (const auto& [origin, stream] : theirs_.streams) {
      if (stream.seq <= seen_.at(origin)) continue;
      advance(origin, stream);
      disk_.contents.streams[origin] = stream;
    }
    disk_.contents.labels.insert(theirs_.labels.begin(), theirs_.labels.end());
    HlcClock clock(disk_.hlc);
    clock.observe(theirs_.hlc);
    disk_.hlc = clock.last();
    disk_.promised.join(theirs_.promised);
    disk_.collected.join(theirs_.collected);
    return {};
  }

 private:
  const TableDef* same(const TableDef& def) {
    for (const auto& [name, table] : disk_.contents.tables) {
      if (!same_table(table, def)) continue;
      their_tables_.insert_or_assign(def.name, Theirs{name, PresentNames(def, table)});
      return &table;
    }
    return nullptr;
  }

  void join_row(const std::string& table, const Layout& layout, const RowState& theirs) {
    RowChange name;
    name.table = table;
    name.key = theirs.key;
    auto& rows = disk_.contents.rows[table];
    RowState& row = rows[theirs.key];
    row.key = theirs.key;
    const auto losses =
        entente::join(row, seen_, {theirs, their_seen_}, collected_, layout, db_.ranks_);
    db_.note(name, losses, wall_ms_);
    if (row.registers.empty()) rows.erase(theirs.key);
  }

  // The log may hold the end of what is new of this origin, or nothing of it.
  void advance(const Origin& origin, const StreamState& stream) {
    auto& chains = chains_[origin];
    if (chains.empty()) chains[stream.seq] = stream.chain;
    const uint64_t floor = chains.begin()->first;
    if (floor == seen_.at(origin)) {
      disk_.chains[origin].merge(chains);
      return;
    }
    for (size_t i = disk_.log.size(); i-- > 0;) {
      const Run& run = disk_.log[i].run;
      if (run.origin != origin || run.last() > floor) continue;
      disk_.log_bytes -= run.records.size();
      disk_.log.erase(disk_.log.begin() + static_cast<ptrdiff_t>(i));
      disk_.logged_ms.erase(disk_.logged_ms.begin() + static_cast<ptrdiff_t>(i));
    }
    disk_.floors[origin] = floor;
    disk_.chains[origin] = std::move(chains);
  }

  MemoryDatabase& db_;
  MemoryDisk& disk_;
  const DatabaseState theirs_;
  const uint64_t wall_ms_;
  const VersionVector seen_;
  VersionVector their_seen_, collected_;
  struct Theirs {
    std::string name;  // ours
    PresentNames names;
  };
  std::map<std::string, Theirs> their_tables_;  // by their names
  std::set<std::string> listed_;                // losers, by name
  std::map<Origin, std::map<uint64_t, MemoryDisk::Chain>> chains_;
};

Result<std::unique_ptr<StateJoin>> MemoryDatabase::join(const DatabaseState& theirs,
                                                        uint64_t wall_ms) {
  return std::make_unique<MemoryJoin>(*this, theirs, wall_ms);
}

}  // namespace

std::unique_ptr<Database> open_memory(std::shared_ptr<MemoryDisk> disk,
                                      const DatabaseOptions& options) {
  return std::make_unique<MemoryDatabase>(std::move(disk), options);
}

}  // namespace entente
