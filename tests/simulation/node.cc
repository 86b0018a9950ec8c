#include "tests/simulation/node.h"

#include <algorithm>
#include <utility>

#include "conflict/codec.h"
#include "gateway/replica/handshake.h"
#include "gateway/replica/wire.h"

namespace entente::simulation {
namespace {

constexpr uint64_t kEpochMs = 1'700'000'000'000;
constexpr int64_t kTickMs = 20;
constexpr size_t kCollectRows = 3;

}  // namespace

Node::Node(World& world, Network& network, size_t index)
    : world_(world),
      network_(network),
      index_(index),
      name_(world.plan.names[index]),
      work_(world.plan.seed, "work " + name_),
      news_(world.plan.seed, "news " + name_),
      crash_(world.plan.seed, "crash at point " + name_),
      busy_faults_(world.plan.seed, "busy " + name_) {
  // Two clocks may be max_clock_drift apart: each stays well within half of it from the truth.
  Random clock(world.plan.seed, "clock " + name_);
  const int64_t most = world.plan.config.max_clock_drift.count() / 5;
  const int64_t offset = clock.between(-most, most);
  const double drift = static_cast<double>(clock.between(-20, 20)) / 1000.0;
  if (world.plan.has(Fault::kClock)) clock_offset_ = offset, clock_drift_ = drift;
}

// ---- Life --------------------------------------------------------------------------------------

// A new database, or copy, begins this life.
DatabaseOptions Node::options() const {
  DatabaseOptions options;
  options.dc = name_;
  const std::string life = incarnations_ > 1 ? " life " + std::to_string(incarnations_) : "";
  Random identity(world_.plan.seed, "origin " + name_ + life);
  for (auto& byte : options.fresh_origin.id) byte = static_cast<uint8_t>(identity.next());
  options.rules = world_.plan.config.rules;
  options.schema_leader = index_ == 0;
  options.schema_leader_name = world_.plan.config.schema_leader;
  options.wall_ms = wall_ms();
  return options;
}

void Node::begin() {
  epoch_ = &world_.first_epoch();
  disk_ = world_.plan.over_sqlite ? sqlite_disk() : memory_disk();
  incarnations_ = 1;
  start();
}

void Node::reopen() {
  database_ = disk_->open(options());

  const DatabaseState state = database_->state();
  durable_ = {};
  for (const auto& [origin, stream] : state.streams) durable_.advance(origin, stream.seq);
  history_[world_.scheduler.now()] = durable_;
  if (world_.oracle.everything().at(state.self) == 0) declare(*database_);
}

// A new life's first record is a commit like any other.
void Node::declare(Database& database) {
  const Origin self = database.state().self;
  const auto before = database.position_before(self, 1);
  const auto declaration = database.read_log(*before, 1);
  const Run& run = declaration->at(0).run;
  ByteReader in(run.records);
  const auto head = decode_head(self, in.string(), {});
  if (auto bad = world_.oracle.committed(run, head->context, takes_part())) world_.fail(*bad);
}

Hello Node::hello() const {
  Hello hello = replica_->hello({});
  hello.protocol += version_;
  for (auto& position : hello.applied) {
    const auto chain = database_->chain_at(position.origin, position.seq);
    if (chain && *chain) position.chain = **chain;
  }
  hello.collected = database_->state().collected;
  return hello;
}

void Node::look_whether_caught_up() {
  if (!catching_up_) return;
  const auto links = replica_->links();
  const bool level = std::any_of(links.begin(), links.end(), [this](const auto& link) {
    return link.up && !link.applied.empty() && durable_.covers(link.applied);
  });
  if (!level) return;
  // What others have collected by the promises of the life before is in it.
  copied_promise_.join(durable_);
  if (auto done = database_->promise(durable_); !done) world_.fail(done.error().text);
  catching_up_ = false;
}

bool Node::takes_part() const { return world_.newest_epoch().has(name_); }

// What those have that take part.
VersionVector Node::somewhere() const {
  VersionVector all;
  for (const Node* node : all_) {
    if (node->takes_part() && !node->astray_) all.join(node->durable_);
  }
  return all;
}

// ---- Topologies --------------------------------------------------------------------------------

bool Node::reaches(const Node& other) const {
  return other.alive() && other.version_ == version_ && network_.reachable(index_, other.index_);
}

void Node::join(const Epoch& epoch) {
  epoch_ = &epoch;
  try_to_join();
}

void Node::try_to_join() {
  for (const auto& peer : epoch_->graph.neighbours(name_)) {
    Node& from = node(peer);
    if (!reaches(from) || from.astray_) continue;
    if (from.epoch_->comes_after(*epoch_)) epoch_ = from.epoch_;
    if (!epoch_->has(name_)) return leave({});
    if (from.epoch_ != epoch_ || from.replica_->promise_under_way()) continue;
    ++incarnations_;
    const auto as = options();
    disk_ = from.give_copy(name_, as);
    reopen();
    world_.trace("join", index_, from.index_);
    world_.coverage.met(Met::kJoined);
    copied_promise_ = database_->state().promised;
    collected_ = from.collected_;
    catching_up_ = from_copy_ = true;
    return start();
  }
  world_.scheduler.after(news_.between(20, 300), [this] { try_to_join(); });
}

void Node::adopt(const Epoch& epoch, const VersionVector& told_by) {
  if (left_ || !epoch.comes_after(*epoch_)) return;
  world_.trace("go over", index_, epoch.config.epoch);
  world_.coverage.met(Met::kWentOver);
  crash();
  epoch_ = &epoch;
  if (!epoch.has(name_)) return leave(told_by);
  if (disk_) world_.scheduler.after(news_.between(1, 50), [this] { start(); });
}

// What it alone has is in a file for whoever wants to write it again.
void Node::leave(const VersionVector& told_by) {
  left_ = dead_ = true;
  database_.reset();
  world_.coverage.met(Met::kLeft);
  world_.trace("leave", index_);
  for (const auto& [origin, seq] : durable_) {
    if (seq > told_by.at(origin)) world_.oracle.may_lose(origin, told_by.at(origin));
  }
  durable_ = {};
  disk_.reset();
  look_whether_taken_back();
}

// Two topologies that were applied at once: one left it out, and then the other came to hold. Or it
// is taken in again. It begins anew.
void Node::look_whether_taken_back() {
  world_.scheduler.after(news_.between(200, 1000), [this] {
    if (!takes_part()) return look_whether_taken_back();
    left_ = dead_ = false;
    join(world_.newest_epoch());
  });
}

// Whoever has no link is asked which topology it has gone over to, and told.
void Node::ask_for_news() {
  if (world_.scheduler.now() < news_at_) return;
  news_at_ = world_.scheduler.now() + news_.between(100, 500);
  for (const auto& name : world_.plan.names) {
    if (name == name_ || !wants(name) || linked_.contains(name)) continue;
    Node& other = node(name);
    world_.scheduler.after(news_.between(1, 2 * world_.plan.latency_ms), [this, &other] {
      if (!alive() || !reaches(other) || other.epoch_ == epoch_) return;
      adopt(*other.epoch_, other.durable_);
      if (alive() && epoch_->has(other.name_)) other.adopt(*epoch_, durable_);
    });
  }
}

bool Node::drawn(const std::string& peer) const {
  const auto& near = epoch_->graph.neighbours(name_);
  return std::binary_search(near.begin(), near.end(), peer);
}

bool Node::wants(const std::string& peer) const {
  if (epoch_ == nullptr) return false;
  if (drawn(peer)) return true;
  return spares_ &&
         (spares_->needed(peer) || (linked_.contains(peer) && !spares_->idle(peer, now())));
}

void Node::heal_links() {
  const auto in_use = [this](const std::string& peer) { return replica_->in_use(peer); };
  const auto useful = [this](const std::string& peer) { return replica_->useful(peer); };
  for (const auto& name : spares_->look(now(), in_use, useful)) network_.open(index_, name);
  for (const auto& name : epoch_->graph.spares(name_)) {
    const bool linked = linked_.contains(name);
    if (spares_->needed(name) && !linked && !reaches(node(name))) spares_->failed(name);
    if (linked && !wants(name)) network_.close(index_, name);
  }
}

// ---- Life --------------------------------------------------------------------------------------

void Node::start() {
  if (alive() || dead_ || marker_lost_ || !disk_) return;
  ++life_;
  reopen();
  const DatabaseState state = database_->state();
  const auto& limits = world_.plan.limits[index_];
  Replica::Options options;
  options.dc = name_;
  options.graph = &epoch_->graph;
  options.reroute = epoch_->config.topology.reroute;
  options.failover_after = epoch_->config.topology.failover_after;
  options.max_clock_drift = world_.plan.config.max_clock_drift;
  options.context_lifetime = limits.context_lifetime;
  options.frame_bytes = limits.frame_bytes;
  options.link_window = limits.link_window;
  options.batch_bytes = limits.batch_bytes;
  options.hold_back_bytes = limits.hold_back_bytes;
  options.apply_bytes = limits.apply_bytes;
  if (!unverified_) unverified_ = Doubt{state.streams.at(state.self).seq};
  replica_ = std::make_unique<Replica>(
      options,
      Replica::State{state.self, state.streams, state.labels, state.log_head, state.promised});
  // (A gateway does not remember, and makes its first promise a whole lifetime later.)
  for (const auto& name : gave_copies_to_) replica_->copied_by(name);
  world_.trace("start", index_, life_, state.log_head);
  spares_.emplace(epoch_->graph, name_, options.failover_after, now());
  later(work_.between(0, kTickMs), [this] { tick(); });
  network_.returned(index_);
}

void Node::crash() {
  if (!alive()) return;
  for (const auto& link : replica_->links()) {
    world_.coverage.met(Met::kDuplicateDropped, link.duplicates);
  }
  world_.trace("crash", index_, untold_);
  world_.coverage.met(Met::kCrash);
  if (untold_ > 0 && untold_kind_ != Met::kCount) world_.coverage.met(untold_kind_);
  ++life_;
  replica_.reset();
  jobs_.clear();
  busy_ = false;
  untold_ = 0;
  last_told_ = 0;
  received_ = {};
  rejoin_.reset();
  collecting_ = {};
  round_runs_ = another_round_ = false;
  credit_.clear();
  linked_.clear();
  spares_.reset();
  network_.vanish(index_);
}

void Node::die() {
  crash();
  dead_ = true;
}

void Node::upgrade() {
  if (std::exchange(version_, 1) == 1) return;
  world_.coverage.met(Met::kUpgraded);
  if (!alive()) return;
  crash();
  world_.scheduler.after(1, [this] { start(); });
}

void Node::start_again() {
  dead_ = false;
  start();
}

uint64_t Node::wall_ms() const {
  const auto t = static_cast<double>(world_.scheduler.now());
  const int64_t ms =
      static_cast<int64_t>(t * (1.0 + clock_drift_)) + clock_offset_ + clock_step_ + clock_off_;
  const uint64_t wall = kEpochMs + static_cast<uint64_t>(ms);
  return wall - wall % static_cast<uint64_t>(world_.plan.clock_grain_ms);
}

void Node::later(int64_t delay, std::function<void()> what) {
  world_.scheduler.after(delay, [this, life = life_, what = std::move(what)] {
    if (life == life_) what();
  });
}

void Node::tick() {
  replica_->tick(now());
  std::erase_if(gave_copies_to_,
                [this](const auto& name) { return !replica_->given_a_copy().contains(name); });
  pump();
  collect();
  heal_links();
  ask_for_news();
  look_whether_caught_up();
  look_whether_astray();
  if (!linked_.empty() && !rejoin_ && !astray_) unverified_.reset();
  for (const auto& name : epoch_->graph.datacenters()) {  // whoever it may meet by now
    if (astray_ && name != name_ && !linked_.contains(name) && wants(name))
      network_.open(index_, name);
  }
  later(kTickMs, [this] { tick(); });
  if (rejoin_) rejoin(*std::exchange(rejoin_, std::nullopt));
}

// ---- The network -------------------------------------------------------------------------------

bool Node::link_up(const Hello& hello) {
  if (!check_cluster(this->hello(), hello)) {
    world_.coverage.met(Met::kOtherVersion);
    return false;
  }
  const auto chain_at = [this](const Origin& o, uint64_t seq) {
    return database_->chain_at(o, seq);
  };
  const auto one = check_history(this->hello(), database_->state().promised, hello, chain_at);
  if (!one && one.error().tag == kOwnFork) {
    if (!world_.plan.goes_back()) world_.fail(name_ + " takes its database for a restored one");
    rejoin_ = {one.error().text, {hello.dc}, true};
    return false;
  }
  const Node& peer = node(hello.dc);
  const bool was_astray = hello.incarnation != peer.database_->state().self;
  if (!one && (peer.astray_ || was_astray)) return false;
  if (!one) {
    world_.fail(name_ + " refuses " + hello.dc + ": " + one.error().text);
    return false;
  }
  linked_.insert(hello.dc);
  spares_->up(hello.dc, now());
  if (!drawn(hello.dc)) world_.coverage.met(Met::kSpareLink);
  ++link_lives_[hello.dc];
  windows_[hello.dc] = std::min<uint64_t>(hello.window, world_.plan.limits[index_].link_window);
  credit_[hello.dc] = static_cast<int64_t>(windows_[hello.dc]);
  replica_->link_up(hello, now());
  pump();
  return true;
}

void Node::link_down(const std::string& peer) {
  linked_.erase(peer);
  spares_->down(peer, now());
  replica_->link_down(peer, now());
  pump();
}

void Node::receive(const std::string& peer, Message message) {
  if (const auto* changes = std::get_if<Changes>(&message)) {
    for (const auto& run : changes->runs) {
      if (world_.oracle.dc(run.origin) != peer) world_.coverage.met(Met::kRelayed);
      if (run.first <= received_.at(run.origin) + 1) received_.advance(run.origin, run.last());
    }
  }
  if (const auto* credit = std::get_if<Credit>(&message)) {
    credit_[peer] += static_cast<int64_t>(credit->bytes);
  }
  const bool changes = std::holds_alternative<Changes>(message);
  replica_->receive(peer, std::move(message), now(), wall_ms());
  if (changes && world_.plan.has(Fault::kFarClock)) note_clocks();
  pump();
}

void Node::note_clocks() {
  for (const auto& origin : replica_->origins()) {
    if (origin.detour == Replica::Detour::kClock) world_.coverage.met(Met::kWaitedForAClock);
  }
}

// ---- What the replica wants done ---------------------------------------------------------------

void Node::pump() {
  for (Ready ready = replica_->take(); !ready.empty(); ready = replica_->take()) {
    watch(ready);
    for (auto& send : ready.sends) {
      check_sent(send);
      network_.send(index_, send.peer, std::move(send.message));
    }
    if (ready.apply) enqueue({{}, {}, std::move(ready.apply->runs)});
    for (const auto& read : ready.reads) read_log(read);
    for (const auto& l : ready.locates) locate(l);
    if (ready.promise) enqueue({{}, {}, {}, std::move(ready.promise)});
    if (ready.rejoin) rejoin_ = std::move(ready.rejoin);
    for (const auto& cut : ready.cuts) {
      if (world_.plan.goes_back() && cut.reason.find("begins anew") != std::string::npos) {
        network_.drop(index_, cut.peer);
        continue;
      }
      world_.fail(name_ + " cut the link to " + cut.peer + " though nobody lied: " + cut.reason);
    }
  }
  check_bounds();
}

// P10. Waiting changes are bounded by the hold-back queue and by what the windows let in.
void Node::check_bounds() {
  const auto& limits = world_.plan.limits[index_];
  const size_t held = replica_->held_bytes();
  if (held > 0 && idle()) world_.coverage.met(Met::kHeldBack);
  const size_t links = world_.plan.names.size();
  const size_t most = limits.hold_back_bytes + links * (2 * limits.link_window + (64 << 10));
  if (held > most) {
    world_.fail(name_ + " holds " + std::to_string(held) + " bytes back; the bound is " +
                std::to_string(most) + " (P10)");
  }
}

void Node::check_sent(const Send& send) {
  if (const auto* changes = std::get_if<Changes>(&send.message)) {
    charge(send.peer, *changes);
    const size_t most = world_.plan.limits[world_.index_of(send.peer)].frame_bytes;
    if (encode_frame(*changes).size() > most + kFrameHeadBytes) {
      world_.fail(name_ + " sends " + send.peer + " a longer frame than it takes (P10)");
    }
    return check_changes(*changes);
  }
  if (std::holds_alternative<Oversized>(send.message)) {
    world_.fail(name_ + " cannot send " + send.peer + " a change that it takes");
  }
  const auto* vectors = std::get_if<Vectors>(&send.message);
  for (size_t i = 0; vectors != nullptr && i < vectors->rows.size(); ++i) {
    const auto& row = vectors->rows[i];
    if (row.dc == name_ && !durable_.covers(row.applied)) {
      world_.fail(name_ + " published a vector that is not durable (P3)");
    }
    if (row.dc == name_) check_promise(row.promise.floor);
  }
}

// A promise is durable before it is told, and speaks of a lifetime ago.
void Node::check_promise(const VersionVector& floor) {
  if (!database_->state().promised.covers(floor)) {
    return world_.fail(name_ + " published a promise that is not durable (P3)");
  }
  const int64_t then = world_.scheduler.now() - world_.plan.config.limits.context_lifetime.count();
  const auto after = history_.upper_bound(then);
  const VersionVector had = after == history_.begin() ? VersionVector() : std::prev(after)->second;
  // What was promised where the database was copied holds here, too: clients of the life before may
  // have to read again sooner.
  VersionVector may = had;
  may.join(copied_promise_);
  if (!may.covers(floor)) {
    world_.fail(name_ + " promised to refuse contexts that are not a lifetime old");
  }
}

// P10: nothing is sent to a peer whose window is used up.
void Node::charge(const std::string& peer, const Changes& changes) {
  int64_t& credit = credit_[peer];
  if (credit <= 0) world_.fail(name_ + " sends more than the window of " + peer + " (P10)");
  for (const auto& run : changes.runs) credit -= static_cast<int64_t>(run.records.size());
}

void Node::check_credit() const {
  for (const auto& [peer, credit] : credit_) {
    if (!linked_.contains(peer)) continue;
    const auto window = static_cast<int64_t>(windows_.at(peer));
    if (credit < window - window / 4) {
      world_.fail(name_ + " was never given back " + std::to_string(window - credit) + " of the " +
                  std::to_string(window) + " bytes that " + peer + " lets in");
    }
  }
}

// P3: what is sent is on this disk, byte for byte as its origin committed it.
void Node::check_changes(const Changes& changes) {
  ++changes_sent_;
  for (const auto& run : changes.runs) {
    const bool own = run.origin == database_->state().self;
    if (own && unverified_ && run.last() > unverified_->since) unverified_->shipped = true;
    if (durable_.at(run.origin) < run.last()) {
      return world_.fail(name_ + " sent changes that are not durable here (P3)");
    }
    ByteReader in(run.records);
    for (uint64_t seq = run.first; seq <= run.last(); ++seq) {
      const auto* record = world_.oracle.record({run.origin, seq});
      if (record == nullptr || in.string() != *record) {
        return world_.fail(name_ + " sent other bytes than " + world_.oracle.dc(run.origin) +
                           " committed");
      }
    }
  }
}

// Notes the rare things a replica does.
void Node::watch(const Ready& ready) {
  std::set<std::string> sent_changes;
  for (const auto& send : ready.sends) {
    const bool again =
        std::holds_alternative<Changes>(send.message) && !sent_changes.insert(send.peer).second;
    if (again) world_.coverage.met(Met::kSeveralFrames);
    if (const auto* stop = std::get_if<Unsubscribe>(&send.message)) {
      const bool elsewhere =
          std::any_of(ready.sends.begin(), ready.sends.end(), [&](const Send& other) {
            const auto* start = std::get_if<Subscribe>(&other.message);
            return start != nullptr && start->origin == stop->origin;
          });
      if (!elsewhere) world_.coverage.met(Met::kOverflowPaused);
    }
    if (const auto* start = std::get_if<Subscribe>(&send.message)) {
      if (start->after < received_.at(start->origin)) {
        world_.coverage.met(Met::kOverflowAskedAgain);
        received_.set(start->origin, start->after);
      }
      const auto& dc = world_.oracle.dc(start->origin);
      if (dc != "?" && epoch_->graph.upstream(name_, dc) != send.peer) {
        world_.coverage.met(Met::kRerouted);
        for (const auto& origin : replica_->origins()) {
          if (origin.origin != start->origin) continue;
          if (origin.detour == Replica::Detour::kPulled) world_.coverage.met(Met::kPulled);
        }
      }
    }
  }
}

int64_t Node::read_ms() { return work_.between(0, world_.scheduler.now() < slow_until_ ? 200 : 3); }

void Node::read_log(const ReadLog& read) {
  later(read_ms(), [this, read, link_life = link_lives_[read.peer]] {
    if (link_life != link_lives_[read.peer]) return;  // nobody waits for it any more
    auto chunks = database_->read_log(read.after, read.max_bytes);
    std::vector<LogPiece> pieces;
    for (auto& chunk : *chunks) pieces.push_back({chunk.position, std::move(chunk.run)});
    replica_->log_read(read.peer, std::move(pieces), now());
    pump();
  });
}

void Node::locate(const Locate& what) {
  later(read_ms(), [this, what, link_life = link_lives_[what.peer]] {
    if (link_life != link_lives_[what.peer]) return;
    // The first change that the peer lacks.
    replica_->located(what.peer, what.origin, database_->position_before(what.origin, what.seq + 1),
                      now());
    pump();
  });
}

// ---- The writer --------------------------------------------------------------------------------

void Node::submit(std::vector<ClientTransaction> group, Replies replies) {
  if (catching_up_) return;
  enqueue({std::move(group), std::move(replies), {}});
}

void Node::enqueue(Job job) {
  jobs_.push_back(std::move(job));
  start_job();
}

void Node::start_job() {
  if (busy_ || jobs_.empty()) return;
  busy_ = true;
  const int64_t slow = world_.scheduler.now() < slow_until_ ? work_.between(20, 200) : 0;
  later(work_.between(0, 4) + slow, [this] {
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    busy_ = false;
    run(std::move(job));
    if (alive()) start_job();
  });
}

void Node::run(Job job) {
  if (job.promise) return run_promise(*job.promise);
  if (job.collect) return run_collect(*job.collect);
  job.group.empty() ? run_apply(std::move(job)) : run_commit(std::move(job));
}

void Node::run_promise(const VersionVector& floor) {
  world_.trace("promise", index_, floor.size());
  if (world_.faulty(Fault::kBusy) && busy_faults_.chance(0.1)) {
    return tell([this] { replica_->promise_failed(now()); }, Met::kCount);
  }
  if (auto done = database_->promise(floor); !done) return world_.fail(done.error().text);
  tell([this] { replica_->promised(now()); }, Met::kCrashBetweenPromiseAndTold);
}

void Node::collect() {
  if (!alive()) return;
  const VersionVector stable = replica_->collectable();
  if (stable == collecting_ || stable.empty()) return;
  collecting_ = stable;
  another_round_ = round_runs_;
  if (std::exchange(round_runs_, true)) return;
  enqueue({{}, {}, {}, {}, stable});
}

void Node::run_collect(const VersionVector& stable) {
  if (auto bad = world_.oracle.collected(stable, durable_, somewhere()))
    world_.fail(name_ + ": " + *bad);
  collected_.join(stable);
  const auto done = database_->collect(stable, kCollectRows);
  if (!done) return world_.fail("collecting failed: " + done.error().text);
  world_.trace("collect", index_, done->rows);
  world_.coverage.met(Met::kRowCollected, done->rows);
  round_runs_ = !done->round_over || std::exchange(another_round_, false);
  if (round_runs_) enqueue({{}, {}, {}, {}, collecting_});
}

bool Node::all_collected() const {
  return alive() && idle() && collecting_ == world_.oracle.everything();
}

void Node::run_commit(Job job) {
  const VersionVector had = durable_;
  auto done = database_->commit(job.group, wall_ms());
  if (!done) return world_.fail("commit failed: " + done.error().text);
  std::optional<LogPiece> piece;
  if (done->chunk) {
    const Run& run = done->chunk->run;
    world_.trace("commit", index_, run.first, run.count);
    durable_.advance(run.origin, run.last());
    history_[world_.scheduler.now()] = durable_;
    if (astray_) {
      ByteReader in(run.records);
      for (uint64_t i = 0; i < run.count; ++i) astray_records_.emplace_back(in.string());
    } else if (auto bad = world_.oracle.committed(run, had, takes_part())) {
      world_.fail(*bad);
    }
    piece = LogPiece{done->chunk->position, run};
  }
  tell(
      [this, piece = std::move(piece), results = std::move(done->results),
       replies = std::move(job.replies)] {
        if (piece) replica_->committed(*piece, now());
        if (replies) replies(results);
      },
      Met::kCrashBetweenCommitAndReply);
}

void Node::run_apply(Job job) {
  if (world_.faulty(Fault::kBusy) && busy_faults_.chance(0.2)) {
    world_.coverage.met(Met::kBusyApply);
    return tell([this] { replica_->apply_failed({Code::kBusy, "busy", ""}, now()); }, Met::kCount);
  }
  auto done = database_->apply(job.runs, wall_ms());
  if (!done) return world_.fail(name_ + ": apply failed: " + done.error().text);
  std::vector<LogPiece> pieces;
  for (const auto& run : job.runs) {
    world_.trace("apply", index_, run.first, run.count);
    if (run.first != durable_.at(run.origin) + 1) {
      world_.fail(name_ + " applied " + world_.oracle.dc(run.origin) + " " +
                  std::to_string(run.first) + " twice or after a gap (P6)");
    }
    durable_.advance(run.origin, run.last());
  }
  history_[world_.scheduler.now()] = durable_;
  for (auto& chunk : *done) pieces.push_back({chunk.position, std::move(chunk.run)});
  if (auto bad = world_.oracle.closed(durable_)) world_.fail(name_ + ": " + *bad);
  tell([this, pieces = std::move(pieces)] { replica_->applied(pieces, now()); },
       Met::kCrashBetweenApplyAndTold);
}

void Node::tell(std::function<void()> what, Met if_crashed) {
  ++untold_;
  untold_kind_ = if_crashed;
  if (if_crashed != Met::kCount && world_.faulty(Fault::kCrashAtPoint) && crash_.chance(0.02)) {
    crash();
    const int64_t down = crash_.between(1, 1000);
    world_.scheduler.after(down, [this] { start(); });
    return;
  }
  last_told_ = std::max(last_told_, world_.scheduler.now() + work_.between(0, 4));
  later(last_told_ - world_.scheduler.now(), [this, what = std::move(what)] {
    --untold_;
    what();
    pump();
  });
}

void Node::trim_log() {
  if (!alive()) return;
  const VersionVector stable = replica_->stable();
  if (stable.empty()) return;
  world_.coverage.met(Met::kLogTrimmed);
  (void)database_->trim_log(stable, {});
}

// A database that goes back needs the log for what it alone has: that may become another's history.
void Node::forget_log() {
  if (!alive() || astray_) return;
  VersionVector all = replica_->applied();
  const Origin self = replica_->self();
  if (world_.plan.goes_back()) all.set(self, std::min(all.at(self), others_have(self)));
  (void)database_->trim_log(all, {});
}

std::string Node::describe() const {
  std::string text = name_ +
                     (alive() ? ""
                      : left_ ? " LEFT"
                      : disk_ ? " DOWN"
                              : " JOINING") +
                     " epoch " + std::to_string(epoch_->config.epoch) +
                     (catching_up_ ? " catching up:" : ":");
  if (!alive()) return text;
  for (const auto& o : replica_->origins()) {
    text += " [" + o.dc + " applied " + std::to_string(o.applied) + " known " +
            std::to_string(o.known) + " of " +
            std::to_string(world_.oracle.everything().at(o.origin)) + " held " +
            std::to_string(o.held) + " from '" + o.upstream + "' wants '" + o.preferred + "']";
  }
  for (const auto& l : replica_->links()) {
    text += " {" + l.peer + (l.up ? " up" : " down") + " credit " + std::to_string(l.credit) +
            " sent to " + std::to_string(l.unsent_after) + "/" + std::to_string(l.log_head) + "}";
  }
  return text + (idle() ? "" : " writer at work");
}

}  // namespace entente::simulation
