#include "adapters/sqlite/joiner.h"

#include <algorithm>
#include <set>

#include "adapters/state_join.h"
#include "conflict/conform.h"

namespace entente::sqlite {

Joiner::Joiner(Connection& db, FileState& state, const DatabaseOptions& options,
               DatabaseState theirs, uint64_t wall_ms, Shell shell)
    : db_(db),
      state_(state),
      log_(db, options.conflict_log_rows),
      rows_(db, &log_, &state.extras),
      unique_(db, rows_),
      visibility_(rows_, log_, unique_, state.extras),
      storage_(db, options.rules),
      theirs_(std::move(theirs)),
      wall_ms_(wall_ms),
      shell_(std::move(shell)),
      seen_(state.applied),
      collected_(state.promised) {
  for (const auto& [origin, stream] : theirs_.streams) their_seen_.advance(origin, stream.seq);
  collected_.meet(theirs_.promised);
}

Result<void> Joiner::in_transaction(const std::function<Result<void>()>& work) {
  auto done = db_.exec("BEGIN IMMEDIATE")
                  .and_then(work)
                  .and_then([&] { return rows_.flush(); })
                  .and_then([&] { return db_.exec("COMMIT"); });
  if (!done) {
    rows_.drop_waiting();
    db_.rollback();
  }
  shell_.committed();
  return done;
}

Result<void> Joiner::begin() {
  return in_transaction([&]() -> Result<void> {
    for (const auto& [origin, stream] : theirs_.streams) {
      if (stream.seq == 0 || state_.streams.contains(origin)) continue;
      auto added = storage_.add_origin(state_, origin, theirs_.labels.at(origin));
      if (!added) return added;
    }
    return {};
  });
}

Result<void> Joiner::rows(const TableDef& was, std::vector<RowState> rows) {
  const Table* t = state_.world->same(was);
  if (t == nullptr) return list_without_place(was, rows);
  if (!t->rules.replicate) return {};
  tables_.insert_or_assign(was.name, Theirs{t->id, PresentNames(was, t->def)});
  if (rows.empty()) return {};
  return in_transaction([&]() -> Result<void> {
    for (auto& row : rows) {
      if (was != t->def) entente::conform(row, was, t->def, t->layout);
      if (auto done = join_row(*t, row); !done) return done;
    }
    return visibility_.settle(*state_.world, wall_ms_);
  });
}

// A table that the other still has, and whose rows another has taken over here.
Result<void> Joiner::list_without_place(const TableDef& was, const std::vector<RowState>& rows) {
  const Table* heir = state_.world->heir_of(was.name, theirs_.epoch);
  if (heir == nullptr) return {};
  return in_transaction([&]() -> Result<void> {
    for (const auto& row : rows) {
      auto done = log_.add(*state_.world, *heir, row.key, left_over(row, seen_), wall_ms_);
      if (!done) return done;
    }
    return log_.flush();
  });
}

Result<void> Joiner::join_row(const Table& t, const RowState& theirs) {
  const World& world = *state_.world;
  auto row = rows_.load(world, t, theirs.key);
  if (!row) return tl::unexpected(row.error());
  auto losses =
      entente::join(row->state, seen_, {theirs, their_seen_}, collected_, t.layout, world.ranks);
  return log_.add(world, t, theirs.key, std::move(losses), wall_ms_).and_then([&] {
    return store(t, theirs.key, *row);
  });
}

Result<void> Joiner::store(const Table& t, const Key& key, const Loaded& row) {
  const World& world = *state_.world;
  if (!row.state.registers.empty()) return rows_.store(world, t, key, row, wall_ms_);
  auto done = row.shown ? rows_.delete_row(t, key) : Result<void>();
  rows_.note(t, key, row.shown.has_value(), false);
  return done && row.meta ? rows_.forget_row(t, key, *row.meta) : done;
}

Result<void> Joiner::conflicts(std::vector<ConflictEntry> entries) {
  return in_transaction([&]() -> Result<void> {
    for (auto& entry : entries) {
      const auto theirs = tables_.find(entry.table);
      if (theirs == tables_.end()) continue;
      const Table* t = state_.world->by_id(theirs->second.id);
      if (t == nullptr) continue;
      conform(entry, t->def.name, theirs->second.names);
      if (auto done = add(*t, entry); !done) return done;
    }
    return {};
  });
}

Result<void> Joiner::add(const Table& t, const ConflictEntry& entry) {
  ConflictQuery here;
  here.state = ConflictQuery::State::kResolved;
  here.table = t.def.name;
  here.key = entry.key;
  here.limit = INT64_MAX;
  auto known = log_.flush().and_then([&] { return read_conflicts(rows_, *state_.world, here); });
  if (!known) return tl::unexpected(known.error());
  std::set<std::string> names;
  for (const auto& e : *known) {
    for (const auto& loser : e.losers) names.insert(name_of_loser(e, loser));
  }
  const auto sibling = [](const RowVersion& v) { return Sibling{v.version, v.row}; };
  std::vector<Loss> losses;
  for (const auto& loser : entry.losers) {
    if (names.contains(name_of_loser(entry, loser))) continue;
    losses.push_back({entry.group, entry.policy, sibling(loser), sibling(entry.winner), entry.kind,
                      entry.decided_by});
  }
  return log_.add(*state_.world, t, entry.key, std::move(losses), entry.detected_ms);
}

Result<void> Joiner::log(std::vector<LoggedRun> records) {
  return in_transaction([&]() -> Result<void> {
    for (const auto& logged : records) {
      if (auto done = append(logged); !done) return done;
    }
    return {};
  });
}

Result<void> Joiner::append(const LoggedRun& logged) {
  const Run& run = logged.run;
  logged_after_.try_emplace(run.origin, run.first - 1);
  return storage_.append_log(state_, state_.streams.at(run.origin).id, {++state_.log_head, run},
                             logged.chain_before, wall_ms_);
}

Result<void> Joiner::finish() {
  auto done = shell_.show_again(wall_ms_).and_then(
      [&] { return in_transaction([&] { return advance(); }); });
  if (done) shell_.finished();
  return done;
}

Result<void> Joiner::advance() {
  for (const auto& [origin, stream] : theirs_.streams) {
    if (stream.seq <= seen_.at(origin)) continue;
    Stream& ours = state_.streams.at(origin);
    ours.state = stream;
    auto done =
        forget_before_gap(origin, ours).and_then([&] { return storage_.save_stream(ours); });
    if (!done) return done;
    state_.applied.advance(origin, stream.seq);
  }
  state_.clock.observe(theirs_.hlc);
  state_.promised.join(theirs_.promised);
  state_.collected.join(theirs_.collected);
  return storage_.save_promised(state_.promised)
      .and_then([&] { return storage_.save_collected(state_.collected); })
      .and_then([&] { return storage_.save(state_); });
}

// Who asks for what the log does not hold without gaps is told so.
Result<void> Joiner::forget_before_gap(const Origin& origin, const Stream& stream) {
  const auto logged = logged_after_.find(origin);
  const uint64_t after = logged != logged_after_.end() ? logged->second : stream.state.seq;
  if (after == seen_.at(origin)) return {};
  auto q = db_.prepare("DELETE FROM _entente_log WHERE origin = ?1 AND last <= ?2");
  if (!q) return tl::unexpected(q.error());
  q->bind_all(stream.id, after);
  return q->run();
}

}  // namespace entente::sqlite
