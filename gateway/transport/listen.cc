#include "gateway/transport/listen.h"

#include <spdlog/spdlog.h>

#include <cerrno>

#include "topology/scalars.h"

namespace entente {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

tcp::endpoint everywhere(const tcp::endpoint& place) {
  return place.protocol() == tcp::v6() ? tcp::endpoint(asio::ip::address_v6::any(), place.port())
                                       : tcp::endpoint(asio::ip::address_v4::any(), place.port());
}

}  // namespace

Result<tcp::acceptor> listen_on(asio::io_context& io, const Endpoint& here,
                                const std::string& whom) {
  error_code ec;
  tcp::resolver resolver(io);
  const auto places =
      resolver.resolve(here.host, std::to_string(here.port), tcp::resolver::passive, ec);
  tcp::acceptor acceptor(io);
  if (!ec) {
    const tcp::endpoint place = places.begin()->endpoint();
    acceptor.open(place.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor.bind(place, ec);
    if (here.tls && ec.value() == EADDRNOTAVAIL) {
      spdlog::info(
          "listening_everywhere for={} port={} reason=\"{} is no address of this machine\"", whom,
          here.port, here.host);
      acceptor.bind(everywhere(place), ec);
    }
  }
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (!ec) return acceptor;
  return fail(Code::kRefused,
              "cannot listen for " + whom + " on " + format_endpoint(here) + ": " + ec.message());
}

}  // namespace entente
