// The engine's write path and apply path against raw SQLite doing the same statements in the same
// groups, in one run. Prints rows per second and ratios.

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "adapters/sqlite/sqlite_database.h"
#include "tests/bench/must.h"

namespace {

using entente::ClientTransaction;
using entente::Database;
using entente::LogChunk;
using entente::Result;
using entente::Run;
using entente::Statement;
using entente::WriteSession;
using entente::bench::die;
using entente::bench::must;
using entente::bench::wall_ms;
using Clock = std::chrono::steady_clock;

constexpr int kGroup = 100;
constexpr const char* kCreate =
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, note TEXT, n INTEGER, price REAL)";
constexpr const char* kInsert =
    "INSERT INTO item (id, name, note, n, price) VALUES (?1, ?2, ?3, ?4, ?5)";
constexpr const char* kUpdate = "UPDATE item SET n = ?2 WHERE id = ?1";

// Wall time, and processor time: the latter says what the code costs when the disk or a busy
// machine hides it.
struct Seconds {
  double wall = 0, cpu = 0;
};

double cpu_now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct Watch {
  Clock::time_point wall = Clock::now();
  double cpu = cpu_now();
  Seconds read() const {
    return {std::chrono::duration<double>(Clock::now() - wall).count(), cpu_now() - cpu};
  }
};

// Spreads updates over the rows without a random generator.
int64_t nth_id(int64_t i, int64_t rows) { return 1 + (i * 7919) % rows; }

Statement insert_of(int64_t id) {
  Statement s;
  s.sql = kInsert;
  s.args = {id, "item number " + std::to_string(id), std::string(60, 'x'), id * 3, id * 0.25};
  s.alone = true;
  return s;
}

Statement update_of(int64_t i, int64_t rows) {
  Statement s;
  s.sql = kUpdate;
  s.args = {nth_id(i, rows), i};
  s.alone = true;
  return s;
}

class Raw {
 public:
  explicit Raw(const std::filesystem::path& path) {
    if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) die("raw open");
    exec(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
        "PRAGMA temp_store=MEMORY; PRAGMA secure_delete=FAST");
    exec(kCreate);
    sqlite3_prepare_v2(db_, kInsert, -1, &insert_, nullptr);
    sqlite3_prepare_v2(db_, kUpdate, -1, &update_, nullptr);
  }
  ~Raw() {
    sqlite3_finalize(insert_);
    sqlite3_finalize(update_);
    sqlite3_close(db_);
  }
  void exec(const char* sql) {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) die(sqlite3_errmsg(db_));
  }
  void run(const Statement& s) {
    sqlite3_stmt* stmt = s.sql == kInsert ? insert_ : update_;
    int at = 0;
    for (const auto& v : s.args) {
      ++at;
      if (const auto* i = std::get_if<int64_t>(&v)) sqlite3_bind_int64(stmt, at, *i);
      if (const auto* d = std::get_if<double>(&v)) sqlite3_bind_double(stmt, at, *d);
      if (const auto* t = std::get_if<std::string>(&v)) {
        sqlite3_bind_text(stmt, at, t->data(), static_cast<int>(t->size()), SQLITE_STATIC);
      }
    }
    if (sqlite3_step(stmt) != SQLITE_DONE) die(sqlite3_errmsg(db_));
    sqlite3_reset(stmt);
  }
  Seconds run_groups(const std::vector<Statement>& statements) {
    const Watch watch;
    for (size_t i = 0; i < statements.size(); i += kGroup) {
      exec("BEGIN IMMEDIATE");
      for (size_t j = i; j < i + kGroup; ++j) run(statements[j]);
      exec("COMMIT");
    }
    return watch.read();
  }

 private:
  sqlite3* db_ = nullptr;
  sqlite3_stmt *insert_ = nullptr, *update_ = nullptr;
};

struct Engine {
  std::unique_ptr<Database> db;
  std::vector<LogChunk> log;

  Engine(const std::filesystem::path& path, const char* dc, uint8_t origin,
         entente::Granularity granularity, bool old_values) {
    entente::DatabaseOptions options;
    options.dc = dc;
    options.fresh_origin.id.fill(origin);
    options.wall_ms = wall_ms();
    options.rules.defaults.granularity = granularity;
    options.rules.defaults.old_values = old_values;
    db = must(entente::open_sqlite(path, options));
  }

  Seconds run_groups(const std::vector<Statement>& statements) {
    std::vector<ClientTransaction> group;
    const Watch watch;
    for (size_t i = 0; i < statements.size(); i += kGroup) {
      group.clear();
      for (size_t j = i; j < std::min(i + kGroup, statements.size()); ++j) {
        const Statement* s = &statements[j];
        group.emplace_back([s](WriteSession& session) -> Result<void> {
          auto done = session.execute(*s);
          if (!done) return tl::unexpected(done.error());
          return {};
        });
      }
      auto out = must(db->commit(group, wall_ms()));
      for (const auto& r : out.results) {
        if (!r) die(r.error().text);
      }
      log.push_back(std::move(*out.chunk));
    }
    return watch.read();
  }

  Seconds apply_all(const std::vector<LogChunk>& chunks) {
    const Watch watch;
    for (const auto& chunk : chunks) must(db->apply(std::span(&chunk.run, 1), wall_ms()));
    return watch.read();
  }
};

void line(const char* what, size_t rows, Seconds raw, Seconds ours) {
  std::printf("%-34s raw %8.0f rows/s   entente %8.0f rows/s   ratio %.2f   (processor %.2f)\n",
              what, static_cast<double>(rows) / raw.wall, static_cast<double>(rows) / ours.wall,
              raw.wall / ours.wall, raw.cpu / ours.cpu);
}

