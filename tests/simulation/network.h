#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "gateway/replica/messages.h"
#include "tests/simulation/random.h"
#include "tests/simulation/world.h"

namespace entente::simulation {

// One end of the network's links: a node, as the network sees it.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual bool alive() const = 0;
  // The topology it is under; null before it took part.
  virtual const Epoch* epoch() const = 0;
  // It has a link with this one, or opens a spare one.
  virtual bool wants(const std::string& peer) const = 0;
  // Not cut off from this one by what the simulation does not go into.
  virtual bool may_meet(const std::string& peer) const = 0;
  virtual Hello hello() const = 0;
  // False: it refuses, and the link breaks.
  virtual bool link_up(const Hello& hello) = 0;
  virtual void link_down(const std::string& peer) = 0;
  virtual void receive(const std::string& peer, Message message) = 0;
};

// A link for every two nodes, connected while both are under the same topology and one of them
// wants it. Each is a connection as TCP gives it: in order within one life of the link; when it
// breaks, any suffix of what was in flight is lost in either direction, and the two ends notice at
// different times. Links reconnect by themselves unless they are blocked.
class Network {
 public:
  explicit Network(World& world);

  // In the order of Plan::names.
  void attach(std::vector<Endpoint*> endpoints);

  void send(size_t from, const std::string& peer, Message message);
  // One end begins, or ceases, to want a link.
  void open(size_t from, const std::string& peer);
  void close(size_t from, const std::string& peer);
  // One end is not content with the other.
  void drop(size_t from, const std::string& peer);
  // Something else than a link would get through.
  bool reachable(size_t a, size_t b) const;

  // ---- Faults.
  size_t links() const { return links_.size(); }
  // Those that somebody's topology has, or else all.
  std::vector<size_t> used_links() const;
  bool joins(size_t link, size_t node) const;
  bool crosses(size_t link, uint64_t side) const;  // `side`: a bit for every node on this side
  void block(size_t link);  // breaks it, and keeps it down until as many unblock()
  void unblock(size_t link);
  void cut(size_t link);  // breaks it; it reconnects
  void stall(size_t link, size_t direction, int64_t until);
  // Its node crashed: its own ends vanish, and the others will notice.
  void vanish(size_t node);
  void returned(size_t node);
  // What it had sent is gone.
  void lose_all_from(size_t node);
  void heal();  // nothing is blocked or stalled any more

  // All links of the newest topology are up, and nothing is on its way.
  bool quiet() const;
  std::string describe() const;

 private:
  using Frame = std::variant<Hello, Message>;
  struct Direction {
    std::deque<Frame> in_flight;
    int64_t last_arrival = 0;
    int64_t stalled_until = 0;
    std::vector<Changes> delivered;  // some of them, to come again
  };
  struct Link {
    Link(size_t a, size_t b, Random draws) : ends{a, b}, random(draws) {}

    size_t ends[2];
    Random random;
    uint64_t session = 0;
    bool connected = false;            // frames get through
    bool told[2] = {false, false};     // the end was told that the link is up
    bool closing[2] = {false, false};  // the end has yet to notice that it broke
    int blocked = 0;
    Direction directions[2];  // [i] is from ends[i]
  };

  bool may_connect(const Link& link) const;
  void try_connect(size_t link);
  void transmit(size_t link, size_t direction, Frame frame);
  int64_t draw_latency(Link& link);
  void deliver(size_t link, size_t direction, uint64_t session);
  void hand_over(size_t link, size_t direction, Frame frame);
  void maybe_replay(Link& link, size_t direction);
  void break_link(size_t link);
  void notice(size_t link, size_t end, uint64_t session);
  void reconnect_later(size_t link);
  size_t link_between(size_t a, size_t b) const;
  bool drawn(const Link& link) const;  // some end's topology has it

  World& world_;
  std::vector<Endpoint*> endpoints_;
  std::vector<Link> links_;
};

}  // namespace entente::simulation
