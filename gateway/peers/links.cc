#include "gateway/peers/links.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "gateway/async/wall_clock.h"
#include "gateway/replica/handshake.h"
#include "gateway/transport/gateway_tls.h"

namespace entente {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{25};
constexpr milliseconds kSecondDialler{100};  // of the two ends of a spare link, the larger name
constexpr milliseconds kHealEvery{20};
constexpr milliseconds kLookEvery{100};  // where there are no spare links

SpareLinks::Instant now() {
  return std::chrono::duration_cast<milliseconds>(Links::Clock::now().time_since_epoch());
}

// Our clock as pings carry it.
uint64_t as_ticks(Links::Clock::time_point t) {
  return static_cast<uint64_t>(t.time_since_epoch().count());
}

// Of a clock that shows `theirs` now, in milliseconds.
double clock_offset(uint64_t theirs) {
  return static_cast<double>(static_cast<int64_t>(theirs - wall_ms()));
}

}  // namespace

Links::Links(boost::asio::io_context& io, const Config& config, const Graph& graph, std::string dc,
             Events events)
    : io_(io),
      config_(config),
      graph_(graph),
      dc_(std::move(dc)),
      spares_(graph, dc_, config.topology.failover_after, now()),
      events_(std::move(events)),
      heartbeat_(io),
      healing_(io) {
  for (const auto& name : graph_.datacenters()) {
    if (!graph_.may_link(dc_, name)) continue;
    auto& n = neighbours_.try_emplace(name, io_, *config_.find(name)).first->second;
    n.view.peer = name;
    n.view.spare = spares_.is_spare(name);
    n.view.reason = Graph::dials(dc_, name) ? "not reached yet" : "it has not connected yet";
    n.view.since_ms = wall_ms();
  }
}

Links::~Links() { stop(); }

Result<void> Links::start() {
  auto listener = PeerListener::listen(
      io_, config_.find(dc_)->peers, accept_gateways(config_), config_.limits,
      [this](std::shared_ptr<PeerLink> link) { take_stranger(std::move(link)); });
  if (!listener) return tl::unexpected(listener.error());
  listener_ = std::move(*listener);
  port_ = listener_->port();
  for (auto& [name, n] : neighbours_) {
    if (Graph::dials(dc_, name) && !n.view.spare) dial_neighbour(n);
  }
  beat();
  heal();
  return {};
}

void Links::stop() {
  stopped_ = true;
  if (listener_) listener_->stop();
  heartbeat_.cancel();
  healing_.cancel();
  for (auto& [name, n] : neighbours_) n.redial.cancel();
  for (auto& [link, c] : std::exchange(conversations_, {})) c.link->close("");
}

// ---- Connecting --------------------------------------------------------------------------------

void Links::dial_neighbour(Neighbour& n) {
  n.dialling = true;
  converse(dial(io_, to_gateway(config_, n.place), config_.limits), &n);
}

void Links::dial_again(Neighbour& n) {
  n.dialling = true;
  n.pause = std::clamp(n.pause * 2, kFirstPause, config_.limits.reconnect_max);
  std::uniform_int_distribution<int64_t> jitter(n.pause.count() / 2, n.pause.count());
  n.redial.expires_after(milliseconds(jitter(random_)));
  n.redial.async_wait([this, &n](boost::system::error_code ec) {
    if (ec || stopped_) return;
    n.dialling = false;
    const bool linked_by_them = n.view.spare && n.link;
    if (spares_.needed(n.place.name) && !linked_by_them) dial_neighbour(n);
  });
}

void Links::take_stranger(std::shared_ptr<PeerLink> link) {
  const auto is_stranger = [](const auto& entry) {
    return !entry.second.dialled && !entry.second.with;
  };
  const auto strangers = std::count_if(conversations_.begin(), conversations_.end(), is_stranger);
  if (static_cast<size_t>(strangers) >= kStrangers) {
    const auto oldest = std::min_element(conversations_.begin(), conversations_.end(),
                                         [&](const auto& a, const auto& b) {
                                           if (is_stranger(a) != is_stranger(b))
                                             return is_stranger(a);
                                           return a.second.number < b.second.number;
                                         });
    oldest->second.link->close("");
    conversations_.erase(oldest);
    report_stranger("too many connections that have not said hello: the oldest is closed");
  }
  converse(std::move(link), nullptr);
}

