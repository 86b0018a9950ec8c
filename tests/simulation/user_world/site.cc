#include "tests/simulation/user_world/site.h"

#include <cstdio>
#include <cstdlib>

#include "adapters/sqlite/sqlite_database.h"
#include "tests/simulation/random.h"

namespace entente::simulation::user_world {
namespace {

constexpr uint64_t kEpochMs = 1'700'000'000'000;
constexpr size_t kChunkBytes = 1 << 20;

[[noreturn]] void give_up(const std::string& what, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), error.text.c_str());
  std::abort();
}

}  // namespace

Site::Site(size_t index, uint64_t seed, const ConflictRules& rules) : index_(index) {
  options_.dc.push_back(static_cast<char>('a' + index));
  Random identity(seed, "origin " + options_.dc);
  for (auto& byte : options_.fresh_origin.id) byte = static_cast<uint8_t>(identity.next());
  options_.rules = rules;
  options_.key_slot = static_cast<uint8_t>(index);
  options_.schema_leader = index == 0;
  options_.schema_leader_name.push_back('a');
  now_ms_ = kEpochMs + identity.below(500);
  reopen();
}

void Site::reopen() {
  reader_.reset();
  database_.reset();
  options_.wall_ms = now_ms_;
  auto database = open_sqlite(folder_.path() / "db", options_);
  if (!database) give_up(name() + " cannot be opened", database.error());
  database_ = std::move(*database);
  auto reader = database_->reader();
  if (!reader) give_up(name() + " cannot be read", reader.error());
  reader_ = std::move(*reader);
}

VersionVector Site::applied() const {
  VersionVector out;
  for (const auto& [origin, stream] : database_->state().streams) out.set(origin, stream.seq);
  return out;
}

sqlite::Connection Site::look() const {
  auto db = sqlite::Connection::open(folder_.path() / "db", sqlite::Connection::Kind::kRead);
  if (!db) give_up(name() + " cannot be looked at", db.error());
  return std::move(*db);
}

Result<Site::Piece> Site::next_of(Site& from, size_t chunks) {
  Piece piece{from.index_, followed_[from.index_], {}};
  auto log = from.database_->read_log(piece.end, kChunkBytes);
  if (!log) return tl::unexpected(log.error());
  for (auto& chunk : *log) {
    if (chunks-- == 0) break;
    piece.end = chunk.position;
    if (chunk.run.origin != options_.fresh_origin) piece.runs.push_back(std::move(chunk.run));
  }
  return piece;
}

Result<void> Site::apply(const std::vector<Piece>& pieces) {
  std::vector<Run> runs;
  for (const auto& piece : pieces) runs.insert(runs.end(), piece.runs.begin(), piece.runs.end());
  auto done = runs.empty() ? Result<std::vector<LogChunk>>() : database_->apply(runs, tick(1));
  if (!done) return tl::unexpected(done.error());
  for (const auto& piece : pieces) followed_[piece.from] = piece.end;
  return {};
}

}  // namespace entente::simulation::user_world
