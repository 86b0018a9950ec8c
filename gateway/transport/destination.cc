#include "gateway/transport/destination.h"

#include <functional>
#include <memory>

#include "gateway/transport/gateway_tls.h"

namespace entente {
namespace {

using Session = std::unique_ptr<TlsSession>;

// With what the files hold when a connection begins.
TlsStart with_files(const Config& config,
                    std::function<Session(const TlsMaterial&, const TlsMaterial::Counts&)> make) {
  if (!config.tls.given()) return {};
  return [live = config.tls.live, make = std::move(make)]() -> Result<Session> {
    if (!live) return fail(Code::kRefused, "no certificate was read: only `entente serve` does");
    return make(*live->current(), live->counts());
  };
}

}  // namespace

Destination to_gateway(const Config& config, const Datacenter& other) {
  const auto dial = [dc = other.name](const TlsMaterial& files, const auto& counts) {
    return files.dial_gateway(dc, counts);
  };
  return Destination(other.peers, with_files(config, dial));
}

Destination to_server(const Endpoint& server, const std::string& ca) {
  if (!server.tls) return Destination(server);
  const auto start = [ca, host = server.host]() -> Result<Session> {
    auto context = client_context(ca);
    if (!context) return tl::unexpected(context.error());
    PeerRule rule;
    rule.kind = PeerRule::Kind::kHost;
    rule.host = host;
    return std::make_unique<TlsSession>(context->get(), TlsSession::Role::kDials, std::move(rule),
                                        nullptr);
  };
  return Destination(server, start);
}

TlsStart accept_gateways(const Config& config) {
  return with_files(config, [](const TlsMaterial& files, const auto& counts) {
    return files.accept_gateway(counts);
  });
}

TlsStart accept_clients(const Config& config) {
  return with_files(config, [](const TlsMaterial& files, const auto& counts) {
    return files.accept_client(counts);
  });
}

}  // namespace entente
