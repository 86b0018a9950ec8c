#include "gateway/api/verify/verification_run.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "gateway/async/socket_calls.h"
#include "gateway/store/read_snapshot.h"
#include "gateway/store/store_calls.h"

namespace entente {
namespace {

using namespace std::chrono_literals;

constexpr size_t kSliceRows = 1'024;
constexpr size_t kPartRows = 32;
constexpr size_t kPeerRows = 8 * kSliceRows;  // that the other has where this one has a slice
constexpr size_t kNamedRows = 64;             // in one question
constexpr size_t kDifferencesMax = 1'000;
constexpr size_t kDifferenceBytes = 4 << 20;  // of rows that a report holds
constexpr size_t kDifferencesLogged = 20;
// How often a row that changes all the time is looked at again, and how soon.
constexpr int kLooks = 8;
constexpr std::chrono::milliseconds kFirstPause{20}, kLongestPause{1'000};
constexpr std::chrono::seconds kRepairPatience{10};

Error stopped() { return {Code::kTimeout, "this gateway stops", ""}; }

// All of a slice as one part.
DigestAnswer::Part total(const DigestAnswer& answer) {
  DigestAnswer::Part sum;
  for (const auto& part : answer.parts) sum.rows += part.rows, sum.digest += part.digest;
  return sum;
}

// Every so many rows of a slice, and its end.
std::vector<Key> part_bounds(const std::vector<RowDigest>& rows, const std::vector<Key>& end) {
  std::vector<Key> bounds;
  for (size_t i = kPartRows; i < rows.size(); i += kPartRows) bounds.push_back(rows[i - 1].key);
  if (!end.empty() && (bounds.empty() || bounds.back() != end[0])) bounds.push_back(end[0]);
  return bounds;
}

RowSight sight_of(const SeenRow& row, const VersionVector& applied) {
  return {row.digest, row.state, applied};
}

RowPair pair_of(const std::vector<SeenCopy>& copies, size_t i) {
  return {sight_of(copies.front().row, copies.front().applied),
          sight_of(copies[i].row, copies[i].applied)};
}

// Of the other copies against the first.
RowFinding worst(const std::vector<SeenCopy>& first, const std::vector<SeenCopy>& then) {
  auto out = RowFinding::kEqual;
  for (size_t i = 1; i < then.size(); ++i) {
    const auto finding = look_again(pair_of(first, i), pair_of(then, i));
    if (finding == RowFinding::kDifferent) return finding;
    if (finding == RowFinding::kBusy) out = finding;
  }
  return out;
}

bool unchanged(const std::vector<SeenCopy>& first, const std::vector<SeenCopy>& then) {
  for (size_t i = 1; i < then.size(); ++i) {
    if (!unchanged(pair_of(first, i), pair_of(then, i))) return false;
  }
  return true;
}

}  // namespace

VerificationRun::VerificationRun(const Site& site, VerificationReport report)
    : site_(site), report_(std::move(report)), due_(Clock::now()) {
  for (const auto& peer : report_.peers) {
    peers_.push_back(std::make_unique<DigestPeer>(site, peer.dc));
  }
}

void VerificationRun::stop() {
  stopping_ = true;
  for (const auto& peer : peers_) peer->give_up();
}

Task<void> VerificationRun::run() {
  const auto began = Clock::now();
  for (size_t i = 0; i < peers_.size() && !stopping_; ++i) {
    Task<Result<void>> comparing = compare(*peers_[i]);
    const auto done = co_await comparing;
    auto& peer = report_.peers[i];
    peer.compared = done.has_value();
    if (!done) peer.reason = done.error().text;
  }
  if (report_.repair && !stopping_) {
    Task<void> repairing = repair_all();
    co_await repairing;
  }
  report_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
  report_.running = false;
  const bool clean = report_.different == report_.repaired;
  spdlog::log(clean ? spdlog::level::info : spdlog::level::err,
              "verified dc={} rows={} different={} busy={} repaired={} seconds={:.3f}", site_.dc,
              report_.rows, report_.different, report_.busy, report_.repaired, report_.seconds);
}

// ---- Reading -----------------------------------------------------------------------------------

Task<Result<DigestAnswer>> VerificationRun::read(DigestQuestion question) {
  Result<DigestAnswer> answer = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader& r) { answer = answer_digests(r, question); };
  ReadCall call(site_.store, site_.loop, std::move(job));
  co_await call;
  co_return answer;
}

Task<Result<std::vector<std::string>>> VerificationRun::tables() {
  Result<std::vector<TableDef>> found = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader& r) { found = r.tables(); };
  ReadCall call(site_.store, site_.loop, std::move(job));
  co_await call;
  if (!found) co_return tl::unexpected(found.error());
  std::vector<std::string> names;
  for (const auto& table : *found) {
    if (site_.config.rules.of(table.name).replicate) names.push_back(table.name);
  }
  co_return names;
}

