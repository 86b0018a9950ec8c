#pragma once

#include <boost/beast/core/role.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include "gateway/transport/transport.h"

namespace entente {

// What Beast's WebSocket asks of the stream that it runs on: how a connection ends.

inline void beast_close_socket(Transport& transport) { transport.close(); }

inline void teardown(boost::beast::role_type role, Transport& transport,
                     boost::system::error_code& error) {
  transport.goodbye();
  boost::beast::websocket::teardown(role, transport.socket(), error);
}

template <class Handler>
void async_teardown(boost::beast::role_type role, Transport& transport, Handler&& handler) {
  transport.goodbye();
  boost::beast::websocket::async_teardown(role, transport.socket(), std::forward<Handler>(handler));
}

}  // namespace entente
