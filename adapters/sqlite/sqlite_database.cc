#include "adapters/sqlite/sqlite_database.h"

#include <atomic>
#include <mutex>

#include "adapters/sqlite/applier.h"
#include "adapters/sqlite/checkpointer.h"
#include "adapters/sqlite/committer.h"
#include "adapters/sqlite/file_copy.h"
#include "adapters/sqlite/foreign_writes.h"
#include "adapters/sqlite/log_reader.h"
#include "adapters/sqlite/sqlite_reader.h"

namespace entente {
namespace sqlite {
namespace {

// What other threads may know: updated when a commit or apply is durable.
struct Published {
  mutable std::mutex mutex;
  DatabaseState state;
  std::shared_ptr<const World> world;
};

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(std::filesystem::path path, const DatabaseOptions& options, Connection local,
                 Connection apply, Connection log, Connection checkpoint)
      : path_(std::move(path)),
        options_(options),
        local_(std::move(local)),
        apply_(std::move(apply)),
        log_(std::move(log)),
        checkpointer_(std::move(checkpoint)),
        committer_(local_, local_guard_, state_, options_),
        applier_(apply_, apply_guard_, state_, options_),
        others_(local_, apply_) {
    local_guard_.install(local_, options_.sql_bytes, options_.statement_ms,
                         options_.statement_memory);
    apply_guard_.install(apply_, options_.sql_bytes, 0, 0);
  }

  Result<void> start();
  void leave_tables() { leave_tables_ = true; }
  void begin_new_life() { new_life_ = true; }
  void take_slow_path_only() {
    committer_.take_slow_path_only();
    applier_.take_slow_path_only();
  }

  DatabaseState state() const override;
  Result<CommittedGroup> commit(std::span<const ClientTransaction> group,
                                uint64_t wall_ms) override;
  Result<std::vector<LogChunk>> apply(std::span<const Run> runs, uint64_t wall_ms) override;
  Result<std::unique_ptr<Reader>> reader() override;
  Result<std::vector<LogChunk>> read_log(LogPosition position, size_t max_bytes) override {
    return log_.read(position, max_bytes);
  }
  Result<LogPosition> position_before(const Origin& origin, uint64_t seq) override {
    return log_.position_before(origin, seq);
  }
  Result<std::optional<std::array<uint8_t, 16>>> chain_at(const Origin& origin,
                                                          uint64_t seq) override {
    return log_.chain_at(origin, seq);
  }
  Result<void> trim_log(const VersionVector& stable, const LogRetention& keep) override;
  Result<void> promise(const VersionVector& floor) override;
  Result<Collected> collect(const VersionVector& stable, size_t rows_max) override;
  Result<size_t> judge_again(uint64_t wall_ms) override;
  uint64_t foreign_writes() const override { return foreign_writes_; }
  Result<void> snapshot(const std::filesystem::path& to) override {
    return copy_database(path_, to);
  }

 private:
  Result<void> set_up();
  Result<void> adopt_tables();
  Result<void> check_owner() const;
  Result<void> follow_rules();
  Result<void> reload();
  void publish();
  // After each commit of one of our two connections.
  void look_for_others(const Connection& committed);

