#include "gateway/peers/peers.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "gateway/async/repeated_line.h"
#include "gateway/async/wall_clock.h"
#include "gateway/peers/hot_log.h"
#include "gateway/peers/links.h"
#include "gateway/peers/moving_rate.h"
#include "gateway/replica/handshake.h"

namespace entente {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Instant = Replica::Instant;
using std::chrono::milliseconds;

constexpr size_t kHotLogBytes = 16 << 20;
constexpr milliseconds kBusyTick{10};  // while something changes
constexpr milliseconds kIdleTick{100};
constexpr milliseconds kBusyFor{1'000};  // after the last event
constexpr milliseconds kTrimEvery{500};
constexpr milliseconds kVerifiedAfter{10'000};  // the peers have said by then what they know
constexpr milliseconds kStopTime{3'000};

Instant now() { return std::chrono::duration_cast<Instant>(Clock::now().time_since_epoch()); }

Replica::Options options_of(const Config& config, const Graph& graph, const std::string& dc) {
  Replica::Options options;
  options.dc = dc;
  options.graph = &graph;
  options.reroute = config.topology.reroute;
  options.failover_after = config.topology.failover_after;
  options.max_clock_drift = config.max_clock_drift;
  options.context_lifetime = config.limits.context_lifetime;
  options.frame_bytes = config.limits.frame_bytes;
  options.link_window = config.limits.link_window;
  options.batch_bytes = config.limits.batch_bytes;
  options.hold_back_bytes = config.limits.hold_back_bytes;
  options.apply_bytes = config.limits.apply_bytes;
  return options;
}

Replica::State state_of(const DatabaseState& opened) {
  return {opened.self, opened.streams, opened.labels, opened.log_head, opened.promised};
}

LogPiece piece_of(LogChunk chunk) { return {chunk.position, std::move(chunk.run)}; }

std::vector<LogPiece> pieces_of(std::vector<LogChunk> chunks) {
  std::vector<LogPiece> pieces;
  pieces.reserve(chunks.size());
  for (auto& chunk : chunks) pieces.push_back(piece_of(std::move(chunk)));
  return pieces;
}

struct LinkRates {
  MovingRate sent_bytes, received_bytes, sent_changes, received_changes;
};

}  // namespace

// Everything happens on one thread, that of `io`; the Store's threads post to it.
struct Peers::Impl : std::enable_shared_from_this<Peers::Impl> {
  Impl(const Config& c, const Graph& graph, std::string dc, Store& s)
      : config(c),
        store(s),
        replica(options_of(c, graph, dc), state_of(s.opened())),
        hot(s.opened().log_head, kHotLogBytes),
        ticker(io),
        links(io, c, graph, dc, events()) {
    who_i_am.cluster = c.cluster;
    who_i_am.dc = dc;
    who_i_am.topology = topology_fingerprint(c);
    who_i_am.rules = rules_fingerprint(c);
    who_i_am.handlers = handler_versions(c.rules);
  }

  // A listener for the Store's threads, which may outlive this: brings what it is told home.
  template <class Told>
  auto at_home(void (Impl::*method)(Told));

  // What happened: tell the replica, then do what it wants.
  template <class Event>
  void step(Event event) {
    last_event = now();
    event(last_event);
    drive();
    if (ticker_pause != kBusyTick) tick_after(kBusyTick);
  }

  Links::Events events();
  Hello hello() const;
  Result<void> check_history(const Hello& mine, const Hello& theirs);
  void committed(LogChunk chunk);
  void applied(Result<std::vector<LogChunk>> outcome);
  void promised(Result<void> outcome);
  void give_copy(std::function<void(bool)> done);

  // What should be done.
  void drive();
  void perform(Ready& ready);
  bool ships(const Message& message) const;
  void apply(Apply work);
  void read(const ReadLog& request);
  void locate(const Locate& request);

  void tick_after(milliseconds pause);
  void tick();
  void trim();
  void collect();
  void sample_rates(Instant t);
  PeersView view() const;
  void add_rates(LinkView& link) const;
  void hold(PeersView& v) const;
  uint64_t log_needed_after(const PeersView& v) const;

  const Config& config;
  Store& store;
  Hello who_i_am;
  asio::io_context io{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> busy{
      asio::make_work_guard(io)};
  Replica replica;
  HotLog hot;
  asio::steady_timer ticker;
  milliseconds ticker_pause{0};
  Instant last_event{0};
  Instant last_trim{0};
  bool trims_what_all_have = false;
  Instant last_sample{0};
  std::map<std::string, LinkRates, std::less<>> rates;
  VersionVector collected;
  Links links;
  OnRequest on_request;
  OnRejoin on_rejoin;
  std::function<void()> on_verified;  // null: it is known already
  std::function<void()> on_shipping;  // null: some were sent already …
  uint64_t shipping_after = 0;        // … of its own, after this seq
  std::optional<Instant> first_linked;
  RepeatedLine apply_failures;
  std::vector<std::function<void(bool)>> copies_wait;  // for a promise that is under way
  bool stopping = false;
  std::thread thread;
};

// ---- What happened -----------------------------------------------------------------------------

Links::Events Peers::Impl::events() {
  Links::Events e;
  e.hello = [this] { return hello(); };
  e.check_history = [this](const Hello& mine, const Hello& theirs) {
    return check_history(mine, theirs);
  };
  e.up = [this](const Hello& theirs) {
    if (!first_linked) first_linked = now();
    step([&](Instant t) { replica.link_up(theirs, t); });
    store.database().limit_records(replica.longest_record());
  };
  e.down = [this](const std::string& peer) {
    step([&](Instant t) { replica.link_down(peer, t); });
  };
  e.received = [this](const std::string& peer, Message message) {
    step([&](Instant t) { replica.receive(peer, std::move(message), t, wall_ms()); });
  };
  e.in_use = [this](const std::string& peer) { return replica.in_use(peer); };
  e.useful = [this](const std::string& peer) { return replica.useful(peer); };
  e.asked = [this](Transport transport, std::string received) {
    if (on_request) on_request(std::move(transport), std::move(received));
  };
  return e;
}

Hello Peers::Impl::hello() const {
  Hello mine = replica.hello(who_i_am);
  mine.wall_ms = wall_ms();
  mine.collected = store.database().state().collected;
  for (auto& position : mine.applied) {
    const auto chain = store.database().chain_at(position.origin, position.seq);
    if (chain && *chain) position.chain = **chain;
  }
  return mine;
}

Result<void> Peers::Impl::check_history(const Hello& mine, const Hello& theirs) {
  const VersionVector promised = store.database().state().promised;
  auto one =
      entente::check_history(mine, promised, theirs, [this](const Origin& origin, uint64_t seq) {
        return store.database().chain_at(origin, seq);
      });
  if (!one && one.error().tag == kOwnFork && on_rejoin)
    on_rejoin(false, {one.error().text, {theirs.dc}, true});
  return one;
}

template <class Told>
auto Peers::Impl::at_home(void (Impl::*method)(Told)) {
  return [weak = weak_from_this(), method](Told told) {
    const auto impl = weak.lock();
    if (!impl) return;
    auto deliver = [raw = impl.get(), method, told = std::move(told)]() mutable {
      (raw->*method)(std::move(told));
    };
    asio::post(impl->io, std::move(deliver));
  };
}

void Peers::Impl::committed(LogChunk chunk) {
  LogPiece piece = piece_of(std::move(chunk));
  hot.add(piece);
  step([&](Instant t) { replica.committed(std::move(piece), t); });
}

void Peers::Impl::applied(Result<std::vector<LogChunk>> outcome) {
  if (!outcome) {
    if (const auto count = apply_failures.due(outcome.error().text, now())) {
      spdlog::warn("apply_failed count={} reason=\"{}\"", *count, outcome.error().text);
    }
    return step([&](Instant t) { replica.apply_failed(outcome.error(), t); });
  }
  auto pieces = pieces_of(std::move(*outcome));
  for (const auto& piece : pieces) hot.add(piece);
  step([&](Instant t) { replica.applied(std::move(pieces), t); });
}

void Peers::Impl::promised(Result<void> outcome) {
  if (!outcome) spdlog::warn("promise_failed reason=\"{}\"", outcome.error().text);
  step([&](Instant t) { outcome ? replica.promised(t) : replica.promise_failed(t); });
  for (auto& copy : std::exchange(copies_wait, {})) give_copy(std::move(copy));
}

void Peers::Impl::give_copy(std::function<void(bool)> done) {
  if (replica.promise_under_way()) return copies_wait.push_back(std::move(done));
  done(true);
}

// ---- What should be done -----------------------------------------------------------------------

void Peers::Impl::drive() {
  if (stopping) return;
  for (auto ready = replica.take(); !ready.empty(); ready = replica.take()) perform(ready);
}

void Peers::Impl::perform(Ready& ready) {
  for (auto& send : ready.sends) {
    if (on_shipping && ships(send.message)) std::exchange(on_shipping, nullptr)();
    links.send(send.peer, std::move(send.message));
  }
  if (ready.apply) apply(std::move(*ready.apply));
  for (const auto& request : ready.reads) read(request);
  for (const auto& request : ready.locates) locate(request);
  for (const auto& cut : ready.cuts) links.cut(cut.peer, cut.reason);
  if (ready.promise) store.promise(std::move(*ready.promise), at_home(&Impl::promised));
  if (ready.rejoin && on_rejoin) on_rejoin(true, *ready.rejoin);
}

bool Peers::Impl::ships(const Message& message) const {
  const auto* changes = std::get_if<Changes>(&message);
  return changes != nullptr &&
         std::any_of(changes->runs.begin(), changes->runs.end(), [this](const Run& run) {
           return run.origin == replica.self() && run.last() > shipping_after;
         });
}

void Peers::Impl::apply(Apply work) { store.apply(std::move(work.runs), at_home(&Impl::applied)); }

void Peers::Impl::read(const ReadLog& request) {
  if (auto pieces = hot.read(request.after, request.max_bytes)) {
    return replica.log_read(request.peer, std::move(*pieces), now());
  }
  auto chunks = store.database().read_log(request.after, request.max_bytes);
  if (!chunks) {
    links.cut(request.peer, "the log cannot be read: " + chunks.error().text);
    return replica.link_down(request.peer, now());
  }
  replica.log_read(request.peer, pieces_of(std::move(*chunks)), now());
}

void Peers::Impl::locate(const Locate& request) {
  replica.located(request.peer, request.origin,
                  store.database().position_before(request.origin, request.seq + 1), now());
}

void Peers::Impl::tick_after(milliseconds pause) {
  if (stopping) return;
  ticker_pause = pause;
  ticker.expires_after(pause);
  ticker.async_wait([this](boost::system::error_code ec) {
    if (!ec) tick();
  });
}

void Peers::Impl::tick() {
  const Instant t = now();
  replica.tick(t);
  drive();
  sample_rates(t);
  if (t - last_trim >= kTrimEvery) {
    last_trim = t;
    trim();
    collect();
    store.judge_again();
    const bool known = first_linked && t - *first_linked >= kVerifiedAfter && !replica.restored();
    if (known && on_verified) std::exchange(on_verified, nullptr)();
  }
  tick_after(t - last_event < kBusyFor ? kBusyTick : kIdleTick);
}

void Peers::Impl::trim() {
  const auto forget = [this](VersionVector covered, milliseconds age) {
    if (covered.empty()) return;
    const uint64_t since = wall_ms() - static_cast<uint64_t>(age.count());
    store.trim_log(std::move(covered), {since, config.limits.log_bytes});
  };
  // One at a time: the Store remembers the latest.
  trims_what_all_have = !trims_what_all_have;
  if (trims_what_all_have) return forget(replica.stable(), config.limits.changes_retention);
  forget(replica.applied(), config.limits.log_retention);
}

void Peers::Impl::collect() {
  VersionVector collectable = replica.collectable();
  if (collectable.empty() || collectable == collected) return;
  collected = collectable;
  store.collect(std::move(collectable));
}

void Peers::Impl::sample_rates(Instant t) {
  if (t - last_sample < MovingRate::kStep) return;
  last_sample = t;
  for (const auto& traffic : replica.links()) {
    LinkRates& r = rates[traffic.peer];
    r.sent_bytes.sample(t, traffic.sent_bytes);
    r.received_bytes.sample(t, traffic.received_bytes);
    r.sent_changes.sample(t, traffic.sent_transactions);
    r.received_changes.sample(t, traffic.received_transactions);
  }
}

void Peers::Impl::add_rates(LinkView& link) const {
  const auto it = rates.find(link.peer);
  if (it == rates.end()) return;
  const auto& [sent_bytes, received_bytes, sent_changes, received_changes] = it->second;
  const Instant t = now();
  link.sent_bytes_rate = sent_bytes.per_second(t, link.traffic.sent_bytes);
  link.received_bytes_rate = received_bytes.per_second(t, link.traffic.received_bytes);
  link.sent_changes_rate = sent_changes.per_second(t, link.traffic.sent_transactions);
  link.received_changes_rate = received_changes.per_second(t, link.traffic.received_transactions);
}

// A link over which a change cannot pass, as both ends see it.
void Peers::Impl::hold(PeersView& v) const {
  const auto sentence = [&](const Oversized& change, const std::string& whose, size_t most) {
    const auto known = std::find_if(v.origins.begin(), v.origins.end(), [&](const auto& origin) {
      return origin.origin == change.origin;
    });
    const bool named = known != v.origins.end() && !known->dc.empty();
    return "change " + std::to_string(change.seq) + " of " +
           (named ? known->dc : to_hex(change.origin)) + " takes a frame of " +
           std::to_string(change.bytes) + " bytes, more than limits.frame_bytes of " + whose +
           ", " + std::to_string(most) + ": raise that, and restart " + whose;
  };
  for (auto& link : v.links) {
    if (!is_up(link.state)) continue;
    if (const auto& change = link.traffic.too_long) {
      link.state = LinkState::kHeld;
      link.reason = sentence(*change, link.peer, link.traffic.frame_bytes);
    }
    for (const auto& origin : v.origins) {
      if (origin.detour != Replica::Detour::kTooLong || origin.preferred != link.peer) continue;
      link.state = LinkState::kHeld;
      link.reason = sentence(origin.too_long, who_i_am.dc, config.limits.frame_bytes);
    }
  }
}

// Before the oldest change that somebody is not known to have applied.
uint64_t Peers::Impl::log_needed_after(const PeersView& v) const {
  uint64_t after = v.log_head;
  for (const auto& [origin, seq] : v.applied) {
    if (v.stable.at(origin) >= seq) continue;
    const auto position = store.database().position_before(origin, v.stable.at(origin) + 1);
    // What was never in this log, because this database began as a copy, is not kept for anybody.
    if (position) after = std::min(after, *position);
  }
  return after;
}

PeersView Peers::Impl::view() const {
  PeersView v;
  v.links = links.view();
  for (auto& traffic : replica.links()) {
    for (auto& link : v.links) {
      if (link.peer == traffic.peer) link.traffic = traffic;
    }
    v.log_head = traffic.log_head;
  }
  for (auto& link : v.links) add_rates(link);
  v.origins = replica.origins();
  hold(v);
  for (const auto& [dc, row] : replica.members()) v.members.push_back(row);
  v.applied = replica.applied();
  v.stable = replica.stable();
  v.collectable = replica.collectable();
  v.held_bytes = replica.held_bytes();
  v.log_needed_after = log_needed_after(v);
  return v;
}

std::string_view to_string(LinkState state) {
  constexpr std::string_view kNames[] = {"connecting", "refused", "unsteady", "held", "up"};
  return kNames[static_cast<size_t>(state)];
}

// ---- The door ----------------------------------------------------------------------------------

Peers::Peers(const Config& config, const Graph& graph, std::string dc, Store& store)
    : impl_(std::make_shared<Impl>(config, graph, std::move(dc), store)) {
  store.on_commit(impl_->at_home(&Impl::committed));
}

Peers::~Peers() { stop(); }

void Peers::on_rejoin(OnRejoin listener) { impl_->on_rejoin = std::move(listener); }

void Peers::on_verified(std::function<void()> listener) {
  impl_->on_verified = std::move(listener);
}

void Peers::on_shipping(uint64_t after, std::function<void()> listener) {
  impl_->shipping_after = after;
  impl_->on_shipping = std::move(listener);
}

void Peers::on_request(OnRequest listener) { impl_->on_request = std::move(listener); }

Result<void> Peers::start() {
  auto& p = *impl_;
  if (auto listening = p.links.start(); !listening) return listening;
  p.tick_after(kBusyTick);
  p.thread = std::thread([&p] { p.io.run(); });
  return {};
}

void Peers::stop() {
  auto& p = *impl_;
  if (!p.thread.joinable()) return;
  std::promise<void> drained;
  asio::post(p.io, [&p] {
    p.stopping = true;
    p.links.stop();
    p.ticker.cancel();
    p.busy.reset();
  });
  // A name that is being resolved cannot be called off.
  auto watchdog = std::async(std::launch::async, [&p, done = drained.get_future()] {
    if (done.wait_for(kStopTime) == std::future_status::timeout) p.io.stop();
  });
  p.thread.join();
  drained.set_value();
}

uint16_t Peers::port() const { return impl_->links.port(); }

void Peers::view(std::function<void(PeersView)> done) {
  asio::post(impl_->io, [impl = impl_.get(), done = std::move(done)] { done(impl->view()); });
}

void Peers::copied_by(std::string dc, std::function<void(bool)> done) {
  asio::post(impl_->io, [impl = impl_.get(), dc = std::move(dc), done = std::move(done)] {
    impl->replica.copied_by(dc);
    impl->give_copy(done);
  });
}

}  // namespace entente
