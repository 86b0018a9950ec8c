#include "adapters/state_join.h"

#include <algorithm>
#include <utility>

namespace entente {
namespace {

constexpr size_t kRowsAtOnce = 4096;
constexpr size_t kConflictsAtOnce = 1000;
constexpr size_t kSliceBytes = 4 << 20;

VersionVector applied_of(const DatabaseState& state) {
  VersionVector out;
  for (const auto& [origin, stream] : state.streams) out.advance(origin, stream.seq);
  return out;
}

class Joining {
 public:
  Joining(Database& from, Database& to, uint64_t wall_ms)
      : from_(from), to_(to), theirs_(from.state()), ours_(to.state()), wall_ms_(wall_ms) {}

  Result<uint64_t> run() {
    seen_ = applied_of(ours_);
    if (theirs_.epoch > ours_.epoch) {
      return fail(Code::kRefused,
                  "this datacenter has seen schema changes that the copy has not, and its log no "
                  "longer holds what the copy lacks: a neighbour that has them is needed",
                  "copy_schema_older");
    }
    return open()
        .and_then([&] { return rows(); })
        .and_then([&] { return conflicts(); })
        .and_then([&] { return log(); })
        .and_then([&] { return join_->finish(); })
        .map([&] { return lacked(); });
  }

 private:
  Result<void> open() {
    auto reader = from_.reader();
    if (!reader) return tl::unexpected(reader.error());
    reader_ = std::move(*reader);
    auto join = to_.join(theirs_, wall_ms_);
    if (!join) return tl::unexpected(join.error());
    join_ = std::move(*join);
    return {};
  }

  Result<void> rows() {
    auto tables = reader_->tables();
    if (!tables) return tl::unexpected(tables.error());
    auto retired = reader_->retired_tables();
    if (!retired) return tl::unexpected(retired.error());
    tables->insert(tables->end(), retired->begin(), retired->end());
    for (const auto& table : *tables) {
      if (auto done = rows_of(table); !done) return done;
    }
    return {};
  }

  Result<void> rows_of(const TableDef& table) {
    StateQuery query{table.name, [&](const Version& v) { return known(v); }, {}, kRowsAtOnce};
    for (bool complete = false; !complete;) {
      auto slice = reader_->states(query);
      if (!slice) return tl::unexpected(slice.error());
      query.after = slice->last;
      complete = slice->complete;
      for (const auto& row : slice->rows) {
        if (auto ok = check_history(row); !ok) return ok;
      }
      if (auto done = join_->rows(table, std::move(slice->rows)); !done) return done;
    }
    return {};
  }

  // Under one origin later changes have later stamps.
  bool known(const Version& v) const {
    const auto stream = ours_.streams.find(v.dot.origin);
    if (stream == ours_.streams.end()) return v.dot.origin == Origin{};
    return v.dot.seq <= stream->second.seq && v.hlc <= stream->second.hlc;
  }

  Result<void> check_history(const RowState& row) const {
    for (const auto& [name, r] : row.registers) {
      for (const auto& s : r.siblings) {
        const bool other = seen_.covers(s.version.dot) && !known(s.version);
        if (!other) continue;
        return fail(Code::kRefused,
                    "two histories of one incarnation: " + to_string(s.version.dot) +
                        " is not the same here and in the copy, and the log no longer tells what "
                        "was written here",
                    "copy_forked");
      }
    }
    return {};
  }

  Result<void> conflicts() {
    ConflictQuery query;
    query.state = ConflictQuery::State::kResolved;
    query.limit = kConflictsAtOnce;
    for (;;) {
      auto entries = reader_->conflicts(query);
      if (!entries) return tl::unexpected(entries.error());
      if (entries->empty()) return {};
      query.after_id = entries->back().id;
      if (auto done = join_->conflicts(std::move(*entries)); !done) return done;
    }
  }

  Result<void> log() {
    VersionVector logged = seen_;
    for (LogPosition at = 0;;) {
      auto chunks = from_.read_log(at, kSliceBytes);
      if (!chunks) return tl::unexpected(chunks.error());
      if (chunks->empty()) return {};
      at = chunks->back().position;
      std::vector<LoggedRun> records;
      for (const auto& chunk : *chunks) {
        auto run = slice_after(chunk.run, logged.at(chunk.run.origin));
        if (!run) return tl::unexpected(run.error());
        if (run->count == 0) continue;
        const auto before = from_.chain_at(run->origin, run->first - 1);
        if (!before) return tl::unexpected(before.error());
        if (!*before) return fail(Code::kCorrupt, "the log in this database is damaged");
        logged.advance(run->origin, run->last());
        records.push_back({std::move(*run), **before});
      }
      if (records.empty()) continue;
      if (auto done = join_->log(std::move(records)); !done) return done;
    }
  }

  uint64_t lacked() const {
    uint64_t count = 0;
    for (const auto& [origin, stream] : theirs_.streams) {
      count += stream.seq - std::min(stream.seq, seen_.at(origin));
    }
    return count;
  }

  Database& from_;
  Database& to_;
  const DatabaseState theirs_, ours_;
  const uint64_t wall_ms_;
  VersionVector seen_;  // `to`, before
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<StateJoin> join_;
};

}  // namespace

Result<uint64_t> join_states(Database& from, Database& to, uint64_t wall_ms) {
  return Joining(from, to, wall_ms).run();
}

void conform(ConflictEntry& entry, const std::string& table, const PresentNames& names) {
  entry.table = table;
  entry.group = names.of(entry.group);
  if (entry.winner.row) entry.winner.row = names.of(std::move(*entry.winner.row));
  for (auto& loser : entry.losers) {
    if (loser.row) loser.row = names.of(std::move(*loser.row));
  }
}

std::string name_of_loser(const ConflictEntry& entry, const RowVersion& loser) {
  ByteWriter out;
  out.string(entry.table), out.string(entry.key), out.string(entry.group);
  out.origin(loser.version.dot.origin), out.varint(loser.version.dot.seq);
  out.u8(loser.row.has_value());
  if (loser.row) {
    for (const auto& [name, value] : *loser.row) out.string(name), out.value(value);
  }
  return out.take();
}

}  // namespace entente
