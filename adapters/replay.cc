#include "adapters/replay.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "adapters/state_join.h"
#include "conflict/reissue.h"

namespace entente {
namespace {

constexpr size_t kSliceBytes = 4 << 20;

uint64_t applied_at(const DatabaseState& state, const Origin& origin) {
  const auto stream = state.streams.find(origin);
  return stream == state.streams.end() ? 0 : stream->second.seq;
}

// Both logs' chain at seq; absent unless both reach it.
Result<std::optional<bool>> same_history(Database& a, Database& b, const Origin& origin,
                                         uint64_t seq) {
  const auto at_a = a.chain_at(origin, seq);
  if (!at_a) return tl::unexpected(at_a.error());
  const auto at_b = b.chain_at(origin, seq);
  if (!at_b) return tl::unexpected(at_b.error());
  if (!*at_a || !*at_b) return std::nullopt;
  return **at_a == **at_b;
}

// The last change of `origin` that both have and is the same, if there is one after it that both
// have and is not. A chain covers all before it: where it differs it goes on differing. What cannot
// be compared any more is the same up to `since`; absent: all of it.
Result<std::optional<uint64_t>> last_shared(Database& a, Database& b, const Origin& origin,
                                            uint64_t both, std::optional<uint64_t> since) {
  if (both == 0) return std::nullopt;
  const auto at_end = same_history(a, b, origin, both);
  if (!at_end) return tl::unexpected(at_end.error());
  const auto same_at = [&](uint64_t seq, const std::optional<bool>& compared) {
    return compared.value_or(!since || seq <= *since);
  };
  if (same_at(both, *at_end)) return std::nullopt;
  uint64_t same = 0, differs = both;
  while (differs - same > 1) {
    const uint64_t middle = same + (differs - same) / 2;
    const auto here = same_history(a, b, origin, middle);
    if (!here) return tl::unexpected(here.error());
    (same_at(middle, *here) ? same : differs) = middle;
  }
  return same;
}

// The part of `run` up to seq `last`.
Result<Run> slice_up_to(const Run& run, uint64_t last) {
  return slice_after(run, last).map([&](const Run& rest) {
    const size_t kept = run.records.size() - rest.records.size();
    return Run{run.origin, run.first, run.count - rest.count, run.records.substr(0, kept)};
  });
}

class Replay {
 public:
  Replay(Database& from, Database& to, const Origin& fresh, const std::optional<Doubt>& doubt,
         uint64_t wall_ms)
      : from_(from),
        to_(to),
        source_(from.state()),
        wall_ms_(wall_ms),
        fresh_(fresh),
        doubt_(doubt) {
    const auto state = to_.state();
    for (const auto& [origin, stream] : state.streams) has_.advance(origin, stream.seq);
    seen_ = state.promised;
  }

  Result<Replayed> run() {
    const Origin& self = source_.self;
    if (auto done = look_for_others_forks(); !done) return tl::unexpected(done.error());
    const uint64_t both = std::min(applied_at(source_, self), has_.at(self));
    auto shared =
        last_shared(from_, to_, self, both, doubt_ ? std::optional(doubt_->since) : std::nullopt);
    if (!shared) return tl::unexpected(shared.error());
    if (!*shared && doubt_) *shared = keeps_its_name_up_to(both);
    if (*shared && **shared < applied_at(source_, self)) {
      auto tables = to_.reader().and_then([](const auto& reader) { return reader->tables(); });
      if (!tables) return tl::unexpected(tables.error());
      if (auto done = find_name(**shared); !done) return tl::unexpected(done.error());
      std::vector<Renaming> names = others_;
      names.push_back({self, **shared, fresh_});
      reissue_.emplace(std::move(names), seen_, std::move(*tables));
      if (auto known = look_up_stamps(); !known) return tl::unexpected(known.error());
    }
    forked_after_ = reissue_ ? **shared : UINT64_MAX;
    if (!log_reaches()) return join();
    for (LogPosition at = 0;;) {
      auto chunks = from_.read_log(at, kSliceBytes);
      if (!chunks) return tl::unexpected(chunks.error());
      if (chunks->empty()) return keep_promise().map([&] { return done_; });
      at = chunks->back().position;
      if (auto done = take(*chunks); !done) return tl::unexpected(done.error());
    }
  }

