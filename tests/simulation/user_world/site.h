#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "adapters/sqlite/connection.h"
#include "tests/support/process.h"

namespace entente::simulation::user_world {

// One datacenter: its database in real files, without a gateway around it.
class Site {
 public:
  Site(size_t index, uint64_t seed, const ConflictRules& rules);

  const std::string& name() const { return options_.dc; }
  size_t index() const { return index_; }
  Database& database() { return *database_; }
  // Lives as long as the database is open, as a gateway's do: what it has compiled is old.
  Reader& reader() { return *reader_; }
  // What it has applied.
  VersionVector applied() const;
  uint64_t epoch() const { return database_->state().epoch; }
  // The whole database, past the gateway.
  sqlite::Connection look() const;

  void reopen();
  uint64_t tick(uint64_t ms) { return now_ms_ += ms; }

  // What comes next of another's log, up to `chunks` of it, and where that ends.
  struct Piece {
    size_t from = 0;
    LogPosition end = 0;
    std::vector<Run> runs;
  };
  Result<Piece> next_of(Site& from, size_t chunks);
  // Applies them together.
  Result<void> apply(const std::vector<Piece>& pieces);
  // Forgets how far it has followed another: all of its log comes again.
  void start_over(const Site& from) { followed_.erase(from.index_); }

 private:
  const size_t index_;
  const testing::TemporaryFolder folder_{"/dev/shm"};
  DatabaseOptions options_;
  uint64_t now_ms_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Reader> reader_;
  std::map<size_t, LogPosition> followed_;  // others' logs, by index
};

}  // namespace entente::simulation::user_world
