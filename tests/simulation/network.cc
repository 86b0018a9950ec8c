#include "tests/simulation/network.h"

#include <algorithm>
#include <utility>

namespace entente::simulation {
namespace {

constexpr size_t kRemembered = 8;  // frames of changes that may come again, per direction

size_t bytes_of(const Message& message) {
  const auto* changes = std::get_if<Changes>(&message);
  size_t bytes = 0;
  for (size_t i = 0; changes != nullptr && i < changes->runs.size(); ++i) {
    bytes += changes->runs[i].records.size();
  }
  return bytes;
}

}  // namespace

Network::Network(World& world) : world_(world) {
  const auto& names = world.plan.names;
  for (size_t a = 0; a < names.size(); ++a) {
    for (size_t b = a + 1; b < names.size(); ++b) {
      links_.emplace_back(a, b, Random(world.plan.seed, "link " + names[a] + " " + names[b]));
    }
  }
}

void Network::attach(std::vector<Endpoint*> endpoints) { endpoints_ = std::move(endpoints); }

size_t Network::link_between(size_t a, size_t b) const {
  for (size_t i = 0; i < links_.size(); ++i) {
    if (joins(i, a) && joins(i, b)) return i;
  }
  return links_.size();
}

bool Network::joins(size_t link, size_t node) const {
  return links_[link].ends[0] == node || links_[link].ends[1] == node;
}

bool Network::crosses(size_t link, uint64_t side) const {
  return (side >> links_[link].ends[0] & 1) != (side >> links_[link].ends[1] & 1);
}

bool Network::drawn(const Link& link) const {
  const auto& names = world_.plan.names;
  const auto has = [&](size_t me, size_t other) {
    const Epoch* epoch = endpoints_[link.ends[me]]->epoch();
    if (epoch == nullptr) return false;
    const auto& near = epoch->graph.neighbours(names[link.ends[me]]);
    return std::binary_search(near.begin(), near.end(), names[link.ends[other]]);
  };
  return has(0, 1) || has(1, 0);
}

std::vector<size_t> Network::used_links() const {
  std::vector<size_t> used;
  for (size_t i = 0; i < links_.size(); ++i) {
    if (links_[i].connected || drawn(links_[i])) used.push_back(i);
  }
  return used;
}

// ---- A link's life -----------------------------------------------------------------------------

bool Network::may_connect(const Link& link) const {
  const Endpoint& a = *endpoints_[link.ends[0]];
  const Endpoint& b = *endpoints_[link.ends[1]];
  if (!a.alive() || !b.alive() || link.blocked > 0 || a.epoch() != b.epoch()) return false;
  const auto& names = world_.plan.names;
  const std::string& name_a = names[link.ends[0]];
  const std::string& name_b = names[link.ends[1]];
  return (a.wants(name_b) || b.wants(name_a)) && a.may_meet(name_b) && b.may_meet(name_a);
}

void Network::open(size_t from, const std::string& peer) {
  reconnect_later(link_between(from, world_.index_of(peer)));
}

void Network::close(size_t from, const std::string& peer) {
  const size_t link = link_between(from, world_.index_of(peer));
  if (!may_connect(links_[link])) break_link(link);
}

void Network::drop(size_t from, const std::string& peer) {
  cut(link_between(from, world_.index_of(peer)));
}

bool Network::reachable(size_t a, size_t b) const {
  return links_[link_between(a, b)].blocked == 0;
}

void Network::try_connect(size_t index) {
  Link& link = links_[index];
  if (link.connected || link.closing[0] || link.closing[1] || !may_connect(link)) return;
  ++link.session;
  link.connected = true;
  world_.trace("connect", link.ends[0], link.ends[1], link.session);
  for (size_t end : {0, 1}) {
    Direction& direction = link.directions[end];
    direction.in_flight.clear();
    direction.last_arrival = world_.scheduler.now();
    transmit(index, end, endpoints_[link.ends[end]]->hello());
  }
}

void Network::send(size_t from, const std::string& peer, Message message) {
  const size_t index = link_between(from, world_.index_of(peer));
  if (index == links_.size()) return world_.fail("a message to a node without a link");
  const size_t direction = links_[index].ends[0] == from ? 0 : 1;
  if (!links_[index].connected) return;  // this end has yet to notice
  world_.trace("send", from, links_[index].ends[1 - direction],
               message.index() << 32 | bytes_of(message));
  transmit(index, direction, std::move(message));
}

int64_t Network::draw_latency(Link& link) {
  const int64_t usual = link.random.between(1, world_.plan.latency_ms);
  const bool slow = link.random.chance(0.05);
  const int64_t extra = link.random.between(0, world_.plan.latency_max_ms);
  if (!slow || !world_.faulty(Fault::kDelay)) return usual;
  world_.coverage.met(Met::kDelayedMessage);
  return usual + extra;
}

void Network::transmit(size_t index, size_t direction, Frame frame) {
  Link& link = links_[index];
  Direction& way = link.directions[direction];
  way.in_flight.push_back(std::move(frame));
  way.last_arrival =
      std::max({way.last_arrival, way.stalled_until, world_.scheduler.now() + draw_latency(link)});
  world_.scheduler.at(way.last_arrival, [this, index, direction, session = link.session] {
    deliver(index, direction, session);
  });
}

void Network::deliver(size_t index, size_t direction, uint64_t session) {
  Link& link = links_[index];
  auto& in_flight = link.directions[direction].in_flight;
  if (link.session != session || in_flight.empty()) return;
  Frame frame = std::move(in_flight.front());
  in_flight.pop_front();
  hand_over(index, direction, std::move(frame));
  // Broken, and this was the last of what still came through.
  if (!link.connected && in_flight.empty() && link.closing[1 - direction]) {
    notice(index, 1 - direction, session);
  }
}

void Network::hand_over(size_t index, size_t direction, Frame frame) {
  Link& link = links_[index];
  Endpoint& to = *endpoints_[link.ends[1 - direction]];
  if (!to.alive()) return;
  const std::string& from = world_.plan.names[link.ends[direction]];
  if (const auto* hello = std::get_if<Hello>(&frame)) {
    link.told[1 - direction] = true;
    if (to.link_up(*hello)) return;
    world_.trace("refuse", link.ends[1 - direction], link.ends[direction]);
    link.told[1 - direction] = false;
    return break_link(index);
  }
  if (!link.told[1 - direction]) return;
  Message message = std::get<Message>(std::move(frame));
  world_.trace("receive", link.ends[1 - direction], link.ends[direction],
               message.index() << 32 | bytes_of(message));
  if (const auto* changes = std::get_if<Changes>(&message)) {
    auto& delivered = link.directions[direction].delivered;
    if (world_.faulty(Fault::kReplay)) delivered.push_back(*changes);
    if (delivered.size() > kRemembered) delivered.erase(delivered.begin());
  }
  to.receive(from, std::move(message));
  maybe_replay(link, direction);
}

// A frame of before, perhaps of an earlier life of the link.
void Network::maybe_replay(Link& link, size_t direction) {
  auto& delivered = link.directions[direction].delivered;
  if (!world_.faulty(Fault::kReplay) || delivered.empty() || !link.random.chance(0.1)) return;
  Endpoint& to = *endpoints_[link.ends[1 - direction]];
  if (!to.alive() || !link.told[1 - direction]) return;
  world_.coverage.met(Met::kFrameReplayed);
  world_.trace("replay", link.ends[1 - direction], link.ends[direction]);
  to.receive(world_.plan.names[link.ends[direction]], link.random.pick(delivered));
}

void Network::break_link(size_t index) {
  Link& link = links_[index];
  if (!link.connected) return;
  link.connected = false;
  world_.trace("break", link.ends[0], link.ends[1], link.session);
  for (size_t direction : {0, 1}) {
    auto& in_flight = link.directions[direction].in_flight;
    in_flight.resize(link.random.below(in_flight.size() + 1));
    const size_t end = 1 - direction;
    link.closing[end] = true;
    const int64_t noticed =
        std::max(world_.scheduler.now(), link.directions[direction].stalled_until) +
        link.random.between(0, 100);
    if (in_flight.empty()) {
      world_.scheduler.at(
          noticed, [this, index, end, session = link.session] { notice(index, end, session); });
    }
  }
}

void Network::notice(size_t index, size_t end, uint64_t session) {
  Link& link = links_[index];
  if (link.session != session || !link.closing[end]) return;
  link.closing[end] = false;
  link.directions[1 - end].in_flight.clear();
  Endpoint& node = *endpoints_[link.ends[end]];
  if (std::exchange(link.told[end], false) && node.alive()) {
    world_.trace("link down", link.ends[end], link.ends[1 - end]);
    node.link_down(world_.plan.names[link.ends[1 - end]]);
  }
  if (!link.closing[1 - end]) reconnect_later(index);
}

void Network::reconnect_later(size_t index) {
  world_.scheduler.after(links_[index].random.between(1, 200),
                         [this, index] { try_connect(index); });
}

// ---- Faults ------------------------------------------------------------------------------------

void Network::cut(size_t link) { break_link(link); }

void Network::block(size_t link) {
  ++links_[link].blocked;
  break_link(link);
}

void Network::unblock(size_t link) {
  if (links_[link].blocked > 0 && --links_[link].blocked == 0) reconnect_later(link);
}

void Network::stall(size_t link, size_t direction, int64_t until) {
  links_[link].directions[direction].stalled_until = until;
}

void Network::vanish(size_t node) {
  for (size_t i = 0; i < links_.size(); ++i) {
    if (!joins(i, node)) continue;
    break_link(i);
    const size_t end = links_[i].ends[0] == node ? 0 : 1;
    links_[i].told[end] = false;
    links_[i].directions[1 - end].in_flight.clear();
    notice(i, end, links_[i].session);
  }
}

void Network::returned(size_t node) {
  for (size_t i = 0; i < links_.size(); ++i) {
    if (joins(i, node)) reconnect_later(i);
  }
}

void Network::lose_all_from(size_t node) {
  for (size_t i = 0; i < links_.size(); ++i) {
    Link& link = links_[i];
    if (!joins(i, node)) continue;
    const size_t direction = link.ends[0] == node ? 0 : 1;
    const bool any = !link.directions[direction].in_flight.empty();
    link.directions[direction].in_flight.clear();
    link.directions[direction].delivered.clear();
    if (any && link.closing[1 - direction]) notice(i, 1 - direction, link.session);
  }
}

void Network::heal() {
  for (size_t i = 0; i < links_.size(); ++i) {
    links_[i].blocked = 0;
    for (auto& direction : links_[i].directions) direction.stalled_until = 0;
    reconnect_later(i);
  }
}

bool Network::quiet() const {
  return std::all_of(links_.begin(), links_.end(), [this](const Link& link) {
    if (!link.connected) return !drawn(link) && !link.closing[0] && !link.closing[1];
    return link.told[0] && link.told[1] && link.directions[0].in_flight.empty() &&
           link.directions[1].in_flight.empty();
  });
}

std::string Network::describe() const {
  std::string text;
  for (const auto& link : links_) {
    if (!link.connected && !drawn(link)) continue;
    text += world_.plan.names[link.ends[0]] + "-" + world_.plan.names[link.ends[1]] +
            (link.connected ? " up; " : " DOWN; ");
  }
  return text;
}

}  // namespace entente::simulation
