#include "gateway/store/store.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "gateway/async/wall_clock.h"
#include "gateway/store/applied_vector.h"

namespace entente {
namespace {

using Committer = std::function<void(Result<Committed>)>;

// A trim waits for an idle writer, but not for ever.
constexpr std::chrono::milliseconds kTrimPatience{1'000};
// So does a slice of collecting, which is short.
constexpr std::chrono::milliseconds kCollectPatience{1'000};
constexpr size_t kCollectRows = 256;

// How long to leave handlers alone that failed.
constexpr std::chrono::seconds kJudgePause{1}, kJudgePauseMax{60};

// How much longer than its last commit a writer's pause may make a group wait: a quarter.
constexpr int kGatherShare = 4;
constexpr std::chrono::microseconds kGatherMax{1'000};

struct PendingWrite {
  ClientTransaction work;
  bool alone = false;
  Committer done;
};

struct PendingApply {
  std::vector<Run> runs;
  std::function<void(Result<std::vector<LogChunk>>)> done;
  bool taken_in = false;  // nobody here knows of it yet
};

struct PendingTrim {
  VersionVector stable;
  LogRetention keep;
  Store::Clock::time_point since;
};

struct PendingPromise {
  VersionVector floor;
  std::function<void(Result<void>)> done;
};

struct PendingCollect {
  VersionVector stable;
  Store::Clock::time_point since;
  bool again = false;  // `stable` grew in the middle of a round: there must be another
};

VersionVector vector_of(const DatabaseState& state) {
  VersionVector vv;
  for (const auto& [origin, stream] : state.streams) vv.advance(origin, stream.seq);
  return vv;
}

}  // namespace

struct Store::Impl {
  Impl(std::unique_ptr<Database> db, const Limits& l, std::function<void(Error)> fatal_listener)
      : database(std::move(db)),
        limits(l),
        on_fatal(std::move(fatal_listener)),
        opened(database->state()),
        applied(vector_of(opened), l.queued_writes + l.queued_reads) {}

  // ---- The writer: takes the next piece of work under the lock, does it without.
  void write_loop();
  bool apply_is_next() const;
  void gather(std::unique_lock<std::mutex>& lock);
  std::vector<PendingWrite> take_group();
  void commit(std::vector<PendingWrite> group);
  void answer(std::vector<PendingWrite>& group, CommittedGroup& outcome);
  void put_back(std::vector<PendingWrite>& group, std::vector<ClientTransaction>& work,
                size_t done);
  void refuse(std::vector<PendingWrite>& group, const Error& error);
  void tell(const LogChunk& chunk);
  void logged(const LogChunk& chunk);
  void queue(PendingApply job);
  void apply(PendingApply job);
  void trim(const PendingTrim& job);
  void promise(const PendingPromise& job);
  bool collect_is_next(bool idle) const;
  void collect(const VersionVector& stable);
  void judge_again();
  // Remembers what an error means for the writes to come.
  void note(const Error& error);
  // Says that another process wrote to the database, if one did.
  void note_others();
  // Says that a schema change could not be made here.
  void note_left_out();

  void read_loop(Reader& reader);

  const std::unique_ptr<Database> database;
  const Limits limits;
  const std::function<void(Error)> on_fatal;
  const DatabaseState opened;
  AppliedVector applied;
  std::vector<std::function<void(const LogChunk&)>> listeners, log_listeners;

  std::mutex write_mutex;
  std::condition_variable write_wake;
  std::deque<PendingWrite> writes;
  std::deque<PendingApply> applies;
  std::optional<PendingTrim> trims;
  std::optional<PendingPromise> promises;
  std::optional<PendingCollect> collects;
  bool judges = false;
  Clock::time_point judge_after{};                 // writer only
  std::chrono::seconds judge_pause = kJudgePause;  // writer only
  bool stopping_writes = false;
  size_t wake_at = 1;             // the writer need not be woken for fewer writes
  bool group_was_last = false;    // writer only
  bool alone_was_last = false;    // writer only
  size_t expected = 0;            // writer only: whom it answered last, and who waited then
  Clock::duration last_commit{};  // writer only: how long it took
  std::optional<Error> broken;    // writer only: the database said kCorrupt
  uint64_t others_said = 0;       // writer only
  uint64_t left_out_said = 0;     // writer only: the newest epoch
  std::thread writer;

  std::mutex read_mutex;
  std::condition_variable read_wake;
  std::deque<std::function<void(Reader&)>> reads;
  bool stopping_reads = false;
  std::vector<std::unique_ptr<Reader>> readers;
  std::vector<std::thread> reading;

  std::atomic<uint64_t> changes{0}, groups{0}, committed{0}, failed{0}, transactions_applied{0},
      collected_rows{0}, handlers_failed{0};
  std::atomic<uint64_t> last_stamp{opened.hlc.bits};  // the writer's
  std::atomic<bool> disk_full{false};
};

// ---- The writer --------------------------------------------------------------------------------

// Groups and applies take turns while both wait.
bool Store::Impl::apply_is_next() const {
  return !applies.empty() && (group_was_last || writes.empty());
}

// Clients that have just been answered tend to ask again at once. Those of the last group together
// with those that wait now share one fsync if the writer lets them come, for a moment that is short
// beside the fsync; otherwise they split into two halves that wait for each other for ever.
void Store::Impl::gather(std::unique_lock<std::mutex>& lock) {
  const size_t wanted = std::min(std::exchange(expected, 0), limits.group_transactions);
  if (writes.size() >= wanted || writes.front().alone) return;
  const auto patience = std::min<Clock::duration>(last_commit / kGatherShare, kGatherMax);
  wake_at = wanted;
  write_wake.wait_for(lock, patience, [&] {
    return stopping_writes || writes.size() >= wanted || !applies.empty();
  });
  wake_at = 1;
}

// Transactions that wait for their clients and all others take turns while both wait: many of the
// former, one after the other, would hold up everybody.
std::vector<PendingWrite> Store::Impl::take_group() {
  std::vector<PendingWrite> group;
  const auto others = std::find_if(writes.begin(), writes.end(),
                                   [](const PendingWrite& write) { return !write.alone; });
  alone_was_last = writes.front().alone && (!alone_was_last || others == writes.end());
  if (alone_was_last) {
    group.push_back(std::move(writes.front()));
    writes.pop_front();
    return group;
  }
  group.reserve(std::min(writes.size(), limits.group_transactions));
  auto end = others;
  for (; end != writes.end() && !end->alone && group.size() < limits.group_transactions; ++end) {
    group.push_back(std::move(*end));
  }
  writes.erase(others, end);
  return group;
}

void Store::Impl::write_loop() {
  std::unique_lock lock(write_mutex);
  for (;;) {
    write_wake.wait(lock, [&] {
      return stopping_writes || !writes.empty() || !applies.empty() || trims || promises ||
             collects || judges;
    });
    const bool idle = writes.empty() && applies.empty();
    if (promises) {
      PendingPromise job = std::move(*promises);
      promises.reset();
      lock.unlock();
      promise(std::move(job));
    } else if (trims && (idle || Clock::now() - trims->since > kTrimPatience)) {
      const PendingTrim job = std::move(*trims);
      trims.reset();
      lock.unlock();
      trim(job);
    } else if (collect_is_next(idle)) {
      const VersionVector stable = collects->stable;
      lock.unlock();
      collect(stable);
    } else if (judges && idle) {
      judges = false;
      lock.unlock();
      judge_again();
    } else if (apply_is_next()) {
      PendingApply job = std::move(applies.front());
      applies.pop_front();
      group_was_last = false;
      lock.unlock();
      apply(std::move(job));
    } else if (!writes.empty()) {
      gather(lock);
      auto group = take_group();
      group_was_last = true;
      lock.unlock();
      commit(std::move(group));
    } else {
      return;  // stopping, and nothing is left
    }
    note_others();
    note_left_out();
    lock.lock();
  }
}

void Store::Impl::commit(std::vector<PendingWrite> group) {
  if (broken) return refuse(group, *broken);
  std::vector<ClientTransaction> work;
  work.reserve(group.size());
  for (auto& pending : group) work.push_back(std::move(pending.work));
  const auto began = Clock::now();
  auto outcome = database->commit(work, wall_ms());
  last_commit = Clock::now() - began;
  ++groups;
  if (outcome) put_back(group, work, outcome->results.size());
  {
    const std::lock_guard lock(write_mutex);
    expected = group.size() + writes.size();
  }
  if (!outcome) {
    note(outcome.error());
    return refuse(group, outcome.error());
  }
  if (outcome->chunk) {
    VersionVector durable;
    durable.advance(outcome->chunk->run.origin, outcome->chunk->run.last());
    ++changes;
    applied.advance(durable);
    disk_full = false;
    tell(*outcome->chunk);
    logged(*outcome->chunk);
  }
  answer(group, *outcome);
}

// What came after the group was full is the next one's.
void Store::Impl::put_back(std::vector<PendingWrite>& group, std::vector<ClientTransaction>& work,
                           size_t done) {
  const std::lock_guard lock(write_mutex);
  while (group.size() > done) {
    group.back().work = std::move(work[group.size() - 1]);
    writes.push_front(std::move(group.back()));
    group.pop_back();
  }
}

void Store::Impl::answer(std::vector<PendingWrite>& group, CommittedGroup& outcome) {
  for (size_t i = 0; i < group.size(); ++i) {
    auto& result = outcome.results[i];
    ++(result ? committed : failed);
    if (!result) note(result.error());
    if (result) last_stamp = std::max(last_stamp.load(), result->hlc.bits);
    group[i].done(std::move(result));
  }
}

void Store::Impl::refuse(std::vector<PendingWrite>& group, const Error& error) {
  failed += group.size();
  for (auto& pending : group) pending.done(tl::unexpected(error));
}

void Store::Impl::tell(const LogChunk& chunk) {
  for (const auto& listener : listeners) listener(chunk);
}

void Store::Impl::logged(const LogChunk& chunk) {
  for (const auto& listener : log_listeners) listener(chunk);
}

void Store::Impl::apply(PendingApply job) {
  if (broken) return job.done(tl::unexpected(*broken));
  auto chunks = database->apply(job.runs, wall_ms());
  if (!chunks) {
    note(chunks.error());
    return job.done(std::move(chunks));
  }
  VersionVector durable;
  for (const auto& chunk : *chunks) {
    durable.advance(chunk.run.origin, chunk.run.last());
    transactions_applied += chunk.run.count;
  }
  if (!chunks->empty()) disk_full = false;
  ++changes;
  applied.advance(durable);
  for (const auto& chunk : *chunks) {
    if (job.taken_in) tell(chunk);
    logged(chunk);
  }
  job.done(std::move(chunks));
}

// A log that could not be trimmed now is asked to be trimmed again soon.
void Store::Impl::trim(const PendingTrim& job) {
  if (broken) return;
  if (const auto done = database->trim_log(job.stable, job.keep); !done) note(done.error());
}

void Store::Impl::promise(const PendingPromise& job) {
  if (broken) return job.done(tl::unexpected(*broken));
  auto done = database->promise(job.floor);
  if (!done) note(done.error());
  job.done(std::move(done));
}

bool Store::Impl::collect_is_next(bool idle) const {
  if (!collects || stopping_writes) return false;
  return idle || Clock::now() - collects->since > kCollectPatience;
}

// One slice. After an error it is left until there is more to collect.
void Store::Impl::collect(const VersionVector& stable) {
  auto done = broken ? Result<Collected>(Collected{}) : database->collect(stable, kCollectRows);
  if (!done) note(done.error());
  if (done) collected_rows += done->rows;
  const std::lock_guard lock(write_mutex);
  collects->since = Clock::now();
  if (done && !done->round_over) return;
  if (done && std::exchange(collects->again, false)) return;
  collects.reset();
}

void Store::Impl::judge_again() {
  if (broken || Clock::now() < judge_after) return;
  const auto waiting = database->judge_again(wall_ms());
  if (!waiting) note(waiting.error());
  const size_t now = waiting.value_or(0), before = handlers_failed.exchange(now);
  if (now > before) {
    spdlog::warn("handlers_failed conflicts={} reasons=\"entente conflicts list --state open\"",
                 now);
  } else if (now == 0 && before > 0) {
    spdlog::info("handlers_recovered conflicts={}", before);
  }
  judge_pause = now == 0 ? kJudgePause : std::min(2 * judge_pause, kJudgePauseMax);
  judge_after = Clock::now() + judge_pause;
}

void Store::Impl::note(const Error& error) {
  if (error.code == Code::kExhausted) disk_full = true;
  if (error.code != Code::kCorrupt || broken) return;
  broken = error;
  if (on_fatal) on_fatal(error);
}

void Store::Impl::note_others() {
  const uint64_t found = database->foreign_writes();
  if (std::exchange(others_said, found) == found) return;
  spdlog::warn(
      "foreign_write times={} reason=\"another process wrote to the database of this gateway: what "
      "it changed is not replicated\"",
      found);
}

void Store::Impl::note_left_out() {
  for (const auto& left : database->left_out()) {
    if (left.epoch <= left_out_said) continue;
    left_out_said = left.epoch;
    spdlog::error(
        "schema_change_left_out epoch={} reason=\"{}: what it makes is missing here; see entente "
        "status\"",
        left.epoch, left.why);
  }
}

// ---- The readers -------------------------------------------------------------------------------

void Store::Impl::read_loop(Reader& reader) {
  std::unique_lock lock(read_mutex);
  for (;;) {
    read_wake.wait(lock, [&] { return stopping_reads || !reads.empty(); });
    if (reads.empty()) return;
    {
      const auto job = std::move(reads.front());
      reads.pop_front();
      lock.unlock();
      job(reader);
    }
    lock.lock();
  }
}

// ---- The door ----------------------------------------------------------------------------------

Store::Store(std::unique_ptr<Database> database, const Limits& limits,
             std::function<void(Error)> on_fatal)
    : impl_(std::make_unique<Impl>(std::move(database), limits, std::move(on_fatal))) {}

Store::~Store() { stop(); }

Result<void> Store::start() {
  auto& s = *impl_;
  for (size_t i = 0; i < std::max<size_t>(1, s.limits.readers); ++i) {
    auto reader = s.database->reader();
    if (!reader) return tl::unexpected(reader.error());
    s.readers.push_back(std::move(*reader));
  }
  for (auto& reader : s.readers) {
    s.reading.emplace_back([&s, r = reader.get()] { s.read_loop(*r); });
  }
  s.writer = std::thread([&s] { s.write_loop(); });
  return {};
}

void Store::stop() {
  auto& s = *impl_;
  {
    const std::lock_guard lock(s.write_mutex);
    s.stopping_writes = true;
    s.write_wake.notify_all();
  }
  if (s.writer.joinable()) s.writer.join();
  {
    const std::lock_guard lock(s.read_mutex);
    s.stopping_reads = true;
    s.read_wake.notify_all();
  }
  for (auto& thread : s.reading) thread.join();
  s.reading.clear();
  s.applied.stop();
}

const DatabaseState& Store::opened() const { return impl_->opened; }
VersionVector Store::applied() const { return impl_->applied.get(); }
uint64_t Store::changes() const { return impl_->changes; }
Database& Store::database() { return *impl_->database; }

bool Store::submit(ClientTransaction work, bool alone, Committer done) {
  auto& s = *impl_;
  const std::lock_guard lock(s.write_mutex);
  if (s.stopping_writes || s.writes.size() >= s.limits.queued_writes) return false;
  s.writes.push_back({std::move(work), alone, std::move(done)});
  if (alone || s.writes.size() >= s.wake_at) s.write_wake.notify_one();
  return true;
}

bool Store::read(std::function<void(Reader&)> job) {
  auto& s = *impl_;
  const std::lock_guard lock(s.read_mutex);
  if (s.stopping_reads || s.reads.size() >= s.limits.queued_reads) return false;
  s.reads.push_back(std::move(job));
  s.read_wake.notify_one();
  return true;
}

void Store::when_applied(VersionVector target, Clock::time_point deadline,
                         std::function<void(bool)> done) {
  impl_->applied.wait(std::move(target), deadline, std::move(done));
}

void Store::apply(std::vector<Run> runs, std::function<void(Result<std::vector<LogChunk>>)> done) {
  impl_->queue({std::move(runs), std::move(done), false});
}

void Store::take_in(std::vector<Run> runs,
                    std::function<void(Result<std::vector<LogChunk>>)> done) {
  impl_->queue({std::move(runs), std::move(done), true});
}

void Store::Impl::queue(PendingApply job) {
  {
    const std::lock_guard lock(write_mutex);
    if (!stopping_writes) {
      applies.push_back(std::move(job));
      write_wake.notify_one();
      return;
    }
  }
  job.done(fail(Code::kBusy, "this gateway is stopping"));
}

void Store::on_commit(std::function<void(const LogChunk&)> listener) {
  impl_->listeners.push_back(std::move(listener));
}

void Store::on_logged(std::function<void(const LogChunk&)> listener) {
  impl_->log_listeners.push_back(std::move(listener));
}

void Store::trim_log(VersionVector stable, LogRetention keep) {
  auto& s = *impl_;
  const std::lock_guard lock(s.write_mutex);
  const auto since = s.trims ? s.trims->since : Clock::now();
  s.trims = PendingTrim{std::move(stable), keep, since};
  s.write_wake.notify_one();
}

void Store::promise(VersionVector floor, std::function<void(Result<void>)> done) {
  auto& s = *impl_;
  {
    const std::lock_guard lock(s.write_mutex);
    if (!s.stopping_writes) {
      s.promises = PendingPromise{std::move(floor), std::move(done)};
      s.write_wake.notify_one();
      return;
    }
  }
  done(fail(Code::kBusy, "this gateway is stopping"));
}

void Store::collect(VersionVector stable) {
  auto& s = *impl_;
  const std::lock_guard lock(s.write_mutex);
  if (s.stopping_writes) return;
  if (s.collects) {
    s.collects->stable = std::move(stable);
    s.collects->again = true;
  } else {
    s.collects = PendingCollect{std::move(stable), Clock::now(), false};
  }
  s.write_wake.notify_one();
}

void Store::judge_again() {
  auto& s = *impl_;
  const std::lock_guard lock(s.write_mutex);
  if (s.stopping_writes) return;
  s.judges = true;
  s.write_wake.notify_one();
}

Store::Counters Store::counters() const {
  auto& s = *impl_;
  Counters c;
  c.groups = s.groups;
  c.committed = s.committed;
  c.failed = s.failed;
  c.applied = s.transactions_applied;
  c.collected_rows = s.collected_rows;
  c.handlers_failed = s.handlers_failed;
  c.disk_full = s.disk_full;
  c.last_stamp = Hlc{s.last_stamp};
  c.foreign_writes = s.database->foreign_writes();
  c.left_out = s.database->left_out();
  {
    const std::lock_guard lock(s.write_mutex);
    c.queued_writes = s.writes.size();
  }
  const std::lock_guard lock(s.read_mutex);
  c.queued_reads = s.reads.size();
  return c;
}

}  // namespace entente
