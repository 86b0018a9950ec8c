#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "conflict/result.h"
#include "gateway/replica/wire.h"
#include "gateway/transport/destination.h"
#include "topology/config.h"

namespace entente {

// One connection to another gateway: whole frames in and out over a WebSocket.
//
// Threads:    that of the io_context, for everything.
// Ownership:  shared by its owner and by the operations it has pending; the io_context has nothing
//             left to run once every link is closed and gone.
// Order:      frames leave in the order of send(), one write at a time, each at once.
// Bounds:     frames by limits.frame_bytes (by kHelloBytes until greeted()); what waits to be sent
// by
//             one frame and two windows: a peer that does not read loses the link.
// Deadlines:  connecting, upgrading and the peer's hello together limits.link_timeout; then nothing
//             heard for limits.link_timeout closes.
class PeerLink {
 public:
  static constexpr size_t kHelloBytes = 1 << 20;

  struct Events {
    std::function<void()> opened;  // frames may be sent
    std::function<void(Frame)> received;
    std::function<void(std::string)> closed;  // why; the last event. Not called after close()
    // Instead of all of these: it is no link but a POST request, and this is what came of it.
    std::function<void(Transport, std::string)> asked;
  };

  virtual ~PeerLink() = default;
  virtual void start(Events events) = 0;
  // What the gateway at the other end proved to be; null on a link without TLS.
  virtual std::shared_ptr<const PeerCertificate> certificate() const = 0;
  virtual void send(const Frame& frame) = 0;
  // The peer said a hello that is welcome: it may now send large frames, and take its time.
  virtual void greeted() = 0;
  // Forgets what was not sent yet, says bye with the reason (unless it is empty) and closes.
  // Nothing is called back from here on.
  virtual void close(const std::string& reason) = 0;
};

// Opens a connection to `peer` once started. With TLS nothing is said to who is not that peer.
std::shared_ptr<PeerLink> dial(boost::asio::io_context& io, Destination peer, const Limits& limits);

// Takes connections on an endpoint. Everything but POST requests and a WebSocket upgrade on
// /v1/peer is answered with an HTTP error and closed.
class PeerListener {
 public:
  using OnLink = std::function<void(std::shared_ptr<PeerLink>)>;

  virtual ~PeerListener() = default;
  virtual void stop() = 0;
  virtual uint16_t port() const = 0;

  // `tls`: how connections are taken; none: plain.
  static Result<std::unique_ptr<PeerListener>> listen(boost::asio::io_context& io,
                                                      const Endpoint& here, TlsStart tls,
                                                      const Limits& limits, OnLink on_link);
};

}  // namespace entente
