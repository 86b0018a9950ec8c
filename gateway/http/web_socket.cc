#include "gateway/http/web_socket.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>

#include "gateway/transport/transport_beast.h"

namespace entente {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using error_code = boost::system::error_code;

constexpr size_t kReasonMax = 123;  // what fits in a control frame

// How long a client may take for its half of the opening or closing handshake.
constexpr std::chrono::seconds kHandshakeTime{5};

// An operation that ends with an error code, as a thing to await. `Start` is given the handler.
template <class Start>
class Operation {
 public:
  explicit Operation(Start start) : start_(std::move(start)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    start_([this, waiting](error_code e, auto...) {
      error_ = e;
      waiting.resume();
    });
  }
  error_code await_resume() const { return error_; }

 private:
  Start start_;
  error_code error_;
};

http::request<http::empty_body> request_of(const WebSocketOffer& offer) {
  http::request<http::empty_body> request{http::verb::get, "/", 11};
  request.set(http::field::host, "entente");
  request.set(http::field::connection, "Upgrade");
  request.set(http::field::upgrade, "websocket");
  if (!offer.key.empty()) request.set(http::field::sec_websocket_key, offer.key);
  request.set(http::field::sec_websocket_version, offer.version);
  return request;
}

}  // namespace

struct WebSocket::Impl {
  Impl(Transport transport, size_t message_max, std::chrono::milliseconds patience)
      : stream(std::move(transport)) {
    stream.set_option(websocket::permessage_deflate{});  // off, both ways
    stream.set_option(websocket::stream_base::timeout{kHandshakeTime, patience, true});
    stream.read_message_max(message_max);
    stream.text(true);
    stream.auto_fragment(false);
  }

  // Waits for those who began to write before.
  struct Turn {
    Impl& impl;
    bool await_ready() const noexcept { return !std::exchange(impl.writing, true); }
    void await_suspend(std::coroutine_handle<> waiting) { impl.turns.push_back(waiting); }
    void await_resume() const noexcept {}
  };
  void pass_turn() {
    if (turns.empty()) {
      writing = false;
      return;
    }
    const auto next = turns.front();
    turns.pop_front();
    next.resume();
  }

  websocket::stream<Transport> stream;
  beast::flat_buffer in;
  bool writing = false;
  std::deque<std::coroutine_handle<>> turns;
};

WebSocket::WebSocket(Transport transport, size_t message_max, std::chrono::milliseconds patience)
    : impl_(std::make_unique<Impl>(std::move(transport), message_max, patience)) {}
WebSocket::~WebSocket() = default;

Task<bool> WebSocket::accept(const WebSocketOffer& offer, const Response& response) {
  impl_->stream.set_option(
      websocket::stream_base::decorator([&response](websocket::response_type& answer) {
        for (const auto& [name, value] : response.headers) {
          answer.set(beast::string_view(name.data(), name.size()), value);
        }
      }));
  const auto request = request_of(offer);
  Operation accepting(
      [&](auto handler) { impl_->stream.async_accept(request, std::move(handler)); });
  const auto error = co_await accepting;
  co_return !error;
}

Task<std::optional<std::string>> WebSocket::receive() {
  impl_->in.clear();
  Operation reading([&](auto handler) { impl_->stream.async_read(impl_->in, std::move(handler)); });
  const auto error = co_await reading;
  if (error) co_return std::nullopt;
  if (!impl_->stream.got_text()) {
    Task<void> closing = close(Close::kNotText, "only texts are understood here");
    co_await closing;
    co_return std::nullopt;
  }
  const auto bytes = impl_->in.cdata();
  co_return std::string(static_cast<const char*>(bytes.data()), bytes.size());
}

Task<bool> WebSocket::send(std::string text) {
  Impl::Turn turn{*impl_};
  co_await turn;
  Operation writing(
      [&](auto handler) { impl_->stream.async_write(asio::buffer(text), std::move(handler)); });
  const auto error = co_await writing;
  impl_->pass_turn();
  co_return !error;
}

Task<void> WebSocket::close(Close why, std::string_view reason) {
  const websocket::close_reason said(
      static_cast<websocket::close_code>(why),
      beast::string_view(reason.data(), std::min(reason.size(), kReasonMax)));
  Operation closing([&](auto handler) { impl_->stream.async_close(said, std::move(handler)); });
  co_await closing;
}

void WebSocket::cut() { impl_->stream.next_layer().close(); }

}  // namespace entente