Task<void> VerificationRun::pace(uint64_t rows) {
  using Seconds = std::chrono::duration<double>;
  const Seconds cost(static_cast<double>(rows) /
                     static_cast<double>(site_.config.limits.verify_rate));
  due_ = std::max(due_, Clock::now()) + std::chrono::duration_cast<Clock::duration>(cost);
  while (!stopping_ && Clock::now() < due_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due_ - Clock::now());
    Task<void> waiting = wait(left);
    co_await waiting;
  }
}

Task<void> VerificationRun::wait(std::chrono::milliseconds length) {
  Pause pause(site_.executor, std::min<std::chrono::milliseconds>(length, 100ms));
  co_await pause;
}

// ---- Comparing ---------------------------------------------------------------------------------

Task<Result<void>> VerificationRun::compare(DigestPeer& peer) {
  Task<Result<std::vector<std::string>>> listing = tables();
  const auto names = co_await listing;
  if (!names) co_return tl::unexpected(names.error());
  for (const auto& name : *names) {
    Task<Result<void>> comparing = compare_table(peer, name);
    const auto done = co_await comparing;
    if (!done) co_return done;
  }
  co_return Result<void>{};
}

Task<Result<void>> VerificationRun::compare_table(DigestPeer& peer, std::string table) {
  Slice slice{std::move(table), {}, {}, {}, {}};
  while (true) {
    if (stopping_) co_return tl::unexpected(stopped());
    Task<Result<void>> reading = read_slice(peer, slice);
    if (const auto done = co_await reading; !done) co_return done;
    if (total(slice.mine) != total(slice.theirs)) {
      Task<Result<void>> narrowing = compare_parts(peer, slice);
      if (const auto done = co_await narrowing; !done) co_return done;
    }
    report_.rows += std::max(total(slice.mine).rows, total(slice.theirs).rows);
    Task<void> pacing = pace(std::max(slice.mine.looked_at, slice.theirs.looked_at));
    co_await pacing;
    if (slice.bounds.empty()) co_return Result<void>{};
    slice.after = slice.bounds[0];
  }
}

// The next rows here, and those in the same range there; fewer, if there are very many there.
Task<Result<void>> VerificationRun::read_slice(DigestPeer& peer, Slice& slice) {
  DigestQuestion mine{slice.table, slice.after, {}, true, kSliceRows, true, {}};
  Task<Result<DigestAnswer>> reading = read(mine);
  auto here = co_await reading;
  if (!here) co_return tl::unexpected(here.error());
  slice.bounds.clear();
  if (!here->complete) slice.bounds = {here->last};
  DigestQuestion question{slice.table, slice.after, slice.bounds, slice.bounds.empty(), kPeerRows,
                          false,       {}};
  Task<Result<DigestAnswer>> asking = peer.ask(question);
  auto there = co_await asking;
  if (!there) co_return tl::unexpected(there.error());
  if (!there->complete) {
    slice.bounds = {there->last};
    mine.bounds = slice.bounds;
    mine.to_the_end = false;
    Task<Result<DigestAnswer>> again = read(mine);
    here = co_await again;
    if (!here) co_return tl::unexpected(here.error());
  }
  slice.mine = std::move(*here);
  slice.theirs = std::move(*there);
  co_return Result<void>{};
}