void Links::converse(std::shared_ptr<PeerLink> link, Neighbour* dialled) {
  PeerLink* const id = link.get();
  conversations_[id] = Conversation{link, dialled, nullptr, ++conversations_begun_};
  link->start({[this, id] { conversations_[id].link->send(events_.hello()); },
               [this, id](Frame frame) { on_frame(id, std::move(frame)); },
               [this, id](const std::string& why) { end(id, why, End::kLost); },
               [this, id](Transport transport, std::string received) {
                 conversations_.erase(id);
                 events_.asked(std::move(transport), std::move(received));
               }});
}

void Links::end(PeerLink* link, const std::string& why, End how) {
  const auto it = conversations_.find(link);
  if (it == conversations_.end()) return;
  const Conversation c = std::move(it->second);
  conversations_.erase(it);
  Neighbour* const n = c.with ? c.with : c.dialled;
  if (!n) return report_stranger(why);
  const bool was_up = n->link == link;
  if (was_up) set_down(*n);
  if (was_up && how != End::kUnneeded) ++n->view.losses;
  if (!was_up && c.dialled) spares_.failed(n->place.name);
  if (!n->link) {
    set_state(*n, how == End::kRefused ? LinkState::kRefused : LinkState::kConnecting, why);
  }
  if (was_up) events_.down(n->place.name);
  if (c.dialled && !stopped_) dial_again(*c.dialled);
}

// Only a link that was of use for a while is dialled at once again: one that dies as soon as it is
// up would be dialled without end.
void Links::set_down(Neighbour& n) {
  n.link = nullptr;
  if (spares_.down(n.place.name, now())) n.pause = milliseconds(0);
}

// `n`: whom they say they are, or whom we dialled; null for somebody we do not know.
void Links::refuse(PeerLink* link, Neighbour* n, const std::string& reason) {
  const auto it = conversations_.find(link);
  if (it == conversations_.end()) return;
  it->second.link->close(reason);
  if (n && !n->link) set_state(*n, LinkState::kRefused, reason);
  end(link, reason, End::kRefused);
}

// ---- Listening ---------------------------------------------------------------------------------

void Links::on_frame(PeerLink* link, Frame frame) {
  auto& c = conversations_.at(link);
  if (const auto* bye = std::get_if<Bye>(&frame)) {
    c.link->close("");
    return end(link, "the peer refuses: " + bye->reason.substr(0, 1000), End::kRefused);
  }
  if (c.with) return on_talk(c, std::move(frame));
  if (const auto* hello = std::get_if<Hello>(&frame)) return on_hello(link, *hello);
  refuse(link, c.dialled, "the peer's first frame is not a hello");
}

void Links::on_hello(PeerLink* link, const Hello& theirs) {
  auto& c = conversations_.at(link);
  if (auto himself = check_claim(c.link->certificate().get(), theirs.dc); !himself) {
    return refuse(link, c.dialled, himself.error().text);
  }
  Neighbour* const n = c.dialled ? c.dialled : find(theirs.dc);
  const auto answer = admit(c, theirs, n);
  if (!answer) return refuse(link, n, answer.error().text);
  welcome(c, *n, theirs);
}

// `n` may be null until check_hello says that `theirs` is a neighbour's.
Result<void> Links::admit(const Conversation& c, const Hello& theirs, const Neighbour* n) {
  const Hello mine = events_.hello();
  return check_hello(mine, theirs, graph_)
      .and_then([&] { return check_direction(c, theirs, *n); })
      .and_then([&] { return check_only_one(c, theirs, *n); })
      .and_then([&] { return events_.check_history(mine, theirs); });
}