 private:
  // Of its own, which `to` has up to `both`. What was forgotten by a promise that `from` does not
  // know of, a later life's, must count as seen by all that comes now.
  uint64_t keeps_its_name_up_to(uint64_t both) const {
    if (!source_.promised.covers(to_.state().collected)) return both;
    return doubt_->shipped ? UINT64_MAX : std::max(both, doubt_->since);
  }

  // Of other datacenters, too, these two may know two histories. Each brings its own over itself;
  // what comes of it here as well would come twice. So it is left out, and nothing counts as having
  // seen it.
  Result<void> look_for_others_forks() {
    for (const auto& [origin, stream] : source_.streams) {
      if (origin == source_.self) continue;
      const auto shared =
          last_shared(from_, to_, origin, std::min(stream.seq, has_.at(origin)), std::nullopt);
      if (!shared) return tl::unexpected(shared.error());
      if (*shared) others_.push_back({origin, **shared, Origin{}});
    }
    return {};
  }

  bool left_out(const Origin& origin) const {
    return std::any_of(others_.begin(), others_.end(),
                       [&](const Renaming& name) { return name.of == origin; });
  }

  // Somebody else may have made a part of it another's already.
  Result<void> find_name(uint64_t shared) {
    const auto chain = from_.chain_at(source_.self, shared + 1);
    if (!chain) return tl::unexpected(chain.error());
    if (fresh_ == Origin{} && *chain) fresh_ = reissued_origin(source_.self, shared, **chain);
    const auto state = to_.state();
    if (const auto there = state.streams.find(fresh_); there != state.streams.end()) {
      written_ = there->second;
    }
    return {};
  }

  // The latest stamp of what every reissued change counts as having seen: theirs must be later.
  Result<void> look_up_stamps() {
    const auto state = to_.state();
    for (const auto& [origin, seq] : seen_) {
      const StreamState& stream = state.streams.at(origin);
      auto stamp = stream.seq == seq ? Result<Hlc>(stream.hlc) : stamp_of({origin, seq});
      if (!stamp && stamp.error().code == Code::kNotFound) stamp = stream.hlc;
      if (!stamp) return tl::unexpected(stamp.error());
      written_.hlc = std::max(written_.hlc, *stamp);
    }
    return {};
  }

  // kNotFound if the log does not reach back to it.
  Result<Hlc> stamp_of(const Dot& dot) const {
    const auto before = to_.position_before(dot.origin, dot.seq);
    if (!before) return tl::unexpected(before.error());
    for (LogPosition at = *before;;) {
      const auto chunks = to_.read_log(at, 1);
      if (!chunks) return tl::unexpected(chunks.error());
      if (chunks->empty()) return fail(Code::kNotFound, "it is not in the log");
      at = chunks->back().position;
      const Run& run = chunks->front().run;
      if (run.origin != dot.origin || run.last() < dot.seq) continue;
      ByteReader in(run.records);
      for (uint64_t seq = run.first; seq < dot.seq; ++seq) in.string();
      StreamState previous;  // contexts are not asked for
      previous.seq = dot.seq - 1;
      const auto head = decode_head(dot.origin, in.string(), previous);
      if (!head) return tl::unexpected(head.error());
      return head->hlc;
    }
  }

  // Changes of this origin past it come over under another name.
  uint64_t renamed_after(const Origin& origin) const {
    return origin == source_.self ? forked_after_ : UINT64_MAX;
  }

  // The log is only of use where it begins no later than what the copy lacks.
  bool log_reaches() {
    return std::all_of(source_.streams.begin(), source_.streams.end(), [&](const auto& named) {
      const auto& [origin, stream] = named;
      if (left_out(origin)) return true;
      const uint64_t after = std::min(has_.at(origin), renamed_after(origin));
      return after >= stream.seq || from_.position_before(origin, after + 1).has_value();
    });
  }

  Result<Replayed> join() {
    if (reissue_) {
      return fail(Code::kRefused,
                  "changes that this datacenter wrote under a name that others know with another "
                  "history are no longer in its log, or changes of others that the copy lacks; "
                  "another neighbour may have those",
                  "copy_too_old");
    }
    return join_states(from_, to_, wall_ms_).map([](uint64_t lacked) {
      return Replayed{.changes = lacked, .joined = lacked};
    });
  }