Task<Result<void>> VerificationRun::compare_parts(DigestPeer& peer, const Slice& slice) {
  DigestQuestion question{slice.table, slice.after,   part_bounds(slice.mine.rows, slice.bounds),
                          false,       2 * kPeerRows, false,
                          {}};
  question.to_the_end = slice.bounds.empty();
  Task<Result<DigestAnswer>> asking = peer.ask(question);
  const auto theirs = co_await asking;
  if (!theirs) co_return tl::unexpected(theirs.error());
  const size_t parts = question.bounds.size() + (question.to_the_end ? 1 : 0);
  std::vector<Suspect> suspects;
  auto next = slice.mine.rows.begin();
  for (size_t i = 0; i < parts; ++i) {
    const bool last = i + 1 == parts;
    const auto left = static_cast<size_t>(slice.mine.rows.end() - next);
    const auto end = next + static_cast<ptrdiff_t>(last ? left : std::min(left, kPartRows));
    std::vector<RowDigest> mine(next, end);
    next = end;
    DigestAnswer::Part sum{mine.size(), 0};
    for (const auto& row : mine) sum.digest += fold(row);
    if (i < theirs->parts.size() && theirs->parts[i] == sum) continue;
    DigestQuestion part{
        slice.table, i > 0 ? question.bounds[i - 1] : slice.after, {}, true, 2 * kPeerRows, true,
        {}};
    if (i < question.bounds.size()) part.bounds = {question.bounds[i]}, part.to_the_end = false;
    Task<Result<void>> finding = find_suspects(peer, part, std::move(mine), suspects);
    if (const auto done = co_await finding; !done) co_return done;
  }
  Task<Result<void>> settling = settle(peer, slice.table, std::move(suspects));
  co_return co_await settling;
}

// The rows of one part that do not look alike.
Task<Result<void>> VerificationRun::find_suspects(DigestPeer& peer, const DigestQuestion& part,
                                                  std::vector<RowDigest> mine,
                                                  std::vector<Suspect>& suspects) {
  Task<Result<DigestAnswer>> asking = peer.ask(part);
  const auto theirs = co_await asking;
  if (!theirs) co_return tl::unexpected(theirs.error());
  std::map<Key, std::pair<RowDigest, RowDigest>> rows;
  for (auto& row : mine) rows[row.key].first = row;
  for (const auto& row : theirs->rows) rows[row.key].second = row;
  for (const auto& [key, pair] : rows) {
    if (difference(pair.first, pair.second)) suspects.push_back({key, std::nullopt});
  }
  co_return Result<void>{};
}

// Looks at them until it is known of each whether it differs.
Task<Result<void>> VerificationRun::settle(DigestPeer& peer, std::string table,
                                           std::vector<Suspect> suspects) {
  auto pause = kFirstPause;
  for (int i = 0; i < kLooks && !suspects.empty(); ++i) {
    std::vector<Suspect> still;
    for (size_t from = 0; from < suspects.size(); from += kNamedRows) {
      if (stopping_) co_return tl::unexpected(stopped());
      const auto begin = suspects.begin() + static_cast<ptrdiff_t>(from);
      const size_t n = std::min(kNamedRows, suspects.size() - from);
      std::vector<Suspect> batch(begin, begin + static_cast<ptrdiff_t>(n));
      Task<Result<void>> looking = look(peer, table, batch, still);
      if (const auto done = co_await looking; !done) co_return done;
      Task<void> pacing = pace(n);
      co_await pacing;
    }
    suspects = std::move(still);
    if (suspects.empty()) break;
    const auto until = Clock::now() + pause;
    while (!stopping_ && Clock::now() < until) {
      Task<void> waiting = wait(std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()));
      co_await waiting;
    }
    pause = std::min(2 * pause, kLongestPause);
  }
  report_.busy += suspects.size();
  co_return Result<void>{};
}