  std::filesystem::path path_;
  DatabaseOptions options_;
  Guard local_guard_, apply_guard_;
  Connection local_, apply_;
  LogReader log_;
  Checkpointer checkpointer_;
  FileState state_;
  Committer committer_;
  Applier applier_;
  ForeignWrites others_;
  std::atomic<uint64_t> foreign_writes_{0};
  Published published_;
  bool leave_tables_ = false;
  bool new_life_ = false;
};

Result<void> SqliteDatabase::start() {
  if (auto done = local_.exec("PRAGMA foreign_keys=ON"); !done) return done;
  sqlite3_db_config(apply_.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  if (auto done = apply_.exec("PRAGMA foreign_keys=OFF"); !done) return done;
  if (auto done = set_up(); !done) {
    local_.rollback();
    return done;
  }
  checkpointer_.watch(local_);
  checkpointer_.watch(apply_);
  publish();
  if (auto done = check_owner(); !done) return done;
  if (auto done = follow_rules(); !done) return done;
  return others_.begin();
}

// Makes a new database the gateway's, or reads what it left.
Result<void> SqliteDatabase::set_up() {
  Storage& storage = committer_.storage();
  if (auto done = local_.exec("BEGIN IMMEDIATE"); !done) return done;
  if (auto done = storage.check_encoding(); !done) return done;
  auto known = storage.exists();
  if (!known) return tl::unexpected(known.error());
  if (!*known) {
    if (auto done = storage.create(options_.fresh_origin); !done) return done;
  }
  if (auto done = reload(); !done) return done;
  const bool new_life = !*known || new_life_;
  if (*known && new_life_) {
    if (auto done = storage.change_self(state_, options_.fresh_origin); !done) return done;
  }
  if (new_life) {
    auto made = storage.add_origin(state_, state_.self, options_.dc);
    if (!made) return made;
  }
  if (auto done = leave_tables_ ? Result<void>() : adopt_tables(); !done) return done;
  if (!new_life) return local_.exec("COMMIT");
  return committer_.declare(options_.wall_ms);
}

// Tables that somebody made in this file before: those with a usable key join.
Result<void> SqliteDatabase::adopt_tables() {
  Storage& storage = committer_.storage();
  auto names = storage.unknown_tables(*state_.world);
  if (!names) return tl::unexpected(names.error());
  for (const auto& name : *names) {
    auto table = read_definition(local_, name).and_then([&](TableDef def) {
      return storage.add_table(state_, first_definition(std::move(def), 0));
    });
    if (!table && table.error().code != Code::kRefused) return tl::unexpected(table.error());
  }
  return storage.refresh_schema(state_);
}

Result<void> SqliteDatabase::check_owner() const {
  const std::string& owner = state_.streams.at(state_.self).dc;
  if (owner == options_.dc) return {};
  return fail(Code::kMismatch, "the database " + path_.string() + " belongs to datacenter " +
                                   owner + ", not to " + options_.dc +
                                   ": point this gateway at its own");
}

Result<void> SqliteDatabase::reload() {
  auto state = committer_.storage().load();
  if (!state) return tl::unexpected(state.error());
  state_ = std::move(*state);
  committer_.schema_changed();
  applier_.forget_plans();
  return {};
}

void SqliteDatabase::publish() {
  const std::scoped_lock lock(published_.mutex);
  DatabaseState& out = published_.state;
  out.self = state_.self;
  for (const auto& [origin, stream] : state_.streams) {
    out.streams[origin] = stream.state;
    if (!out.labels.contains(origin)) out.labels[origin] = stream.dc;
  }
  out.log_head = state_.log_head;
  out.epoch = state_.epoch;
  out.hlc = state_.clock.last();
  out.promised = state_.promised;
  published_.world = state_.world;
}

// That it cannot look now is no error of what was committed: it looks again soon.
void SqliteDatabase::look_for_others(const Connection& committed) {
  if (others_.after(committed).value_or(false)) ++foreign_writes_;
}

DatabaseState SqliteDatabase::state() const {
  const std::scoped_lock lock(published_.mutex);
  return published_.state;
}

Result<CommittedGroup> SqliteDatabase::commit(std::span<const ClientTransaction> group,
                                              uint64_t wall_ms) {
  const uint64_t epoch = state_.epoch;
  auto done = committer_.commit(group, wall_ms);
  look_for_others(local_);
  if (!done || committer_.lost_group()) {
    if (auto loaded = reload(); !loaded) return tl::unexpected(loaded.error());
  }
  if (!done) return done;
  if (state_.epoch != epoch) applier_.forget_plans();
  publish();
  if (!committer_.to_retry().empty()) {
    auto retried = applier_.retry_quarantined(committer_.to_retry(), wall_ms);
    look_for_others(apply_);
    if (!retried) {
      if (auto loaded = reload(); !loaded) return tl::unexpected(loaded.error());
    }
  }
  return done;
}

Result<std::vector<LogChunk>> SqliteDatabase::apply(std::span<const Run> runs, uint64_t wall_ms) {
  auto done = applier_.apply(runs, wall_ms);
  look_for_others(apply_);
  if (!done) {
    if (auto loaded = reload(); !loaded) return tl::unexpected(loaded.error());
    return done;
  }
  if (applier_.changed_schema()) committer_.schema_changed();
  publish();
  return done;
}

Result<void> SqliteDatabase::trim_log(const VersionVector& stable, const LogRetention& keep) {
  auto prefix = log_.prefix_to_trim(stable, keep);
  if (!prefix) return tl::unexpected(prefix.error());
  auto done = *prefix == 0 ? Result<void>() : applier_.trim_log(*prefix);
  look_for_others(apply_);
  return done;
}

// One statement outside a transaction is a transaction.
Result<void> SqliteDatabase::promise(const VersionVector& floor) {
  VersionVector promised = state_.promised;
  promised.join(floor);
  auto done = committer_.storage().save_promised(promised);
  look_for_others(local_);
  if (!done) return done;
  state_.promised = std::move(promised);
  publish();
  return {};
}

Result<Collected> SqliteDatabase::collect(const VersionVector& stable, size_t rows_max) {
  auto done = applier_.collect(stable, rows_max);
  look_for_others(apply_);
  if (!done) {
    if (auto loaded = reload(); !loaded) return tl::unexpected(loaded.error());
  }
  return done;
}

Result<size_t> SqliteDatabase::judge_again(uint64_t wall_ms) {
  auto done = applier_.judge_again(wall_ms);
  look_for_others(apply_);
  if (!done) {
    if (auto loaded = reload(); !loaded) return tl::unexpected(loaded.error());
  }
  return done;
}

// Under other rules than those by which they were judged last, rows with siblings show other
// values.
Result<void> SqliteDatabase::follow_rules() {
  auto before = committer_.storage().rules_version();
  if (!before) return tl::unexpected(before.error());
  if (*before == options_.rules_version) return {};
  if (auto done = applier_.judge_all(options_.wall_ms); !done) return done;
  return committer_.storage().save_rules_version(options_.rules_version);
}

Result<std::unique_ptr<Reader>> SqliteDatabase::reader() {
  auto db = Connection::open(path_, Connection::Kind::kRead);
  if (!db) return tl::unexpected(db.error());
  // Nothing is written here; clients ask whether foreign keys are enforced.
  if (auto done = db->exec("PRAGMA foreign_keys=ON"); !done) return tl::unexpected(done.error());
  return std::make_unique<SqliteReader>(std::move(*db), options_, [this] {
    const std::scoped_lock lock(published_.mutex);
    return published_.world;
  });
}

}  // namespace
}  // namespace sqlite

Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& path,
                                              const DatabaseOptions& options,
                                              const SqliteTuning& tuning) {
  using sqlite::Connection;
  auto local = Connection::open(path, Connection::Kind::kWrite);
  if (!local) return tl::unexpected(local.error());
  auto apply = Connection::open(path, Connection::Kind::kWrite);
  if (!apply) return tl::unexpected(apply.error());
  auto log = Connection::open(path, Connection::Kind::kRead);
  if (!log) return tl::unexpected(log.error());
  auto checkpoint = Connection::open(path, Connection::Kind::kWrite);
  if (!checkpoint) return tl::unexpected(checkpoint.error());
  auto database = std::make_unique<sqlite::SqliteDatabase>(
      path, options, std::move(*local), std::move(*apply), std::move(*log), std::move(*checkpoint));
  if (tuning.general_path_only) database->take_slow_path_only();
  if (tuning.leave_tables) database->leave_tables();
  if (tuning.new_life) database->begin_new_life();
  if (auto done = database->start(); !done) return tl::unexpected(done.error());
  return database;
}

}  // namespace entente
