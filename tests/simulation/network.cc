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
  const auto& names = world.graph.datacenters();
  for (const auto& a : names) {
    for (const auto& b : world.graph.neighbours(a)) {
      if (!Graph::dials(a, b)) continue;
      links_.emplace_back(index_of(a), index_of(b), Random(world.plan.seed, "link " + a + " " + b));
    }
  }
}

void Network::attach(std::vector<Endpoint*> endpoints) { endpoints_ = std::move(endpoints); }

void Network::connect_all() {
  for (size_t i = 0; i < links_.size(); ++i) try_connect(i);
}

size_t Network::index_of(const std::string& dc) const {
  const auto& names = world_.graph.datacenters();
  return static_cast<size_t>(std::find(names.begin(), names.end(), dc) - names.begin());
}

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

// ---- A link's life -----------------------------------------------------------------------------

void Network::try_connect(size_t index) {
  Link& link = links_[index];
  const bool waits = link.connected || link.closing[0] || link.closing[1] || link.blocked > 0;
  if (waits || !endpoints_[link.ends[0]]->alive() || !endpoints_[link.ends[1]]->alive()) return;
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
  const size_t index = link_between(from, index_of(peer));
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
  const std::string& from = world_.graph.datacenters()[link.ends[direction]];
  if (const auto* hello = std::get_if<Hello>(&frame)) {
    link.told[1 - direction] = true;
    return to.link_up(*hello);
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
  to.receive(world_.graph.datacenters()[link.ends[direction]], link.random.pick(delivered));
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
    node.link_down(world_.graph.datacenters()[link.ends[1 - end]]);
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

void Network::heal() {
  for (size_t i = 0; i < links_.size(); ++i) {
    links_[i].blocked = 0;
    for (auto& direction : links_[i].directions) direction.stalled_until = 0;
    reconnect_later(i);
  }
}

bool Network::connected_without(size_t node) const {
  std::vector<bool> reached(endpoints_.size(), false);
  reached[node] = true;
  reached[node == 0 ? 1 : 0] = true;
  for (size_t round = 0; round < endpoints_.size(); ++round) {
    for (size_t i = 0; i < links_.size(); ++i) {
      const auto [a, b] = std::pair(links_[i].ends[0], links_[i].ends[1]);
      if (!joins(i, node) && (reached[a] || reached[b])) reached[a] = reached[b] = true;
    }
  }
  return std::find(reached.begin(), reached.end(), false) == reached.end();
}

bool Network::quiet() const {
  return std::all_of(links_.begin(), links_.end(), [](const Link& link) {
    return link.told[0] && link.told[1] && link.connected && link.directions[0].in_flight.empty() &&
           link.directions[1].in_flight.empty();
  });
}

std::string Network::describe() const {
  std::string text;
  for (const auto& link : links_) {
    text += world_.graph.datacenters()[link.ends[0]] + "-" +
            world_.graph.datacenters()[link.ends[1]] + (link.connected ? " up; " : " DOWN; ");
  }
  return text;
}

}  // namespace entente::simulation
