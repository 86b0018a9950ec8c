#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "conflict/result.h"
#include "topology/config.h"

namespace entente {

// Listens where `here` says. With TLS the address may be one that others reach this machine by and
// that it does not have itself, behind a NAT or a load balancer: then on all that it has.
// `whom`: for sentences. kRefused.
Result<boost::asio::ip::tcp::acceptor> listen_on(boost::asio::io_context& io, const Endpoint& here,
                                                 const std::string& whom);

}  // namespace entente