void print_bytes(const std::filesystem::path& path, size_t rows) {
  sqlite3* db = nullptr;
  sqlite3_open(path.c_str(), &db);
  sqlite3_stmt* q = nullptr;
  sqlite3_prepare_v2(
      db, "SELECT name, sum(pgsize), sum(payload) FROM dbstat GROUP BY name ORDER BY 2 DESC", -1,
      &q, nullptr);
  while (sqlite3_step(q) == SQLITE_ROW) {
    std::printf("    %-28s %7.1f bytes a row\n",
                reinterpret_cast<const char*>(sqlite3_column_text(q, 0)),
                sqlite3_column_double(q, 1) / static_cast<double>(rows));
  }
  sqlite3_finalize(q);
  sqlite3_close(db);
}

// SELECTs by key on one connection, each from a snapshot of its own, from one call to the next.
class Reading {
 public:
  Reading(Database& db, int64_t rows)
      : reader_(must(db.reader())), thread_([this, rows] { read(rows); }) {}
  ~Reading() {
    stop_ = true;
    thread_.join();
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  // A second since the last call.
  double rate() {
    const size_t done = done_, n = done - std::exchange(counted_, done);
    const auto now = Clock::now();
    const std::chrono::duration<double> took = now - std::exchange(since_, now);
    return static_cast<double>(n) / took.count();
  }

 private:
  void read(int64_t rows) {
    Statement select;
    select.sql = "SELECT * FROM item WHERE id = ?1";
    for (int64_t i = 0; !stop_; ++i) {
      select.args = {nth_id(i, rows)};
      if (auto begun = reader_->begin(); !begun) die(begun.error().text);
      if (must(reader_->execute(select)).rows.size() != 1) die("a row is missing");
      reader_->end();
      ++done_;
    }
  }

  std::unique_ptr<entente::Reader> reader_;
  std::atomic<size_t> done_{0};
  std::atomic<bool> stop_{false};
  size_t counted_ = 0;
  Clock::time_point since_ = Clock::now();
  std::thread thread_;
};

void reads_while_applying(Engine& b, const std::vector<LogChunk>& log, int64_t rows) {
  constexpr std::chrono::milliseconds kIdle{300};
  Reading reading(*b.db, rows);
  std::this_thread::sleep_for(kIdle);
  reading.rate();
  std::this_thread::sleep_for(kIdle);
  const double before = reading.rate();
  b.apply_all(log);
  const double during = reading.rate();
  std::this_thread::sleep_for(kIdle);
  const double idle = (before + reading.rate()) / 2;
  std::printf("%-34s %8.0f reads/s alone, %8.0f while changes are applied, ratio %.2f\n",
              "reads by key", idle, during, during / idle);
}

size_t bytes_of(const std::vector<LogChunk>& log) {
  size_t bytes = 0;
  for (const auto& chunk : log) bytes += chunk.run.records.size();
  return bytes;
}

void run(const std::filesystem::path& folder, entente::Granularity granularity, bool old_values,
         int64_t rows) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  std::vector<Statement> inserts, updates, more_updates;
  for (int64_t i = 1; i <= rows; ++i) inserts.push_back(insert_of(i));
  for (int64_t i = 1; i <= rows; ++i) updates.push_back(update_of(i, rows));
  for (int64_t i = 1; i <= rows; ++i) more_updates.push_back(update_of(i + rows, rows));
  Raw raw(folder / "raw.db");
  Engine a(folder / "a.db", "a", 1, granularity, old_values);
  Engine b(folder / "b.db", "b", 2, granularity, old_values);
  Statement create;
  create.sql = kCreate;
  a.log = must(a.db->read_log(0, 1 << 20));
  a.run_groups({create});
  b.apply_all(a.log);
  a.log.clear();
  const Seconds raw_insert = raw.run_groups(inserts);
  const Seconds insert = a.run_groups(inserts);
  const Seconds insert_apply = b.apply_all(a.log);
  line("commit, inserts in groups of 100", inserts.size(), raw_insert, insert);
  line("apply, the same", inserts.size(), raw_insert, insert_apply);
  print_bytes(folder / "a.db", inserts.size());
  a.log.clear();
  const Seconds raw_update = raw.run_groups(updates);
  const Seconds update = a.run_groups(updates);
  const Seconds update_apply = b.apply_all(a.log);
  line("commit, updates of one column", updates.size(), raw_update, update);
  line("apply, the same", updates.size(), raw_update, update_apply);
  const size_t known = a.log.size();
  a.run_groups(more_updates);
  reads_while_applying(b, {a.log.begin() + static_cast<ptrdiff_t>(known), a.log.end()}, rows);
  std::printf("    %-28s %7.1f bytes, not compressed\n", "record of an update",
              static_cast<double>(bytes_of(a.log)) / static_cast<double>(2 * updates.size()));
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t rows = argc > 1 ? std::atoll(argv[1]) : 50'000;
  const auto folder = std::filesystem::temp_directory_path() / "entente_engine_bench";
  const int64_t whole = rows / kGroup * kGroup;
  std::printf("granularity row\n");
  run(folder, entente::Granularity::kRow, false, whole);
  std::printf("granularity column\n");
  run(folder, entente::Granularity::kColumn, false, whole);
  std::printf("granularity column, changes with old values\n");
  run(folder, entente::Granularity::kColumn, true, whole);
  std::filesystem::remove_all(folder);
}
