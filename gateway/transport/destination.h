#pragma once

#include <string>
#include <utility>

#include "gateway/transport/transport.h"
#include "topology/config.h"

namespace entente {

// Where to connect to, and how one makes sure of who answers there.
struct Destination {
  explicit Destination(Endpoint place, TlsStart start = {})
      : at(std::move(place)), tls(std::move(start)) {}

  Endpoint at;
  TlsStart tls;  // none: plain
};

// The `peers` port of another datacenter's gateway: with TLS it must prove that it is that one.
Destination to_gateway(const Config& config, const Datacenter& other);

// A server by its host name. `ca`: the file of the CAs that may vouch for it; "": the system's.
Destination to_server(const Endpoint& server, const std::string& ca);

// How the ports of this gateway take connections; none: plain.
TlsStart accept_gateways(const Config& config);
TlsStart accept_clients(const Config& config);

}  // namespace entente