Result<void> Links::check_direction(const Conversation& c, const Hello& theirs,
                                    const Neighbour& n) const {
  if (c.dialled && c.dialled->place.name != theirs.dc) {
    return fail(Code::kMismatch, "the `peers` endpoint of " + c.dialled->place.name +
                                     " is answered by " + theirs.dc);
  }
  if (!c.dialled && !n.view.spare && Graph::dials(dc_, theirs.dc)) {
    return fail(Code::kMismatch, dc_ + " opens the link to " + theirs.dc + ", not the reverse");
  }
  return {};
}

// A neighbour that lost its old connection without our noticing may take its place. When both ends
// opened a spare link at once, they keep the same one.
Result<void> Links::check_only_one(const Conversation& c, const Hello& theirs,
                                   const Neighbour& n) const {
  if (!n.link) return {};
  const bool silent = Clock::now() - n.heard > 2 * config_.limits.heartbeat;
  if (theirs.incarnation != n.incarnation && !silent) {
    return fail(Code::kMismatch, "another gateway is " + theirs.dc + " already, incarnation " +
                                     to_hex(n.incarnation) + ", not " + to_hex(theirs.incarnation));
  }
  const bool crossed = n.view.spare && opened_by_the_smaller(c, n) &&
                       !opened_by_the_smaller(conversations_.at(n.link), n);
  if (!silent && !crossed) return fail(Code::kMismatch, theirs.dc + " is linked already");
  return {};
}

void Links::welcome(Conversation& c, Neighbour& n, const Hello& theirs) {
  if (PeerLink* const old = n.link) {
    conversations_.at(old).link->close("replaced by a newer connection");
    end(old, "replaced by a newer connection", End::kLost);
  }
  c.with = &n;
  c.link->greeted();
  n.link = c.link.get();
  n.incarnation = theirs.incarnation;
  n.heard = Clock::now();
  spares_.up(n.place.name, now());
  n.view.clock_offset_ms = clock_offset(theirs.wall_ms);
  set_state(n, LinkState::kUp, "");
  events_.up(theirs);
}

void Links::on_talk(Conversation& c, Frame frame) {
  Neighbour& n = *c.with;
  n.heard = Clock::now();
  if (const auto* ping = std::get_if<Ping>(&frame)) return c.link->send(Pong{ping->t, wall_ms()});
  if (const auto* pong = std::get_if<Pong>(&frame)) return on_pong(n, *pong);
  std::visit(
      [&](auto&& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_constructible_v<Message, Body&&>) {
          events_.received(n.place.name, Message(std::move(body)));
        } else {
          refuse(c.link.get(), &n, "the peer said hello twice");
        }
      },
      std::move(frame));
}

void Links::on_pong(Neighbour& n, const Pong& pong) {
  if (pong.t != as_ticks(n.pinged)) return;
  const std::chrono::duration<double, std::milli> round_trip = Clock::now() - n.pinged;
  n.view.round_trip_ms = round_trip.count();
  n.view.clock_offset_ms = clock_offset(pong.wall_ms) + n.view.round_trip_ms / 2;
}

// ---- Talking -----------------------------------------------------------------------------------

void Links::send(std::string_view peer, Message message) {
  const auto* n = find(peer);
  if (n && n->link) n->link->send(to_frame(std::move(message)));
}

void Links::cut(std::string_view peer, const std::string& reason) {
  auto* const n = find(peer);
  if (!n || !n->link) return;
  PeerLink* const link = n->link;
  set_down(*n);
  ++n->view.losses;
  refuse(link, n, reason);
}

void Links::check_certificates() {
  if (!config_.tls.live) return;
  const auto files = config_.tls.live->current();
  const bool changed = std::exchange(checked_, files) != files;
  const auto seconds = static_cast<int64_t>(wall_ms() / 1000);
  for (auto& [name, n] : neighbours_) {
    if (!n.link) continue;
    const auto& c = conversations_.at(n.link);
    const auto peer = c.link->certificate();
    if (!peer) continue;
    if (!changed && seconds < peer->ends) continue;
    const auto role = c.dialled ? TlsSession::Role::kDials : TlsSession::Role::kAccepts;
    if (const auto welcome = files->check_again(*peer, role); !welcome) {
      const auto link = c.link;
      link->close(welcome.error().text);
      end(link.get(), welcome.error().text, End::kRefused);
    }
  }
}

