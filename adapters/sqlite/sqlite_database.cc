#include "adapters/sqlite/sqlite_database.h"

#include <atomic>
#include <mutex>
#include <type_traits>

#include "adapters/sqlite/applier.h"
#include "adapters/sqlite/checkpointer.h"
#include "adapters/sqlite/committer.h"
#include "adapters/sqlite/database_file.h"
#include "adapters/sqlite/file_copy.h"
#include "adapters/sqlite/foreign_writes.h"
#include "adapters/sqlite/joiner.h"
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
  std::vector<LeftOut> left_out;
};

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(std::filesystem::path path, const DatabaseOptions& options, Connection local,
                 Connection apply, Connection log, Connection checkpoint, int wal_pages)
      : path_(std::move(path)),
        options_(options),
        local_(std::move(local)),
        apply_(std::move(apply)),
        log_(std::move(log)),
        checkpointer_(std::move(checkpoint), wal_pages),
        committer_(local_, local_guard_, state_, options_),
        applier_(apply_, apply_guard_, state_, options_),
        others_(local_, apply_) {
    local_guard_.install(local_, bounds_of(options_));
    apply_guard_.install(apply_, {.sql_bytes = options_.sql_bytes});
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
  void limit_records(size_t bytes) override { committer_.limit_records(bytes); }
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
  Result<std::unique_ptr<StateJoin>> join(const DatabaseState& theirs, uint64_t wall_ms) override;
  Result<size_t> judge_again(uint64_t wall_ms) override;
  uint64_t foreign_writes() const override { return foreign_writes_; }
  std::vector<LeftOut> left_out() const override {
    const std::scoped_lock lock(published_.mutex);
    return published_.left_out;
  }
  Result<void> snapshot(const std::filesystem::path& to) override {
    return copy_database(path_, to);
  }

 private:
  Result<void> set_up();
  Result<void> adopt_tables();
  Result<void> check_owner() const;
  Result<void> go_on_above_keys();
  Result<void> follow_rules();
  Result<void> show_what_waits(uint64_t wall_ms);
  Result<void> settle();
  Result<void> reload();
  Result<void> check_disk();
  template <class T>
  Result<T> answer(Result<T> done);
  // Something that is done on the apply connection.
  template <class Work>
  std::invoke_result_t<Work> write_there(Work work);
  void publish();
  // After each commit of one of our two connections.
  void look_for_others(const Connection& committed);

  static constexpr std::chrono::milliseconds kFileLook{200};

  std::filesystem::path path_;
  DatabaseFile file_;  // let go after the connections
  std::chrono::steady_clock::time_point look_at_file_{};
  DatabaseOptions options_;
  Guard local_guard_, apply_guard_;
  Connection local_, apply_;  // `local_` is the last to close, and tidies up
  LogReader log_;
  Checkpointer checkpointer_;
  FileState state_;
  Committer committer_;
  Applier applier_;
  ForeignWrites others_;
  std::atomic<uint64_t> foreign_writes_{0};
  Published published_;
  std::optional<Error> broken_;  // a write failed so that the disk cannot be trusted
  bool rows_wait_ = true;        // rows may be hidden although nothing hides them any more
  bool leave_tables_ = false;
  bool new_life_ = false;
};