  Result<void> take(const std::vector<LogChunk>& chunks) {
    std::vector<Run> runs;
    const auto add = [&](Run run) {
      if (run.count == 0) return;
      done_.changes += run.count;
      has_.advance(run.origin, run.last());
      runs.push_back(std::move(run));
    };
    for (const auto& chunk : chunks) {
      if (left_out(chunk.run.origin)) {
        done_.left_out += chunk.run.count;
        continue;
      }
      auto kept = unchanged(chunk.run);
      if (!kept) return tl::unexpected(kept.error());
      add(std::move(*kept));
      if (!reissue_ || chunk.run.origin != source_.self) continue;
      auto renamed = reissued(chunk.run);
      if (!renamed) return tl::unexpected(renamed.error());
      add(std::move(*renamed));
    }
    if (runs.empty()) return {};
    return to_.apply(runs, wall_ms_).map([](const auto&) {});
  }

  // What `to` lacks of it and is to have under its own name.
  Result<Run> unchanged(const Run& run) const {
    auto lacked = slice_after(run, has_.at(run.origin));
    if (!lacked || lacked->count == 0) return lacked;
    return slice_up_to(*lacked, renamed_after(run.origin));
  }

  // Whoever heard of it may have collected by it: the new life keeps it.
  Result<void> keep_promise() {
    VersionVector floor = source_.promised;
    floor.meet(has_);
    return to_.promise(floor);
  }

  // The part of our own that nobody else's history has, as another origin's. Heads say what changed
  // in a context: reading from the log's start on says what of it is known.
  Result<Run> reissued(const Run& run) {
    Run out{fresh_, written_.seq + 1, 0, {}};
    ByteWriter records;
    ByteReader in(run.records);
    if (run.first != read_.seq + 1) read_.seq = run.first - 1;
    for (uint64_t seq = run.first; seq <= run.last(); ++seq) {
      const auto record = in.string();
      if (!in.ok()) return fail(Code::kInvalid, "the log holds a run that is cut short");
      auto transaction = decode_logged_record(source_.self, record, read_);
      if (!transaction) return tl::unexpected(transaction.error());
      read_.seq = seq;
      read_.hlc = transaction->hlc;
      read_.context = transaction->context;
      if (seq <= forked_after_) continue;
      Transaction renamed = rename(std::move(*transaction));
      if (renamed.dot.seq <= written_.seq) continue;
      records.string(write(std::move(renamed)));
      ++out.count;
    }
    out.records = records.take();
    done_.reissued += out.count;
    return out;
  }

  Transaction rename(Transaction transaction) {
    const size_t changes = transaction.changes.size();
    Transaction renamed = (*reissue_)(std::move(transaction), source_.labels.at(source_.self));
    done_.dropped_schema_changes += changes - renamed.changes.size();
    return renamed;
  }

  std::string write(Transaction renamed) {
    renamed.context.join(written_.context);
    renamed.hlc = std::max(renamed.hlc, Hlc{written_.hlc.bits + 1});
    std::string record = encode_record(renamed, written_);
    written_.seq = renamed.dot.seq;
    written_.hlc = renamed.hlc;
    written_.context = std::move(renamed.context);
    return record;
  }

  Database& from_;
  Database& to_;
  const DatabaseState source_;
  const uint64_t wall_ms_;
  Origin fresh_;
  const std::optional<Doubt> doubt_;
  VersionVector has_;             // `to`
  VersionVector seen_;            // what every reissued change counts as having seen
  std::vector<Renaming> others_;  // whose history here ends where the two part
  std::optional<Reissue> reissue_;
  uint64_t forked_after_ = UINT64_MAX;
  StreamState read_, written_;
  Replayed done_;
};

}  // namespace

Result<Replayed> replay(Database& from, Database& to, const Origin& fresh,
                        const std::optional<Doubt>& doubt, uint64_t wall_ms) {
  return Replay(from, to, fresh, doubt, wall_ms).run();
}

}  // namespace entente