void Links::beat() {
  check_certificates();
  for (auto& [name, n] : neighbours_) {
    if (!n.link) continue;
    n.pinged = Clock::now();
    n.link->send(Ping{as_ticks(n.pinged)});
  }
  heartbeat_.expires_after(config_.limits.heartbeat);
  heartbeat_.async_wait([this](boost::system::error_code ec) {
    if (!ec && !stopped_) beat();
  });
}

// ---- Spare links -------------------------------------------------------------------------------

// Which of them are needed changes with every link that comes or goes, and with time.
void Links::heal() {
  const auto opened = spares_.look(
      now(), [this](const std::string& peer) { return events_.in_use && events_.in_use(peer); },
      [this](const std::string& peer) { return !events_.useful || events_.useful(peer); });
  for (auto& [name, n] : neighbours_) {
    if (!n.view.spare) continue;
    open_if_needed(n, opened.contains(name));
    close_if_idle(n);
  }
  healing_.expires_after(graph_.spares(dc_).empty() ? kLookEvery : kHealEvery);
  healing_.async_wait([this](boost::system::error_code ec) {
    if (!ec && !stopped_) heal();
  });
}

void Links::open_if_needed(Neighbour& n, bool news) {
  if (news) {
    n.pause = milliseconds(0);
    spdlog::info("spare_link_needed dc={} peer={}", dc_, n.place.name);
  }
  if (!spares_.needed(n.place.name) || n.link || n.dialling) return;
  if (Graph::dials(dc_, n.place.name)) return dial_neighbour(n);
  n.pause = kSecondDialler;  // the other end needs it too, as a rule: let it go first
  dial_again(n);
}

// The other end may still need it, and then dials.
void Links::close_if_idle(Neighbour& n) {
  if (!n.link || !conversations_.at(n.link).dialled) return;
  if (!spares_.idle(n.place.name, now())) return;
  spdlog::info("spare_link_closed dc={} peer={}", dc_, n.place.name);
  const auto link = conversations_.at(n.link).link;
  link->close("this spare link is no longer needed");
  end(link.get(), "it is no longer needed", End::kUnneeded);
}

bool Links::opened_by_the_smaller(const Conversation& c, const Neighbour& n) const {
  return (c.dialled != nullptr) == Graph::dials(dc_, n.place.name);
}

// ---- Known -------------------------------------------------------------------------------------

std::vector<LinkView> Links::view() const {
  std::vector<LinkView> out;
  for (const auto& [name, n] : neighbours_) {
    if (!spares_.needed(name) && !n.link) continue;
    LinkView& v = out.emplace_back(n.view);
    if (v.state == LinkState::kUp && spares_.trust(name) == LinkTrust::State::kOnTrial) {
      v.state = LinkState::kUnsteady;
      v.reason = n.lost_for;
    }
    if (!n.refused) continue;
    v.refused_seconds_ago = std::chrono::duration<double>(Clock::now() - *n.refused).count();
  }
  return out;
}

void Links::set_state(Neighbour& n, LinkState state, const std::string& reason) {
  if (state == LinkState::kRefused) n.refused = Clock::now();
  if (n.view.state == state && n.view.reason == reason) return;
  const bool changes = n.view.state != state;
  const auto level = changes || is_up(state) ? spdlog::level::info : spdlog::level::debug;
  spdlog::log(level, "link_{} dc={} peer={} reason=\"{}\"", to_string(state), dc_, n.place.name,
              reason);
  if (changes) n.view.since_ms = wall_ms();
  n.view.state = state;
  n.view.reason = reason;
  if (!is_up(state)) n.lost_for = reason;
  if (state == LinkState::kRefused) n.view.refusal = reason;
}

void Links::report_stranger(const std::string& why) {
  const auto count = strangers_.due(why, now());
  if (!count) return;
  spdlog::warn("connection_refused dc={} count={} reason=\"{}\"", dc_, *count, why);
}

Links::Neighbour* Links::find(std::string_view dc) {
  const auto it = neighbours_.find(dc);
  return it == neighbours_.end() ? nullptr : &it->second;
}

}  // namespace entente