Result<void> SqliteDatabase::start() {
  auto file = DatabaseFile::claim(path_);
  if (!file) return tl::unexpected(file.error());
  file_ = std::move(*file);
  if (auto done = local_.exec("PRAGMA foreign_keys=ON"); !done) return done;
  sqlite3_db_config(apply_.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  if (auto done = apply_.exec("PRAGMA foreign_keys=OFF"); !done) return done;
  if (auto done = settle(); !done) return done;
  if (auto done = set_up(); !done) {
    local_.rollback();
    return done;
  }
  checkpointer_.watch(local_);
  checkpointer_.watch(apply_);
  publish();
  if (auto done = check_owner(); !done) return done;
  if (auto done = go_on_above_keys(); !done) return done;
  if (auto done = follow_rules(); !done) return done;
  if (auto done = applier_.retry_left_out(options_.wall_ms); !done) return done;
  committer_.schema_changed();
  if (auto done = show_what_waits(options_.wall_ms); !done) return done;
  publish();
  return others_.begin();
}

// What the last process left in the WAL may be in the kernel's hands only: it was killed before its
// sync, or that failed. It counts from now on, so it must survive power loss: copied into the file,
// synced there, and the WAL begun anew, because what a failed sync has lost is never written again.
Result<void> SqliteDatabase::settle() {
  const int code =
      sqlite3_wal_checkpoint_v2(local_.get(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return {};  // another process is reading
  return failed(local_.get(), code);
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
  const bool joins = !*known && !leave_tables_;
  if (auto done = joins ? adopt_tables() : Result<void>(); !done) return done;
  if (!new_life) return local_.exec("COMMIT");
  return committer_.declare(options_.wall_ms);
}

// Tables that somebody made in this file before: those with a usable key join. In a file that is
// the gateway's already, what it does not know was left out when the file was adopted, or is
// another process's.
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

// A copy of another datacenter's file knows rows that an earlier life here has numbered, not how
// far that got. Deleted ones count, too.
Result<void> SqliteDatabase::go_on_above_keys() {
  const auto range = NewKeys::ahead_of(options_.wall_ms);
  for (const auto& [_, t] : state_.world->tables) {
    const Affinity affinity = t->columns[t->key.front()].affinity;
    const bool number = affinity == Affinity::kInteger || affinity == Affinity::kNumeric;
    if (t->key.size() != 1 || !number) continue;
    const char* const k = t->rowid_key ? "k" : "k1";
    std::string sql = "SELECT max(key) FROM (SELECT ";
    sql.append(k).append(" AS key FROM _entente_v_").append(std::to_string(t->id));
    auto q = local_.prepare(sql += ") WHERE key BETWEEN ?1 AND ?2 AND key % ?3 = ?4");
    if (!q) return tl::unexpected(q.error());
    q->bind_all(range.first, range.last, NewKeys::kSlots, int{options_.key_slot});
    const auto row = q->step();
    if (!row) return tl::unexpected(row.error());
    if (*row && !q->is_null(0)) state_.keys.made(q->integer(0));
  }
  return {};
}

Result<void> SqliteDatabase::reload() {
  auto state = committer_.storage().load();
  if (!state) {
    return fail(Code::kCorrupt, "the database cannot be read again: " + state.error().text,
                state.error().tag);
  }
  state_ = std::move(*state);
  committer_.schema_changed();
  applier_.forget_plans();
  return {};
}

// After a failed sync nobody knows what is on the disk, and asking again may answer that all is
// well. So nothing more is written, and the WAL stays for who opens the file anew.
Result<void> SqliteDatabase::check_disk() {
  if (!broken_ && checkpointer_.failure() != SQLITE_OK) {
    broken_ = error_of(nullptr, checkpointer_.failure());
  }
  if (const auto now = std::chrono::steady_clock::now(); !broken_ && now >= look_at_file_) {
    look_at_file_ = now + kFileLook;
    if (auto there = file_.check(); !there) broken_ = there.error();
  }
  if (!broken_) return {};
  local_.tidy_at_close(false);
  return tl::unexpected(*broken_);
}

template <class T>
Result<T> SqliteDatabase::answer(Result<T> done) {
  if (!done && done.error().code == Code::kCorrupt && !broken_) {
    broken_ = done.error();
    (void)check_disk();
  }
  return done;
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
  out.collected = state_.collected;
  published_.world = state_.world;
  published_.left_out = state_.left_out;
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
  if (auto ok = check_disk(); !ok) return tl::unexpected(ok.error());
  const auto before = state_.world;
  const uint64_t epoch = state_.epoch;
  auto done = committer_.commit(group, wall_ms);
  look_for_others(local_);
  if (!done || committer_.lost_group()) {
    if (auto loaded = reload(); !loaded) done = tl::unexpected(loaded.error());
  }
  if (!done) return answer(std::move(done));
  if (state_.epoch != epoch) applier_.forget_plans();
  publish();
  RowNews news = committer_.take_news();
  if (!committer_.to_retry().empty() || !news.empty() || state_.epoch != epoch) {
    auto retried =
        applier_.retry_quarantined(committer_.to_retry(), std::move(news), *before, wall_ms);
    look_for_others(apply_);
    rows_wait_ |= !retried;
    // The group stands; what cannot be trusted any more is the next call's to tell.
    if (!retried) (void)answer(reload().and_then([&] { return retried; }));
  }
  return done;
}

// A commit's rows may let others be shown, in a transaction of its own, which may fail or never
// come. Whether a row is shown must depend on the rows alone, so that is made good.
Result<void> SqliteDatabase::show_what_waits(uint64_t wall_ms) {
  if (!rows_wait_) return {};
  std::vector<const Table*> tables;
  for (const auto& [id, extras] : state_.extras) {
    const bool waits = extras.quarantined > 0 || extras.orphans > 0;
    const Table* t = waits ? state_.world->by_id(id) : nullptr;
    if (t != nullptr) tables.push_back(t);
  }
  if (!tables.empty()) {
    auto done = applier_.show_again(tables, wall_ms);
    if (!done) return done;
  }
  rows_wait_ = false;
  return {};
}

template <class Work>
std::invoke_result_t<Work> SqliteDatabase::write_there(Work work) {
  if (auto ok = check_disk(); !ok) return tl::unexpected(ok.error());
  auto done = work();
  look_for_others(apply_);
  if (!done) {
    auto loaded = reload();
    if (!loaded) done = tl::unexpected(loaded.error());
    return answer(std::move(done));
  }
  publish();
  return done;
}

Result<std::vector<LogChunk>> SqliteDatabase::apply(std::span<const Run> runs, uint64_t wall_ms) {
  return write_there([&] {
    auto done = applier_.apply(runs, wall_ms);
    if (done && applier_.changed_schema()) committer_.schema_changed();
    return done;
  });
}

Result<void> SqliteDatabase::trim_log(const VersionVector& stable, const LogRetention& keep) {
  auto prefix = log_.prefix_to_trim(stable, keep);
  if (!prefix) return answer<void>(tl::unexpected(prefix.error()));
  if (*prefix == 0) return {};
  return write_there([&] { return applier_.trim_log(*prefix); });
}

// One statement outside a transaction is a transaction.
Result<void> SqliteDatabase::promise(const VersionVector& floor) {
  if (auto ok = check_disk(); !ok) return ok;
  VersionVector promised = state_.promised;
  promised.join(floor);
  auto done = committer_.storage().save_promised(promised);
  look_for_others(local_);
  if (!done) return answer(std::move(done));
  state_.promised = std::move(promised);
  publish();
  return {};
}

Result<Collected> SqliteDatabase::collect(const VersionVector& stable, size_t rows_max) {
  const bool more = !state_.collected.covers(stable);
  auto done = write_there([&] { return applier_.collect(stable, rows_max); });
  if (done && more) publish();
  return done;
}

Result<std::unique_ptr<StateJoin>> SqliteDatabase::join(const DatabaseState& theirs,
                                                        uint64_t wall_ms) {
  Joiner::Shell shell;
  shell.committed = [this] { look_for_others(apply_); };
  shell.show_again = [this](uint64_t now_ms) {
    std::vector<const Table*> all;
    for (const auto& [name, table] : state_.world->tables) all.push_back(table.get());
    auto done = applier_.show_again(all, now_ms);
    look_for_others(apply_);
    return done;
  };
  shell.finished = [this] { publish(); };
  auto joiner = std::make_unique<Joiner>(apply_, state_, options_, theirs, wall_ms, shell);
  if (auto begun = joiner->begin(); !begun) return tl::unexpected(begun.error());
  return joiner;
}

Result<size_t> SqliteDatabase::judge_again(uint64_t wall_ms) {
  return write_there([&]() -> Result<size_t> {
    if (auto done = show_what_waits(wall_ms); !done) return tl::unexpected(done.error());
    return applier_.judge_again(wall_ms);
  });
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
  db->tidy_at_close(false);
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
  for (Connection* other : {&*apply, &*log, &*checkpoint}) other->tidy_at_close(false);
  auto database = std::make_unique<sqlite::SqliteDatabase>(
      path, options, std::move(*local), std::move(*apply), std::move(*log), std::move(*checkpoint),
      tuning.wal_pages > 0 ? tuning.wal_pages : sqlite::Checkpointer::kPagesMax);
  if (tuning.general_path_only) database->take_slow_path_only();
  if (tuning.leave_tables) database->leave_tables();
  if (tuning.new_life) database->begin_new_life();
  if (auto done = database->start(); !done) return tl::unexpected(done.error());
  return database;
}

}  // namespace entente
