#include "gateway/replica/replica.h"

#include <algorithm>

namespace entente {
namespace {

constexpr Replica::Instant kVectorInterval{20};
constexpr Replica::Instant kApplyPause{100};
constexpr Replica::Instant kPromisePause{1'000};
constexpr Replica::Instant kClockPauseMin{500}, kClockPauseMax{16'000};
constexpr int kPullsPerFailover = 4;
constexpr int kDoubtFailovers = 2;
constexpr Replica::Instant kUsefulFor{200};
constexpr size_t kOriginsKept = 2 * kMostOrigins;
constexpr const char* kTooManyOrigins = "it names more origins than are listened to";

// Of two lives of a datacenter, as others tell of them: the later one knows of the earlier, or will
// once it has caught up.
bool follows(const MemberVector& row, const MemberVector& known) {
  return row.applied.at(known.incarnation) > 0 && known.applied.at(row.incarnation) == 0;
}

}  // namespace

Replica::Replica(Options options, State state)
    : options_(std::move(options)),
      self_(state.self),
      labels_(std::move(state.labels)),
      own_promise_(options_.context_lifetime, state.promised),
      log_head_(state.log_head) {
  for (auto& [origin, stream_state] : state.streams) {
    applied_.advance(origin, stream_state.seq);
    Stream& stream = streams_[origin];
    stream.applied = stream.scheduled = stream.received = std::move(stream_state);
  }
  for (const auto& peer : options_.graph->datacenters()) {
    if (!options_.graph->may_link(options_.dc, peer)) continue;
    Link& link = links_.emplace(peer, LinkTrust(options_.failover_after)).first->second;
    link.counters.peer = peer;
    link.cursor = log_head_;
  }
  members_[options_.dc] = {
      options_.dc, self_, applied_, {std::move(state.promised), applied_.at(self_)}};
}

// ---- What happened -----------------------------------------------------------------------------

void Replica::link_up(const Hello& hello, Instant now) {
  now_ = now;
  const auto it = links_.find(hello.dc);
  if (it == links_.end()) return;
  Link& link = it->second;
  const uint64_t session = link.session + 1;
  auto counters = std::move(link.counters);
  link = Link(link.trust);
  link.counters = std::move(counters);
  link.counters.frame_bytes = hello.frame_bytes;
  link.counters.too_long.reset();
  link.up = true;
  link.trust.up(now);
  link.session = session;
  link.cursor = log_head_;
  link.window = std::min<uint64_t>(hello.window, options_.link_window);
  link.credit = static_cast<int64_t>(link.window);
  Vectors news{{{hello.dc, hello.incarnation, {}, {}}}, {}};
  MemberVector& row = news.rows.front();
  for (const auto& position : hello.applied) {
    row.applied.advance(position.origin, position.seq);
    news.labels.emplace_back(position.origin, position.dc);
  }
  if (names_too_many(news)) return cut(hello.dc, kTooManyOrigins);
  met_somebody_ = true;
  for (const auto& [origin, dc] : news.labels) learn_label(origin, dc);
  link.peer_applied = row.applied;
  say_what_is_known_of(hello);
  learn(row, true);
  vectors_changed_ = true;
  choose_upstreams();
}

void Replica::link_down(std::string_view peer, Instant now) {
  now_ = now;
  Link* link = up_link(peer);
  if (link == nullptr) return;
  if (is_useful(std::string(peer), *link)) link->trust.useful(now);
  link->up = false;
  link->trust.down(now);
  link->reading = false;
  link->sent.clear();
  link->locating.clear();
  for (auto& [origin, stream] : streams_) {
    if (stream.upstream == peer) stream.upstream.clear();
  }
  // Whoever said it does not say it again.
  if (const auto said = hearsay_.extract(std::string(peer)); !said.empty()) {
    learn(said.mapped(), false);
  }
}

void Replica::receive(std::string_view peer, Message message, Instant now, uint64_t wall_ms) {
  now_ = now;
  wall_ms_ = wall_ms;
  const auto it = links_.find(peer);
  if (it == links_.end() || !it->second.up) return;
  std::visit([&](auto& m) { on(it->first, it->second, std::move(m)); }, message);
}

void Replica::committed(const LogPiece& piece, Instant now) {
  now_ = now;
  const Run& run = piece.run;
  Stream& stream = streams_[run.origin];
  if (run.origin != self_) advance_by(run, stream);
  stream.applied.seq = stream.scheduled.seq = stream.received.seq = run.last();
  applied_.advance(run.origin, run.last());
  log_grew(piece);
}

// What comes of it from a peer now is relative to the last of these.
void Replica::advance_by(const Run& run, Stream& stream) {
  if (!stream.held.empty()) forget_unapplied(stream);
  ByteReader in(run.records);
  for (uint64_t seq = run.first; seq <= run.last(); ++seq) {
    const auto head = decode_head(run.origin, in.string(), stream.applied);
    if (!head) break;  // the database has just read it
    if (!head->declares_dc.empty()) learn_label(run.origin, head->declares_dc);
    stream.applied.seq = seq;
    stream.applied.hlc = head->hlc;
    stream.applied.context = head->context;
  }
  stream.scheduled = stream.received = stream.applied;
  stream.progress = now_;
}

void Replica::applied(const std::vector<LogPiece>& pieces, Instant now) {
  now_ = now;
  cautious_ = false;
  for (auto& part : in_flight_) {
    streams_[part.origin].applied = part.after;
    applied_.advance(part.origin, part.after.seq);
    for (const auto& held : part.records) give_back(held);
  }
  in_flight_.clear();
  promises_.count(applied_);
  for (const auto& piece : pieces) log_grew(piece);
}

void Replica::apply_failed(const Error& error, Instant now) {
  now_ = now;
  const bool their_fault = error.code == Code::kInvalid || error.code == Code::kFork;
  std::set<std::string> senders;
  for (auto& part : in_flight_) {
    for (const auto& held : part.records) {
      senders.insert(held.peer);
      give_back(held);
    }
    forget_unapplied(streams_[part.origin]);
  }
  const bool found = their_fault && in_flight_.size() == 1;
  in_flight_.clear();
  cautious_ = their_fault;
  apply_after_ = now + kApplyPause;
  if (found) {
    for (const auto& peer : senders) cut(peer, error.text);
  }
}

void Replica::promised(Instant now) {
  now_ = now;
  own_promise_.kept();
  members_[options_.dc].promise = {own_promise_.floor(), applied_.at(self_)};
  vectors_changed_ = true;
}

void Replica::promise_failed(Instant now) {
  now_ = now;
  own_promise_.failed();
  promise_after_ = now + kPromisePause;
}

void Replica::log_read(std::string_view peer, const std::vector<LogPiece>& pieces, Instant now) {
  now_ = now;
  Link* link = up_link(peer);
  if (link == nullptr || !link->reading) return;
  link->reading = false;
  if (link->cursor != link->read_after) return;  // moved back meanwhile: what was read is stale
  Batch batch;
  const bool gone = pieces.empty() || pieces.front().position > link->read_after + 1;
  uint64_t reached = link->read_head;  // nothing in between, if the log holds nothing
  for (const auto& piece : pieces) {
    // Durable, but committed() or applied() has yet to say so, and will bring it.
    if (piece.position > log_head_) break;
    const bool whole = send_piece(std::string(peer), *link, piece, batch);
    if (!link->up) return;
    reached = whole ? piece.position : link->cursor;
    if (!whole) break;
  }
  link->cursor = std::max(link->cursor, reached);
  send_batch(std::string(peer), *link, std::move(batch));
  // The log lost its beginning since it was looked up where to read.
  for (const auto& [origin, after] : link->sent) {
    if (gone && after < applied_.at(origin)) locate(std::string(peer), *link, origin);
  }
}

void Replica::located(std::string_view peer, const Origin& origin, Result<uint64_t> position,
                      Instant now) {
  now_ = now;
  Link* link = up_link(peer);
  if (link == nullptr) return;
  const auto asked = link->locating.extract(origin);
  const auto sent = link->sent.find(origin);
  if (asked.empty() || sent == link->sent.end()) return;
  const bool past_it_by_now = std::max(sent->second, durable_at(peer, origin)) > asked.mapped();
  if (!position && past_it_by_now) {
    return on(std::string(peer), *link, Subscribe{origin, sent->second});
  }
  if (!position) {
    link->sent.erase(sent);
    return send(peer, Trimmed{origin});
  }
  link->cursor = std::min(link->cursor, *position);
}

void Replica::copied_by(const std::string& dc) {
  const auto known = members_.find(dc);
  copied_by_[dc] = known == members_.end() ? Origin{} : known->second.incarnation;
}

// A database that was restored may have forgotten a promise, and what it wrote since then may not
// keep it. Who knows finds out at the first hello, unless there is another promise by then.
bool Replica::may_promise() const {
  return (met_somebody_ || links_.empty()) && !restored_ && copied_by_.empty();
}

void Replica::look_who_is_back() {
  const auto& names = options_.graph->datacenters();
  std::erase_if(copied_by_, [&](const auto& copy) {
    if (std::find(names.begin(), names.end(), copy.first) == names.end()) return true;  // it left
    const auto it = members_.find(copy.first);
    return it != members_.end() && it->second.incarnation != copy.second &&
           applied_.covers(it->second.applied);
  });
}

void Replica::tick(Instant now) {
  now_ = now;
  if (!started_) {
    started_ = now;
    for (auto& [peer, link] : links_) link.trust.miss_from(now);
    for (auto& [origin, stream] : streams_) stream.progress = now;
  }
  for (auto& [peer, link] : links_) {
    if (is_useful(peer, link)) link.trust.useful(now);
  }
  look_whether_to_believe();
  look_what_to_pull();
  choose_upstreams();
  look_whether_to_rejoin();
  look_who_is_back();
  own_promise_.look(applied_, now);
  if (vectors_changed_ && now - vectors_told_ >= kVectorInterval) tell_vectors();
}

Ready Replica::take() {
  if (now_ >= promise_after_ && may_promise()) out_.promise = own_promise_.take();
  if (in_flight_.empty() && now_ >= apply_after_) out_.apply = next_apply();
  for (auto& [peer, link] : links_) {
    if (!link.up) continue;
    flush_credit(peer, link);
    pump(peer, link);
  }
  if (restored_) out_.sends.clear();
  return std::exchange(out_, Ready{});
}

// ---- Coming in ---------------------------------------------------------------------------------

void Replica::on(const std::string& peer, Link& link, Subscribe&& message) {
  if (link.sent.size() >= kOriginsKept && !link.sent.contains(message.origin)) {
    return cut(peer, kTooManyOrigins);
  }
  auto& blocked = link.counters.too_long;
  if (blocked && blocked->origin == message.origin) blocked.reset();
  // It may have come this far by another way since it asked, and the log may be trimmed since.
  const uint64_t after = std::max(message.after, durable_at(peer, message.origin));
  link.sent[message.origin] = after;
  if (after < applied_.at(message.origin)) locate(peer, link, message.origin);
}

void Replica::on(const std::string&, Link& link, Unsubscribe&& message) {
  link.sent.erase(message.origin);
}

void Replica::on(const std::string&, Link& link, Credit&& message) {
  constexpr int64_t kCreditMax = int64_t{1} << 40;
  link.credit += static_cast<int64_t>(std::min<uint64_t>(message.bytes, kCreditMax));
  link.credit = std::min(link.credit, kCreditMax);
}

void Replica::on(const std::string& peer, Link& link, Vectors&& message) {
  if (names_too_many(message)) return cut(peer, kTooManyOrigins);
  for (const auto& [origin, dc] : message.labels) learn_label(origin, dc);
  for (const auto& row : message.rows) {
    if (knows_more_of_us(peer, row)) doubt_ourselves(peer);
    learn(row, row.dc == peer);
    if (row.dc == peer) link.peer_applied.join(row.applied);
  }
  auto& blocked = link.counters.too_long;
  if (blocked && link.peer_applied.at(blocked->origin) >= blocked->seq) blocked.reset();
  choose_upstreams();
}

// It came this far by other ways meanwhile, or it is asked for what comes before.
void Replica::on(const std::string& peer, Link& link, Oversized&& message) {
  const auto stream = streams_.find(message.origin);
  if (stream == streams_.end() || stream->second.upstream != peer) return;
  if (message.seq != stream->second.received.seq + 1) return;
  link.too_long[message.origin] = message;
  stream->second.upstream.clear();
  choose_upstreams();
}

void Replica::on(const std::string& peer, Link& link, Trimmed&& message) {
  const auto stream = streams_.find(message.origin);
  if (stream == streams_.end() || stream->second.upstream != peer) return;
  link.trimmed[message.origin] = stream->second.received.seq;
  stream->second.upstream.clear();
  choose_upstreams();
}

void Replica::on(const std::string& peer, Link& link, Changes&& message) {
  link.delivered = now_;
  for (const auto& run : message.runs) {
    link.counters.received_bytes += run.records.size();
    link.counters.received_transactions += run.count;
    if (!take_run(peer, link, run)) return;
  }
}

// Returns false if the link was cut.
bool Replica::take_run(const std::string& peer, Link& link, const Run& run) {
  if (run.origin == self_) {
    cut(peer, "it sent us our own changes: two gateways write under one incarnation");
    return false;
  }
  if (!streams_.contains(run.origin) && streams_.size() >= kOriginsKept) {
    cut(peer, kTooManyOrigins);
    return false;
  }
  Stream& stream = stream_of(run.origin);
  ByteReader in(run.records);
  for (uint64_t seq = run.first; seq <= run.last(); ++seq) {
    const size_t before = in.left();
    const auto record = in.string();
    if (!in.ok()) {
      cut(peer, "a run of changes is cut short");
      return false;
    }
    const size_t size = before - in.left();
    // Seen before; or past a gap, or still under way when its stream was paused: asked for again.
    if (seq != stream.received.seq + 1 || stream.paused) {
      if (seq <= stream.received.seq) ++link.counters.duplicates;
      link.owed += size;
    } else if (!take_record(peer, link, stream, run.origin, record, size)) {
      return false;
    }
  }
  return true;
}

bool Replica::take_record(const std::string& peer, Link& link, Stream& stream, const Origin& origin,
                          std::string_view record, size_t size) {
  auto head = decode_head(origin, record, stream.received);
  if (!head) {
    cut(peer, head.error().text);
    return false;
  }
  const auto horizon = wall_ms_ + static_cast<uint64_t>(options_.max_clock_drift.count());
  if (head->hlc.unix_ms() > horizon) {
    link.owed += size;  // as is what comes after it: a gap
    wait_for_clock(origin, stream, head->hlc.unix_ms());
    return true;
  }
  if (!head->declares_dc.empty()) learn_label(origin, head->declares_dc);
  stream.received.seq += 1;
  stream.received.hlc = head->hlc;
  stream.received.context = head->context;
  stream.progress = now_;
  stream.stamped_ms = 0;
  stream.clock_pause = Instant{0};
  stream.held_bytes += record.size();
  held_bytes_ += record.size();
  stream.held.push_back(
      {std::string(record), size, head->hlc, std::move(head->context), peer, link.session, false});
  return true;
}

// Neither applied nor given another stamp. Only its origin waits, and who has seen the change:
// everybody else's changes go on coming over the same link. Asked for again when it is due, by this
// clock, or a little later, in case this clock is set right.
void Replica::wait_for_clock(const Origin& origin, Stream& stream, uint64_t stamped_ms) {
  if (now_ < stream.not_before) return;  // by another way
  const auto early =
      stamped_ms - wall_ms_ - static_cast<uint64_t>(options_.max_clock_drift.count());
  const Instant due{static_cast<int64_t>(std::min<uint64_t>(early, kClockPauseMax.count()))};
  stream.clock_pause = std::clamp(2 * stream.clock_pause, kClockPauseMin, kClockPauseMax);
  stream.not_before = now_ + std::min(stream.clock_pause, due);
  stream.stamped_ms = stamped_ms;
  if (up_link(stream.upstream) != nullptr) send(stream.upstream, Unsubscribe{origin});
  stream.upstream.clear();
}

Replica::Stream& Replica::stream_of(const Origin& origin) {
  auto [it, is_new] = streams_.try_emplace(origin);
  if (is_new) it->second.progress = now_;
  return it->second;
}

// What anybody here has heard of a peer before it said hello, so that it finds out, before it is
// asked for anything, if its database is older than that.
void Replica::say_what_is_known_of(const Hello& hello) {
  const auto it = members_.find(hello.dc);
  MemberVector row =
      it == members_.end() ? MemberVector{hello.dc, hello.incarnation, {}, {}} : it->second;
  const auto own = streams_.find(row.incarnation);
  if (own != streams_.end()) row.applied.advance(row.incarnation, own->second.received.seq);
  for (const auto& [dc, member] : members_) {
    row.applied.advance(row.incarnation, member.applied.at(row.incarnation));
  }
  const bool nothing = row.applied.empty() && row.promise.floor.empty();
  if (!nothing) send(hello.dc, Vectors{{std::move(row)}, {}});
}

// Counted without looking what is known already: honest peers are far from it.
bool Replica::names_too_many(const Vectors& news) const {
  return labels_.size() + news.labels.size() > kOriginsKept ||
         std::any_of(news.rows.begin(), news.rows.end(), [&](const MemberVector& row) {
           const auto known = members_.find(row.dc);
           const size_t said = known == members_.end() ? 0 : known->second.applied.size();
           return std::max(said, streams_.size()) + row.applied.size() > kOriginsKept;
         });
}

// It was said of this datacenter, or of somebody who has our changes. Who is linked says himself
// what he has.
bool Replica::knows_more_of_us(const std::string& peer, const MemberVector& row) const {
  const auto linked = links_.find(row.dc);
  const bool may_speak = linked == links_.end() || !linked->second.up || row.dc == peer;
  if (may_speak && row.applied.at(self_) > applied_.at(self_)) return true;
  if (row.dc != options_.dc) return false;
  if (row.incarnation != self_) return follows(row, members_.at(options_.dc));
  return !applied_.covers(row.applied) || !own_promise_.floor().covers(row.promise.floor);
}

// One word is enough to fall silent: what is written here may be another history than the one that
// the others have. It counts for as long as who said it is linked, and a little longer: nobody can
// silence this gateway by a lie and go.
void Replica::doubt_ourselves(const std::string& peer) {
  restored_heard_ = now_;
  restored_says_.insert(peer);
  if (restored_) return;
  restored_ = {"this database was restored or copied: " + peer +
                   " has heard more of it than it knows itself",
               {peer},
               true};
  out_.rejoin = restored_;
  rejoin_said_ = now_;
}

// What was not sent meanwhile is asked for anew.
void Replica::look_whether_to_believe() {
  if (!restored_) return;
  for (const auto& peer : restored_says_) {
    if (up_link(peer) != nullptr) restored_heard_ = now_;
  }
  if (now_ - restored_heard_ < kDoubtFailovers * options_.failover_after) return;
  restored_.reset();
  restored_says_.clear();
  out_.rejoin.reset();
  for (const auto& [peer, link] : links_) {
    if (link.up) cut(peer, "this gateway was silent for a while and begins anew");
  }
}

// How far a peer has applied an origin, by the latest word of it.
uint64_t Replica::durable_at(std::string_view peer, const Origin& origin) const {
  const auto it = members_.find(peer);
  return it == members_.end() ? 0 : it->second.applied.at(origin);
}

void Replica::learn(const MemberVector& row, bool from_itself) {
  if (row.dc == options_.dc) return;
  const auto& names = options_.graph->datacenters();
  if (std::find(names.begin(), names.end(), row.dc) == names.end()) return;
  if (!from_itself && up_link(row.dc) != nullptr) {
    hearsay_.insert_or_assign(row.dc, row);  // who is linked speaks for himself
    return;
  }
  if (row.applied.at(self_) > applied_.at(self_)) return;  // not to be told on
  auto [it, is_new] = members_.try_emplace(row.dc, row);
  MemberVector& known = it->second;
  const bool another_life = known.incarnation != row.incarnation;
  if (another_life && (from_itself ? follows(known, row) : !follows(row, known))) return;
  if (another_life) known = row;
  const bool promises_more =
      row.promise.floor != known.promise.floor && row.promise.floor.covers(known.promise.floor);
  const bool applied_more = !known.applied.covers(row.applied);
  if (!is_new && !another_life && !promises_more && !applied_more) return;
  vectors_changed_ = true;
  known.applied.join(row.applied);
  if (promises_more) known.promise = row.promise;
  promises_.learn(known);
  promises_.count(applied_);
}

void Replica::learn_label(const Origin& origin, const std::string& dc) {
  if (!dc.empty()) labels_.try_emplace(origin, dc);
}

// ---- Towards the database ----------------------------------------------------------------------

// Collects what is causally ready, a turn for every origin, until the batch is full.
std::optional<Apply> Replica::next_apply() {
  Apply batch;
  size_t bytes = 0;
  VersionVector will_have = applied_;
  const size_t most = cautious_ ? 1 : options_.apply_bytes;
  for (bool progress = true; progress && bytes < most;) {
    progress = false;
    auto it = streams_.upper_bound(turn_);
    for (size_t i = 0; i < streams_.size() && bytes < most; ++i, ++it) {
      if (it == streams_.end()) it = streams_.begin();
      if (schedule(it->first, it->second, will_have, batch, bytes)) progress = true;
      turn_ = it->first;
    }
  }
  pause_blocked_streams();
  if (batch.runs.empty()) return std::nullopt;
  return batch;
}

// Moves the ready head of one origin's queue into the batch.
bool Replica::schedule(const Origin& origin, Stream& stream, VersionVector& will_have, Apply& batch,
                       size_t& bytes) {
  const size_t most = cautious_ ? 1 : options_.apply_bytes;
  if (stream.held.empty() || !will_have.covers(stream.held.front().context)) return false;
  Run run{origin, stream.scheduled.seq + 1, 0, {}};
  InFlight part{origin, {}, {}};
  ByteWriter records;
  while (!stream.held.empty() && bytes < most && will_have.covers(stream.held.front().context)) {
    Held held = std::move(stream.held.front());
    stream.held.pop_front();
    records.string(held.record);
    bytes += held.size;
    stream.held_bytes -= held.record.size();
    held_bytes_ -= held.record.size();
    stream.scheduled.seq += 1;
    stream.scheduled.hlc = held.hlc;
    stream.scheduled.context = std::move(held.context);
    will_have.advance(origin, stream.scheduled.seq);
    ++run.count;
    held.record.clear();
    part.records.push_back(std::move(held));
  }
  part.after = stream.scheduled;
  run.records = records.take();
  batch.runs.push_back(std::move(run));
  in_flight_.push_back(std::move(part));
  return true;
}

size_t Replica::smallest_window() const {
  size_t smallest = options_.link_window;
  for (const auto& [peer, link] : links_) {
    if (link.up) smallest = std::min(smallest, link.window);
  }
  return smallest;
}

// A stream whose next change waits for another origin's must not fill the memory, nor use up the
// credit of the link over which the missing change may come.
void Replica::pause_blocked_streams() {
  VersionVector will_have = applied_;
  for (const auto& part : in_flight_) will_have.advance(part.origin, part.after.seq);
  const size_t window = smallest_window();
  for (auto& [origin, stream] : streams_) {
    if (stream.held.empty() || stream.paused) continue;
    if (will_have.covers(stream.held.front().context)) continue;
    const bool link_full = stream.held_bytes > window / (2 * streams_.size());
    const bool memory_full = held_bytes_ > options_.hold_back_bytes &&
                             stream.held_bytes * streams_.size() >= held_bytes_;
    if (link_full || memory_full) pause(origin, stream);
  }
}

// Keeps a fair share of the memory from the head on, forgets the rest, and stops the sender.
void Replica::pause(const Origin& origin, Stream& stream) {
  const size_t share = options_.hold_back_bytes / (2 * streams_.size());
  while (stream.held.size() > 1 && stream.held_bytes > share) {
    const Held& last = stream.held.back();
    give_back(last);
    stream.held_bytes -= last.record.size();
    held_bytes_ -= last.record.size();
    stream.held.pop_back();
    stream.received.seq -= 1;
    stream.received.hlc = stream.held.back().hlc;
    stream.received.context = stream.held.back().context;
  }
  for (auto& held : stream.held) {
    give_back(held);
    held.credited = true;
  }
  stream.paused = true;
  if (up_link(stream.upstream) != nullptr) send(stream.upstream, Unsubscribe{origin});
  stream.upstream.clear();
}

void Replica::forget_unapplied(Stream& stream) {
  for (const auto& held : stream.held) give_back(held);
  held_bytes_ -= stream.held_bytes;
  stream.held_bytes = 0;
  stream.held.clear();
  stream.scheduled = stream.received = stream.applied;
  stream.upstream.clear();  // asked again from what is applied
}

void Replica::give_back(const Held& held) {
  const auto it = links_.find(held.peer);
  if (held.credited || it == links_.end() || it->second.session != held.session) return;
  it->second.owed += held.size;
}

void Replica::flush_credit(const std::string& peer, Link& link) {
  if (link.owed == 0 || link.owed < link.window / 4) return;
  send(peer, Credit{std::exchange(link.owed, 0)});
}

// ---- Towards the peers -------------------------------------------------------------------------

// Sends a new piece of the log at once to those who have everything before it; the others reach it
// by reading the log.
void Replica::log_grew(const LogPiece& piece) {
  for (auto& [peer, link] : links_) {
    if (!link.up || link.cursor != log_head_ || link.credit <= 0 || link.reading) continue;
    Batch batch;
    send_piece(peer, link, piece, batch);
    if (link.up) send_batch(peer, link, std::move(batch));
  }
  log_head_ = std::max(log_head_, piece.position);
  members_[options_.dc].applied = applied_;
  vectors_changed_ = true;
}

// Adds what the peer wants of this piece, and moves its cursor past it. What is longer than a frame
// that the peer takes goes in several: a transaction is whole, a run need not be. Returns false if
// the piece has to be read again: credit was used up in its middle, or the link was cut.
bool Replica::send_piece(const std::string& peer, Link& link, const LogPiece& piece, Batch& out) {
  const Origin& origin = piece.run.origin;
  const auto it = link.sent.find(origin);
  const bool starts_later = it != link.sent.end() && piece.run.first > it->second + 1;
  if (starts_later && piece.run.last() > it->second) locate(peer, link, origin);
  while (it != link.sent.end() && !starts_later && it->second < piece.run.last()) {
    const size_t most = link.counters.frame_bytes;
    const size_t room = most - std::min(most, out.bytes + kRunRoom);
    auto part = slice_after(piece.run, it->second, room);
    if (!part) {
      cut(peer, "the local log holds a run that is malformed");
      return false;
    }
    if (part->records.size() <= room) {
      it->second = part->last();
      out.bytes += kRunRoom + part->records.size();
      out.changes.runs.push_back(std::move(*part));
    } else if (!out.changes.runs.empty()) {
      send_batch(peer, link, std::exchange(out, Batch{}));
      if (link.credit <= 0) return false;
    } else {
      const Oversized said{origin, part->first, part->records.size() + 2 * kRunRoom};
      link.counters.too_long = said;
      link.sent.erase(it);
      send(peer, said);
      break;
    }
  }
  link.cursor = std::max(link.cursor, piece.position);
  return true;
}

void Replica::send_batch(const std::string& peer, Link& link, Batch batch) {
  if (batch.changes.runs.empty()) return;
  for (const auto& run : batch.changes.runs) {
    link.credit -= static_cast<int64_t>(run.records.size());
    link.counters.sent_bytes += run.records.size();
    link.counters.sent_transactions += run.count;
  }
  send(peer, std::move(batch.changes));
}

void Replica::pump(const std::string& peer, Link& link) {
  if (link.reading || link.credit <= 0 || link.cursor >= log_head_) return;
  if (link.sent.empty()) {
    link.cursor = log_head_;
    return;
  }
  link.reading = true;
  link.read_after = link.cursor;
  link.read_head = log_head_;
  const auto most = std::min<size_t>(options_.batch_bytes, static_cast<size_t>(link.credit));
  out_.reads.push_back({peer, link.cursor, most});
}

void Replica::locate(const std::string& peer, Link& link, const Origin& origin) {
  const uint64_t after = link.sent[origin];
  if (link.locating.emplace(origin, after).second) out_.locates.push_back({peer, origin, after});
}

void Replica::tell_vectors() {
  vectors_changed_ = false;
  vectors_told_ = now_;
  for (auto& [peer, link] : links_) {
    if (!link.up) continue;
    Vectors news;
    for (const auto& [dc, row] : members_) {
      MemberVector& told = link.told[dc];
      if (dc == peer || told == row) continue;
      news.rows.push_back(row);
      if (told.incarnation == row.incarnation && told.promise == row.promise) {
        news.rows.back().promise = {};
      }
      told = row;
    }
    for (const auto& [origin, dc] : labels_) {
      if (link.labels_told.insert(origin).second) news.labels.emplace_back(origin, dc);
    }
    if (!news.rows.empty() || !news.labels.empty()) send(peer, std::move(news));
  }
}

// ---- Whom to ask -------------------------------------------------------------------------------

void Replica::choose_upstreams() {
  for (const auto& [peer, link] : links_) {
    if (!link.up) continue;
    for (const auto& known : link.peer_applied) {
      if (known.origin != self_) stream_of(known.origin);
    }
  }
  for (auto& [origin, stream] : streams_) {
    if (origin == self_) continue;
    if (stream.paused && !stream.held.empty()) continue;
    if (now_ < stream.not_before) continue;
    stream.paused = false;
    ask(origin, stream, choose_upstream(origin, stream));
  }
}

// The neighbour the topology names. While it is away, or has had nothing new for a while although
// somebody else has, the neighbour that claims most; then the first again as soon as it claims as
// much as that one. Of an origin that the topology does not have (a datacenter that was removed, or
// a former life) always the one that claims most: whatever anybody has of it must spread.
std::string Replica::choose_upstream(const Origin& origin, Stream& stream) {
  if (pulls(origin, stream)) return stream.pulled_from;
  const auto first = preferred(origin);
  const Link* wanted = first ? up_link(*first) : nullptr;
  if (wanted != nullptr && !can_give(*wanted, origin, stream)) wanted = nullptr;
  const Link* current = up_link(stream.upstream);
  // It comes and goes: as good as down, where somebody else can give as well.
  const bool shaky = wanted != nullptr && wanted->trust.gone(now_, options_.failover_after);
  const auto ahead = [&](const Link* link) {
    return link != nullptr && link->peer_applied.at(origin) > stream.received.seq;
  };
  const bool any = options_.reroute || !first;
  std::string other = any ? best_other(origin, stream) : std::string();
  const bool waits_for_us = !stream.held.empty() || stream.scheduled.seq != stream.applied.seq;
  if (other.empty() || waits_for_us) stream.progress = now_;
  if (current != nullptr && !ahead(current) && now_ - stream.progress >= options_.failover_after) {
    return other;
  }
  const Link* instead = current != nullptr ? current : up_link(other);
  if (shaky && instead != nullptr && instead != wanted && (ahead(instead) || !ahead(wanted))) {
    wanted = nullptr;
  }
  if (wanted != nullptr) {
    // Both claims are as old. What was received since is newer than either while writes go on.
    const bool level = current == nullptr || ahead(wanted) ||
                       wanted->peer_applied.at(origin) >= current->peer_applied.at(origin);
    return level ? *first : stream.upstream;
  }
  if (current != nullptr) return stream.upstream;
  const auto known = first ? links_.find(*first) : links_.end();
  const bool waited = known == links_.end() || known->second.up ||
                      known->second.trust.gone(now_, options_.failover_after);
  return waited && started_ ? other : std::string();
}

// A change came over it just now, or nothing was asked of it that it has and that is not here.
bool Replica::is_useful(const std::string& peer, const Link& link) const {
  if (!link.up) return false;
  if (now_ - link.delivered <= kUsefulFor) return true;
  return std::none_of(streams_.begin(), streams_.end(), [&](const auto& entry) {
    const auto& [origin, stream] = entry;
    return stream.upstream == peer && link.peer_applied.at(origin) > stream.received.seq;
  });
}

// Where a change waits for another origin's that is late here, who sent it has that: one slow way
// does not hold up what came by the others.
void Replica::look_what_to_pull() {
  if (!options_.reroute) return;
  for (auto& [origin, stream] : streams_) {
    if (stream.held.empty()) continue;
    if (stream.head != stream.scheduled.seq + 1) stream.head_since = now_;
    stream.head = stream.scheduled.seq + 1;
    if (now_ - stream.head_since < options_.failover_after / kPullsPerFailover) continue;
    const Held& head = stream.held.front();
    for (const auto& [cause, seq] : head.context) pull(cause, seq, head.peer);
  }
}

void Replica::pull(const Origin& origin, uint64_t up_to, const std::string& from) {
  const auto it =
      streams_.find(origin);  // absent: who sent the change has yet to say that it has it
  if (origin == self_ || it == streams_.end()) return;
  Stream& stream = it->second;
  if (stream.received.seq >= up_to) return;
  const bool pulled = pulls(origin, stream);
  if (pulled ? stream.pulled_from != from : stream.upstream == from) return;
  stream.pulled_from = from;
  stream.pulled_up_to = std::max(up_to, stream.pulled_up_to);
}

bool Replica::pulls(const Origin& origin, const Stream& stream) const {
  if (stream.received.seq >= stream.pulled_up_to) return false;
  const auto from = links_.find(stream.pulled_from);
  return from != links_.end() && from->second.up && can_give(from->second, origin, stream);
}

// The linked neighbour that claims most of this origin beyond what we have; "" if none does.
std::string Replica::best_other(const Origin& origin, const Stream& stream) const {
  std::string best;
  uint64_t most = stream.received.seq;
  for (const auto& [peer, link] : links_) {
    if (link.up && link.peer_applied.at(origin) > most && can_give(link, origin, stream)) {
      most = link.peer_applied.at(origin);
      best = peer;
    }
  }
  return best;
}

std::optional<std::string> Replica::preferred(const Origin& origin) const {
  const auto label = labels_.find(origin);
  if (label == labels_.end()) return std::nullopt;
  const auto writer = members_.find(label->second);
  const bool former = writer != members_.end() && writer->second.incarnation != origin;
  if (former) return std::nullopt;
  return options_.graph->upstream(options_.dc, label->second);
}

// Not while a neighbour is away for so short a time that it may be the one that has it.
void Replica::look_whether_to_rejoin() {
  if (restored_ && now_ - rejoin_said_ >= options_.failover_after) {
    out_.rejoin = restored_;  // who was asked for a copy may not have been able to give one
    rejoin_said_ = now_;
  }
  if (restored_) return;
  std::vector<std::string> who;
  for (const auto& [origin, stream] : streams_) {
    if (origin != self_ && who.empty()) who = who_has_what_is_forgotten(origin, stream);
  }
  if (who.empty()) return out_of_reach_since_.reset();
  if (!out_of_reach_since_) out_of_reach_since_ = now_;
  if (now_ - *out_of_reach_since_ < options_.failover_after) return;
  out_of_reach_since_ = now_;
  out_.rejoin = {
      options_.dc + " was away for so long that the others' logs no longer hold what it lacks",
      std::move(who), false};
}

bool Replica::can_give(const Link& link, const Origin& origin, const Stream& stream) {
  return !has_forgotten(link, origin, stream) && too_long(link, origin, stream) == nullptr;
}

// It has said that its log begins later than what we lack.
bool Replica::has_forgotten(const Link& link, const Origin& origin, const Stream& stream) {
  const auto it = link.trimmed.find(origin);
  return it != link.trimmed.end() && stream.received.seq <= it->second;
}

// It has said that what we lack next is longer than what we take; null if not.
const Oversized* Replica::too_long(const Link& link, const Origin& origin, const Stream& stream) {
  const auto it = link.too_long.find(origin);
  const bool is_next = it != link.too_long.end() && it->second.seq == stream.received.seq + 1;
  return is_next ? &it->second : nullptr;
}

std::vector<std::string> Replica::who_has_what_is_forgotten(const Origin& origin,
                                                            const Stream& stream) const {
  std::vector<std::string> who;
  bool forgotten = false;
  const auto first = options_.reroute ? std::nullopt : preferred(origin);
  for (const auto& [peer, link] : links_) {
    if (!link.up || link.peer_applied.at(origin) <= stream.received.seq) continue;
    who.push_back(peer);
    if (first && peer != *first) continue;  // it is not asked
    if (!has_forgotten(link, origin, stream)) return {};
    forgotten = true;
  }
  if (!forgotten || !stream.held.empty()) return {};
  return who;
}

Replica::Detour Replica::detour(const Origin& origin, const Stream& stream) const {
  const auto label = labels_.find(origin);
  const bool ours = origin == self_ || (label != labels_.end() && label->second == options_.dc);
  if (ours) return Detour::kNone;
  if (stream.stamped_ms != 0) return Detour::kClock;
  const auto first = preferred(origin);
  if (!first) return Detour::kUnknown;
  if (stream.upstream == *first) return Detour::kNone;
  const auto link = links_.find(*first);
  if (link == links_.end() || !link->second.up) return Detour::kLinkDown;
  if (stream.paused) return Detour::kPaused;
  if (too_long(link->second, origin, stream) != nullptr) return Detour::kTooLong;
  return pulls(origin, stream) ? Detour::kPulled : Detour::kNothingNew;
}

void Replica::ask(const Origin& origin, Stream& stream, const std::string& peer) {
  if (stream.upstream == peer) return;
  if (up_link(stream.upstream) != nullptr) send(stream.upstream, Unsubscribe{origin});
  stream.upstream = peer;
  if (!peer.empty()) send(peer, Subscribe{origin, stream.received.seq});
}

// ---- What is known -----------------------------------------------------------------------------

Hello Replica::hello(const Hello& who_i_am) const {
  Hello hello = who_i_am;
  hello.dc = options_.dc;
  hello.incarnation = self_;
  hello.window = options_.link_window;
  hello.frame_bytes = options_.frame_bytes;
  for (const auto& [origin, seq] : applied_) {
    const auto label = labels_.find(origin);
    hello.applied.push_back({origin, label == labels_.end() ? "" : label->second, seq, {}});
  }
  return hello;
}

size_t Replica::longest_record() const {
  size_t frame = options_.frame_bytes;
  for (const auto& [peer, link] : links_) frame = std::min(frame, link.counters.frame_bytes);
  return frame - std::min(frame, 3 * kRunRoom);
}

VersionVector Replica::stable() const {
  VersionVector everywhere = applied_;
  for (const auto& dc : options_.graph->datacenters()) {
    const auto it = members_.find(dc);
    if (it == members_.end()) return {};
    everywhere.meet(it->second.applied);
  }
  return everywhere;
}

VersionVector Replica::collectable() const {
  if (restored_ || knows_of_a_former_life()) return {};
  VersionVector everywhere = own_promise_.floor();
  for (const auto& dc : options_.graph->datacenters()) {
    if (dc != options_.dc) everywhere.meet(promises_.counted(dc));
  }
  return everywhere;
}

// Somebody has changes that we have not, of an origin that is nobody's present life: no promise
// speaks of them.
bool Replica::knows_of_a_former_life() const {
  const auto lives = [this](const Origin& origin) {
    return std::any_of(members_.begin(), members_.end(),
                       [&](const auto& member) { return member.second.incarnation == origin; });
  };
  for (const auto& [dc, row] : members_) {
    for (const auto& [origin, seq] : row.applied) {
      if (applied_.at(origin) < seq && !lives(origin)) return true;
    }
  }
  return false;
}

std::vector<Replica::OriginStatus> Replica::origins() const {
  std::vector<OriginStatus> out;
  for (const auto& [origin, stream] : streams_) {
    OriginStatus s{origin,          {}, stream.applied.seq, stream.applied.seq, stream.applied.hlc,
                   stream.upstream, {}, stream.held.size(), stream.held_bytes};
    if (const auto label = labels_.find(origin); label != labels_.end()) s.dc = label->second;
    if (origin != self_) s.preferred = preferred(origin).value_or("");
    if (!stream.held.empty()) s.held_hlc = stream.held.front().hlc;
    s.detour = detour(origin, stream);
    s.stamped_ms = stream.stamped_ms;
    for (const auto& [peer, link] : links_) {
      if (const auto* next = too_long(link, origin, stream)) s.too_long = *next;
      s.known = std::max(s.known, link.peer_applied.at(origin));
    }
    out.push_back(std::move(s));
  }
  return out;
}

std::vector<Replica::LinkStatus> Replica::links() const {
  std::vector<LinkStatus> out;
  for (const auto& [peer, link] : links_) {
    LinkStatus s = link.counters;
    s.up = link.up;
    s.trust = link.trust.state();
    s.unsent_after = link.cursor;
    s.log_head = log_head_;
    s.credit = link.credit;
    s.applied = link.peer_applied;
    out.push_back(std::move(s));
  }
  for (const auto& [origin, stream] : streams_) {
    for (const auto& held : stream.held) {
      const auto from = std::find_if(out.begin(), out.end(),
                                     [&](const LinkStatus& s) { return s.peer == held.peer; });
      if (from == out.end()) continue;
      ++from->held;
      from->held_bytes += held.record.size();
    }
  }
  return out;
}

bool Replica::in_use(std::string_view peer) const {
  const auto it = links_.find(peer);
  if (it == links_.end() || !it->second.up) return false;
  return !it->second.sent.empty() ||
         std::any_of(streams_.begin(), streams_.end(),
                     [&](const auto& entry) { return entry.second.upstream == peer; });
}

bool Replica::useful(std::string_view peer) const {
  const auto it = links_.find(peer);
  return it != links_.end() && is_useful(it->first, it->second);
}

// ---- Small things ------------------------------------------------------------------------------

Replica::Link* Replica::up_link(std::string_view peer) {
  const auto it = links_.find(peer);
  return it != links_.end() && it->second.up ? &it->second : nullptr;
}

void Replica::send(std::string_view peer, Message message) {
  out_.sends.push_back({std::string(peer), std::move(message)});
}

// The link is dead for us at once; the shell closes it and reports link_down, which then finds
// nothing left to do.
void Replica::cut(std::string_view peer, std::string reason) {
  out_.cuts.push_back({std::string(peer), std::move(reason)});
  link_down(peer, now_);
}

}  // namespace entente
