#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/async/repeated_line.h"
#include "gateway/peers/peer_link.h"
#include "gateway/peers/peers.h"
#include "gateway/replica/messages.h"
#include "gateway/replica/spare_links.h"
#include "gateway/transport/tls_material.h"
#include "topology/config.h"
#include "topology/graph.h"

namespace entente {

// A link to every neighbour, as far as the world allows: dials or is dialled, exchanges hellos,
// decides whether to talk, keeps the pulse, and tries again with growing pauses: until a link was
// up and of use for a while. While neighbours
// are gone longer than `failover_after`, also the spare links that the graph then asks for: dialled
// by whoever needs them, and closed by who dialled them once nobody takes anything over them.
//
// Threads:   that of the io_context, for everything.
// Invariant: between `up` and `down` of a neighbour there is exactly one link to it, over which
// both
//            hellos were checked; `received` comes only in between.
// Bounds:    at most kStrangers connections that have not said hello: one more costs the oldest its
//            place, so that nobody who is silent keeps a neighbour out.
class Links {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kStrangers = 64;

  struct Events {
    std::function<Hello()> hello;  // ours, as of now
    std::function<Result<void>(const Hello& mine, const Hello& theirs)> check_history;
    std::function<void(const Hello&)> up;
    std::function<void(const std::string& peer)> down;  // not after cut()
    std::function<void(const std::string& peer, Message)> received;
    // Somebody takes changes over this link; if not given, nobody ever does.
    std::function<bool(const std::string& peer)> in_use;
    // Replica::useful; if not given, every link is that is up.
    std::function<bool(const std::string& peer)> useful;
    // Somebody asks by HTTP instead: the connection is theirs, and this was read from it.
    std::function<void(Transport, std::string)> asked;
  };

  Links(boost::asio::io_context& io, const Config& config, const Graph& graph, std::string dc,
        Events events);
  ~Links();

  // Listens on this datacenter's endpoint and dials the neighbours that are ours to dial.
  Result<void> start();
  void stop();
  uint16_t port() const { return port_; }

  // To a neighbour that is up; nothing happens if it is not.
  void send(std::string_view peer, Message message);
  void cut(std::string_view peer, const std::string& reason);

  // All but `traffic`, which is the replica's. Spares only while they are needed or up.
  std::vector<LinkView> view() const;

 private:
  struct Neighbour {
    Neighbour(boost::asio::io_context& io, const Datacenter& p) : place(p), redial(io) {}
    const Datacenter& place;
    LinkView view;
    PeerLink* link = nullptr;  // the one that is up
    Origin incarnation;        // who is at its other end
    Clock::time_point heard;
    Clock::time_point pinged;
    boost::asio::steady_timer redial;
    std::chrono::milliseconds pause{0};  // before the next attempt; grows
    bool dialling = false;               // an attempt of ours, its link, or the pause after it
    std::optional<Clock::time_point> refused;
    std::string lost_for;  // why it was not up last
  };

  // A connection, from its first byte to its last.
  struct Conversation {
    std::shared_ptr<PeerLink> link;
    Neighbour* dialled = nullptr;  // null: they dialled us
    Neighbour* with = nullptr;     // known once their hello was welcome
    uint64_t number = 0;           // they begin in this order
  };
  // How a conversation ended.
  enum class End { kLost, kRefused, kUnneeded };

  // Connecting.
  void dial_neighbour(Neighbour& n);
  void dial_again(Neighbour& n);
  void set_down(Neighbour& n);
  void take_stranger(std::shared_ptr<PeerLink> link);
  void converse(std::shared_ptr<PeerLink> link, Neighbour* dialled);
  // The conversation is over: forgets it, tells who has to know, and dials again if that is on us.
  void end(PeerLink* link, const std::string& why, End how);
  void refuse(PeerLink* link, Neighbour* n, const std::string& reason);
  // Cuts links whose certificate is over, or would not be taken any more.
  void check_certificates();

  // Listening.
  void on_frame(PeerLink* link, Frame frame);
  void on_hello(PeerLink* link, const Hello& theirs);
  Result<void> admit(const Conversation& c, const Hello& theirs, const Neighbour* n);
  Result<void> check_direction(const Conversation& c, const Hello& theirs,
                               const Neighbour& n) const;
  Result<void> check_only_one(const Conversation& c, const Hello& theirs, const Neighbour& n) const;
  void welcome(Conversation& c, Neighbour& n, const Hello& theirs);
  void on_talk(Conversation& c, Frame frame);
  void on_pong(Neighbour& n, const Pong& pong);

  void beat();

  // Spare links.
  void heal();
  void open_if_needed(Neighbour& n, bool news);
  void close_if_idle(Neighbour& n);
  bool opened_by_the_smaller(const Conversation& c, const Neighbour& n) const;

  void set_state(Neighbour& n, LinkState state, const std::string& reason);
  void report_stranger(const std::string& why);
  Neighbour* find(std::string_view dc);

  boost::asio::io_context& io_;
  const Config& config_;
  const Graph& graph_;
  const std::string dc_;
  SpareLinks spares_;
  const Events events_;
  std::map<std::string, Neighbour, std::less<>> neighbours_;
  std::map<PeerLink*, Conversation> conversations_;
  std::unique_ptr<PeerListener> listener_;
  boost::asio::steady_timer heartbeat_, healing_;
  std::minstd_rand random_{std::random_device{}()};
  RepeatedLine strangers_;
  std::shared_ptr<const TlsMaterial> checked_;  // the links that are up agree with it
  uint64_t conversations_begun_ = 0;
  uint16_t port_ = 0;
  bool stopped_ = false;
};

}  // namespace entente