// `still`: those of the batch that must be looked at again.
Task<Result<void>> VerificationRun::look(DigestPeer& peer, const std::string& table,
                                         std::vector<Suspect>& batch, std::vector<Suspect>& still) {
  DigestQuestion question{table, {}, {}, false, 0, false, {}};
  for (const auto& suspect : batch) question.keys.push_back(suspect.key);
  Task<Result<DigestAnswer>> reading = read(question);
  auto mine = co_await reading;
  if (!mine) co_return tl::unexpected(mine.error());
  Task<Result<DigestAnswer>> asking = peer.ask(question);
  auto theirs = co_await asking;
  if (!theirs) co_return tl::unexpected(theirs.error());
  if (mine->seen.size() != batch.size() || theirs->seen.size() != batch.size()) {
    co_return fail(Code::kNotReached, peer.dc() + " answers for other rows than it was asked for");
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    RowPair now{sight_of(mine->seen[i], mine->applied), sight_of(theirs->seen[i], theirs->applied)};
    const auto& first = batch[i].first;
    const auto finding = look_again(first.value_or(now), now);
    if (finding == RowFinding::kEqual) continue;
    if (first && finding == RowFinding::kDifferent) {
      note(peer, table, std::move(mine->seen[i]), std::move(theirs->seen[i]));
      continue;
    }
    // Until it is known that nothing under way explains it, what was seen first stands; a change
    // begins it anew.
    const bool changed = first && !unchanged(*first, now);
    if (!first || changed) batch[i].first = std::move(now);
    still.push_back(std::move(batch[i]));
  }
  co_return Result<void>{};
}

void VerificationRun::note(DigestPeer& peer, const std::string& table, SeenRow mine,
                           SeenRow theirs) {
  DifferingRow row{table, mine.digest.key, RowDifference::kMissing, peer.dc(), {}, {}, false, ""};
  row.kind = difference(mine.digest, theirs.digest).value_or(RowDifference::kMissing);
  row.mine = std::move(mine);
  row.theirs = std::move(theirs);
  if (++report_.different <= kDifferencesLogged) {
    spdlog::error("row_differs dc={} with={} table={} kind={} key_digest={:016x}", site_.dc, row.dc,
                  table, to_string(row.kind), fold({row.key, 0, 0, 0}));
  }
  report_.bytes += bytes_of(row.mine) + bytes_of(row.theirs);
  if (report_.bytes > kDifferenceBytes) row.mine.leave_out(), row.theirs.leave_out();
  if (report_.differences.size() < kDifferencesMax) report_.differences.push_back(std::move(row));
}

// ---- Repairing ---------------------------------------------------------------------------------

// A row that differs from several datacenters is repaired once.
Task<void> VerificationRun::repair_all() {
  std::map<std::pair<std::string, Key>, Result<void>> outcomes;
  for (size_t i = 0; i < report_.differences.size() && !stopping_; ++i) {
    const DifferingRow row = report_.differences[i];
    const auto name = std::pair(row.table, row.key);
    if (!outcomes.contains(name)) {
      Task<Result<void>> repairing = repair(row);
      const auto done = co_await repairing;
      outcomes.emplace(name, done);
      Task<void> pacing = pace(peers_.size() + 1);
      co_await pacing;
    }
    const auto& outcome = outcomes.at(name);
    auto& noted = report_.differences[i];
    noted.repaired = outcome.has_value();
    if (!outcome) noted.note = outcome.error().text;
    report_.repaired += noted.repaired;
  }
}

Task<Result<std::vector<SeenCopy>>> VerificationRun::copies_of(std::string table, Key key) {
  const DigestQuestion question{std::move(table), {}, {}, false, 0, false, {std::move(key)}};
  std::vector<SeenCopy> copies;
  const auto add = [&](const std::string& dc, Result<DigestAnswer> answer) -> Result<void> {
    if (!answer) return tl::unexpected(answer.error());
    if (answer->seen.size() != 1) return fail(Code::kNotReached, dc + " answers for another row");
    copies.push_back({dc, std::move(answer->seen[0]), std::move(answer->applied)});
    return {};
  };
  Task<Result<DigestAnswer>> reading = read(question);
  auto mine = co_await reading;
  if (const auto done = add(site_.dc, std::move(mine)); !done) {
    co_return tl::unexpected(done.error());
  }
  for (const auto& peer : peers_) {
    Task<Result<DigestAnswer>> asking = peer->ask(question);
    auto theirs = co_await asking;
    if (const auto done = add(peer->dc(), std::move(theirs)); !done) {
      co_return tl::unexpected(done.error());
    }
  }
  co_return copies;
}

Task<Result<TableDef>> VerificationRun::definition(std::string name) {
  Result<std::optional<TableDef>> table = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader& r) { table = r.find_table(name); };
  ReadCall finding(site_.store, site_.loop, std::move(job));
  co_await finding;
  if (!table) co_return tl::unexpected(table.error());
  if (!*table) co_return fail(Code::kNotFound, "there is no table " + name + " any more");
  co_return std::move(**table);
}

// A row that somebody writes to meanwhile is looked at again.
Task<Result<void>> VerificationRun::repair(const DifferingRow& row) {
  const auto deadline = Clock::now() + kRepairPatience;
  auto pause = kFirstPause;
  while (true) {
    Task<Result<void>> repairing = repair_once(row, deadline);
    const auto done = co_await repairing;
    const bool passing =
        !done && (done.error().code == Code::kBusy || done.error().code == Code::kPrecondition);
    if (!passing || stopping_ || Clock::now() >= deadline) co_return done;
    Task<void> waiting = wait(pause);
    co_await waiting;
    pause = std::min(2 * pause, kLongestPause);
  }
}

Task<Result<void>> VerificationRun::repair_once(const DifferingRow& row,
                                                Clock::time_point deadline) {
  Task<Result<std::vector<SeenCopy>>> reading = copies_of(row.table, row.key);
  const auto copies = co_await reading;
  if (!copies) co_return tl::unexpected(copies.error());
  std::vector<RowCopy> candidates;
  for (const auto& copy : *copies) {
    candidates.push_back({copy.dc, copy.row.digest, copy.row.newest});
  }
  const auto chosen = choose_copy(candidates, report_.from);
  if (!chosen) co_return tl::unexpected(chosen.error());
  Task<Result<TableDef>> finding = definition(row.table);
  const auto table = co_await finding;
  if (!table) co_return tl::unexpected(table.error());
  auto writes = repair_writes(*table, site_.config.rules.of(row.table), *copies, *chosen);
  if (!writes) co_return tl::unexpected(writes.error());
  Task<Result<void>> writing = write(std::move(*writes));
  if (const auto done = co_await writing; !done) co_return done;
  spdlog::info("row_repaired dc={} table={} from={} key_digest={:016x}", site_.dc, row.table,
               candidates[*chosen].dc, fold({row.key, 0, 0, 0}));
  Task<Result<void>> confirming = confirm(row, deadline);
  co_return co_await confirming;
}

Task<Result<void>> VerificationRun::write(std::vector<RowRequest> writes) {
  VersionVector seen;
  for (auto& write : writes) {
    if (!write.context) write.context = RowContext{seen, {}};
    ClientTransaction work = [&write](WriteSession& session) -> Result<void> {
      return session.write(write).map([](const RowOutcome&) {});
    };
    SubmitCall call(site_.store, site_.loop, std::move(work));
    const auto committed = co_await call;
    if (!committed) co_return tl::unexpected(committed.error());
    seen = committed->applied;
  }
  co_return Result<void>{};
}

// Everybody has the same now; or somebody has not, and nothing under way explains it.
Task<Result<void>> VerificationRun::confirm(const DifferingRow& row, Clock::time_point deadline) {
  std::vector<SeenCopy> first;
  while (true) {
    Task<Result<std::vector<SeenCopy>>> reading = copies_of(row.table, row.key);
    const auto copies = co_await reading;
    if (!copies) co_return tl::unexpected(copies.error());
    if (first.empty()) first = *copies;
    const auto finding = worst(first, *copies);
    if (finding == RowFinding::kEqual) co_return Result<void>{};
    if (finding == RowFinding::kDifferent || stopping_ || Clock::now() >= deadline) break;
    if (!unchanged(first, *copies)) first = *copies;
    Task<void> waiting = wait(kFirstPause);
    co_await waiting;
  }
  co_return fail(Code::kBusy, "it was written, and is not the same everywhere yet: verify again");
}

}  // namespace entente
