#include "gateway/peers/peer_link.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <optional>
#include <utility>

#include "gateway/transport/listen.h"
#include "gateway/transport/transport_beast.h"
#include "topology/scalars.h"

namespace entente {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;
using tcp = asio::ip::tcp;

using Stream = websocket::stream<Transport>;

constexpr const char* kPath = "/v1/peer";
constexpr std::string_view kPost = "POST ";
constexpr size_t kRequestHeadBytes = 8 << 10;
constexpr size_t kSwallowedBytes = 64 << 10;
constexpr auto kClosingTime = std::chrono::seconds(1);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

class WebSocketLink : public PeerLink, public std::enable_shared_from_this<WebSocketLink> {
 public:
  WebSocketLink(asio::io_context& io, Transport transport, const Limits& limits)
      : limits_(limits), stream_(std::move(transport)), deadline_(io) {}

  std::shared_ptr<const PeerCertificate> certificate() const override {
    return stream_.next_layer().peer();
  }

  void start(Events events) override {
    events_ = std::move(events);
    deadline_.expires_after(limits_.link_timeout);
    deadline_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->lose("no hello within limits.link_timeout");
    });
    connect();
  }

  void send(const Frame& frame) override {
    if (closing_ || !open_) return;
    enqueue(encode_frame(frame));
    if (pending_bytes_ > limits_.frame_bytes + 2 * limits_.link_window) {
      lose("the peer does not read what it is sent");
    }
  }

  void greeted() override {
    deadline_.cancel();
    stream_.read_message_max(limits_.frame_bytes + kFrameHeadBytes);
  }

  void close(const std::string& reason) override {
    abandoned_ = true;
    if (closing_) return;
    closing_ = true;
    if (!open_) return drop();
    deadline_.expires_after(kClosingTime);
    deadline_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->drop();
    });
    forget_unsent();
    if (!reason.empty()) return enqueue(encode_frame(Bye{reason}));
    if (outgoing_.empty()) say_goodbye();
  }

 protected:
  // Brings the WebSocket up, then calls opened() or lose().
  virtual void connect() = 0;

  void opened() {
    if (closing_) return;
    stream_.binary(true);
    stream_.auto_fragment(false);
    stream_.read_message_max(kHelloBytes);
    open_ = true;
    read_next();
    events_.opened();
  }

  // Before the WebSocket handshake, on a connected socket.
  void prepare() {
    error_code ignored;
    transport().socket().set_option(tcp::no_delay(true), ignored);
    stream_.set_option(
        websocket::stream_base::timeout{limits_.link_timeout, limits_.link_timeout, false});
    stream_.set_option(websocket::permessage_deflate{});  // off, both ways
  }

  // The link is of no use any more: tells the owner why, once.
  void lose(std::string reason) {
    if (closing_) return;
    tell(std::move(reason));
    drop();
  }

  // The same, but the connection stays for a moment, for the other side to read what it was told.
  void lose_politely(std::string reason) {
    if (closing_) return;
    tell(std::move(reason));
    deadline_.expires_after(kClosingTime);
    deadline_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->drop();
    });
  }

  void drop() {
    deadline_.cancel();
    transport().close();
  }

  // It is no link: who asks gets the connection, with what was read from it.
  void hand_over(std::string received) {
    closing_ = true;
    deadline_.cancel();
    events_.asked(std::move(transport()), std::move(received));
  }

  bool closing() const { return closing_; }
  Transport& transport() { return stream_.next_layer(); }

  template <class Self, class Method>
  auto then(Self* self, Method method) {
    return beast::bind_front_handler(method,
                                     std::static_pointer_cast<Self>(self->shared_from_this()));
  }

  const Limits limits_;
  Stream stream_;

 private:
  void tell(std::string reason) {
    closing_ = true;
    asio::post(stream_.get_executor(),
               [self = shared_from_this(), why = std::move(reason)]() mutable {
                 if (!self->abandoned_) self->events_.closed(std::move(why));
               });
  }

  // All but the frame that is being written.
  void forget_unsent() {
    while (outgoing_.size() > 1) {
      pending_bytes_ -= outgoing_.back().size();
      outgoing_.pop_back();
    }
  }

  void enqueue(std::string bytes) {
    pending_bytes_ += bytes.size();
    outgoing_.push_back(std::move(bytes));
    if (outgoing_.size() == 1) write_next();
  }

  void write_next() {
    stream_.async_write(asio::buffer(outgoing_.front()), then(this, &WebSocketLink::on_written));
  }

  void on_written(error_code ec, size_t) {
    if (ec) return lose(why("writing", ec));
    pending_bytes_ -= outgoing_.front().size();
    outgoing_.pop_front();
    if (!outgoing_.empty()) return write_next();
    if (closing_) say_goodbye();
  }

  void say_goodbye() {
    stream_.async_close(websocket::close_code::normal,
                        [self = shared_from_this()](error_code) { self->drop(); });
  }

  void read_next() { stream_.async_read(incoming_, then(this, &WebSocketLink::on_read)); }

  void on_read(error_code ec, size_t) {
    if (ec) return lose(why("reading", ec));
    if (!closing_) take_message();
    incoming_.clear();
    if (incoming_.capacity() > kHelloBytes) incoming_.shrink_to_fit();
    read_next();
  }

  void take_message() {
    if (stream_.got_text()) return lose("the peer sent text where frames are expected");
    const auto bytes = incoming_.cdata();
    auto frame =
        decode_frame({static_cast<const char*>(bytes.data()), bytes.size()}, limits_.frame_bytes);
    if (!frame) return lose("the peer sent bytes that are not a frame: " + frame.error().text);
    events_.received(std::move(*frame));
  }

  std::string why(const char* doing, error_code ec) {
    if (!transport().failure().empty()) return transport().failure();
    // Only Beast's timeout ends an operation of a link that is not closing. It tells so to one of
    // those under way; the others are cancelled, and may be heard first.
    if (ec == beast::error::timeout || ec == asio::error::operation_aborted) {
      return "nothing heard within limits.link_timeout";
    }
    if (ec == websocket::error::closed || ec == asio::error::eof) return "the peer closed the link";
    if (ec == websocket::error::message_too_big) return "the peer sent a frame beyond the limit";
    return std::string(doing) + " failed: " + ec.message();
  }

  Events events_;
  asio::steady_timer deadline_;
  beast::flat_buffer incoming_;
  std::deque<std::string> outgoing_;  // the front is being written
  size_t pending_bytes_ = 0;          // of outgoing_
  bool open_ = false;
  bool closing_ = false;    // no more frames either way
  bool abandoned_ = false;  // no more events
};

class DialledLink : public WebSocketLink {
 public:
  DialledLink(asio::io_context& io, Destination peer, const Limits& limits)
      : WebSocketLink(io, Transport(tcp::socket(io)), limits),
        peer_(std::move(peer)),
        resolver_(io) {}

 private:
  void connect() override {
    resolver_.async_resolve(peer_.at.host, std::to_string(peer_.at.port),
                            then(this, &DialledLink::on_resolved));
  }

  void on_resolved(error_code ec, const tcp::resolver::results_type& places) {
    if (ec) return lose("cannot resolve " + peer_.at.host + ": " + ec.message());
    if (closing()) return;
    asio::async_connect(transport().socket(), places, then(this, &DialledLink::on_connected));
  }

  void on_connected(error_code ec, const tcp::endpoint&) {
    if (ec) return lose("cannot connect to " + name() + ": " + ec.message());
    if (closing()) return;
    prepare();
    if (!peer_.tls) return on_secured({});
    auto session = peer_.tls();
    if (!session) return lose(session.error().text);
    transport().secure(std::move(*session));
    transport().async_handshake(then(this, &DialledLink::on_secured));
  }

  void on_secured(error_code ec) {
    if (ec) return lose(name() + ": " + transport().failure_or(ec));
    if (closing()) return;
    stream_.async_handshake(name(), kPath, then(this, &DialledLink::on_upgraded));
  }

  // With TLS it is here that one hears of being refused.
  void on_upgraded(error_code ec) {
    if (ec && !transport().failure().empty()) return lose(name() + ": " + transport().failure());
    if (ec) return lose(name() + " is not a gateway's peer endpoint: " + ec.message());
    opened();
  }

  std::string name() const { return format_endpoint(peer_.at); }

  const Destination peer_;
  tcp::resolver resolver_;
};

class AcceptedLink : public WebSocketLink {
 public:
  using WebSocketLink::WebSocketLink;

 private:
  using Answer = http::response<http::string_body>;

  void connect() override {
    prepare();
    from_ = transport().from();
    if (!transport().tls()) return read_verb();
    transport().async_handshake(then(this, &AcceptedLink::on_secured));
  }

  void on_secured(error_code ec) {
    if (closing()) return;
    if (!ec) return read_verb();
    if (transport().tls()->spoke_plainly()) {
      transport().answer_plainly("gateways connect here, with TLS and a certificate of theirs");
    }
    lose_politely("TLS with " + from_ + " failed: " + transport().failure_or(ec));
    transport().shutdown_send();
    swallow();
  }

  // Until the other side has read why it is refused, and leaves.
  void swallow() {
    transport().socket().async_read_some(request_bytes_.prepare(kRequestHeadBytes / 2),
                                         then(this, &AcceptedLink::on_swallowed));
  }

  void on_swallowed(error_code ec, size_t size) {
    swallowed_ += size;
    if (ec || swallowed_ > kSwallowedBytes) return drop();
    swallow();
  }

  void read_verb() {
    stream_.next_layer().async_read_some(request_bytes_.prepare(kRequestHeadBytes / 2),
                                         then(this, &AcceptedLink::on_verb));
  }

  void on_verb(error_code ec, size_t size) {
    if (ec) return lose("no HTTP request: " + ec.message());
    if (closing()) return;
    request_bytes_.commit(size);
    const auto bytes = request_bytes_.cdata();
    const std::string_view text(static_cast<const char*>(bytes.data()), bytes.size());
    if (text.starts_with(kPost)) return hand_over(std::string(text));
    if (kPost.starts_with(text)) return read_verb();  // so far
    read_request();
  }

  void read_request() {
    request_.emplace();
    request_->header_limit(kRequestHeadBytes);
    request_->body_limit(0);
    http::async_read(stream_.next_layer(), request_bytes_, *request_,
                     then(this, &AcceptedLink::on_request));
  }

  void on_request(error_code ec, size_t) {
    if (ec) return lose("no HTTP request: " + ec.message());
    const auto& request = request_->get();
    if (request.count(http::field::origin) + request.count("Sec-Fetch-Site") > 0) {
      return refuse(http::status::forbidden, "only gateways connect here, and this is a browser");
    }
    if (request.target() != kPath) return refuse(http::status::not_found, "no such page");
    if (!websocket::is_upgrade(request)) {
      return refuse(http::status::upgrade_required, "gateways connect here by WebSocket");
    }
    stream_.async_accept(request, then(this, &AcceptedLink::on_upgraded));
  }

  void on_upgraded(error_code ec) {
    if (ec) return lose("no WebSocket: " + ec.message());
    opened();
  }

  void refuse(http::status status, const char* text) {
    answer_.emplace(status, 11);
    answer_->set(http::field::connection, "close");
    if (status == http::status::upgrade_required) answer_->set(http::field::upgrade, "websocket");
    answer_->body() = std::string(text) + "\n";
    answer_->prepare_payload();
    http::async_write(stream_.next_layer(), *answer_, then(this, &AcceptedLink::on_refused));
  }

  void on_refused(error_code, size_t) { lose("it asked for something else than /v1/peer"); }

  std::string from_;
  size_t swallowed_ = 0;
  beast::flat_buffer request_bytes_{kRequestHeadBytes};
  std::optional<http::request_parser<http::empty_body>> request_;
  std::optional<Answer> answer_;
};

// Accepts for as long as it lives; the pending accept keeps its state alive, not the listener.
class Listener : public PeerListener {
 public:
  Listener(asio::io_context& io, tcp::acceptor acceptor, TlsStart tls, const Limits& limits,
           OnLink on_link)
      : state_(std::make_shared<State>(io, std::move(acceptor), std::move(tls), limits,
                                       std::move(on_link))) {
    accept_next(state_);
  }
  ~Listener() override { Listener::stop(); }

  void stop() override {
    state_->stopped = true;
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->pause.cancel();
  }

  uint16_t port() const override {
    error_code ignored;
    return state_->acceptor.local_endpoint(ignored).port();
  }

 private:
  struct State {
    State(asio::io_context& context, tcp::acceptor a, TlsStart t, const Limits& l, OnLink f)
        : io(context),
          acceptor(std::move(a)),
          pause(context),
          tls(std::move(t)),
          limits(l),
          on_link(std::move(f)) {}
    asio::io_context& io;
    tcp::acceptor acceptor;
    asio::steady_timer pause;
    const TlsStart tls;
    const Limits limits;
    const OnLink on_link;
    bool stopped = false;
  };

  static void accept_next(const std::shared_ptr<State>& s) {
    s->acceptor.async_accept([s](error_code ec, tcp::socket socket) {
      if (s->stopped) return;
      if (ec) return pause_then_accept(s);  // out of descriptors, most likely
      take(s, std::move(socket));
      accept_next(s);
    });
  }

  static void take(const std::shared_ptr<State>& s, tcp::socket socket) {
    Transport transport(std::move(socket));
    if (s->tls) {
      auto session = s->tls();
      if (!session) return;
      transport.secure(std::move(*session));
    }
    s->on_link(std::make_shared<AcceptedLink>(s->io, std::move(transport), s->limits));
  }

  static void pause_then_accept(const std::shared_ptr<State>& s) {
    s->pause.expires_after(kAcceptPause);
    s->pause.async_wait([s](error_code) {
      if (!s->stopped) accept_next(s);
    });
  }

  std::shared_ptr<State> state_;
};

}  // namespace

std::shared_ptr<PeerLink> dial(asio::io_context& io, Destination peer, const Limits& limits) {
  return std::make_shared<DialledLink>(io, std::move(peer), limits);
}

Result<std::unique_ptr<PeerListener>> PeerListener::listen(asio::io_context& io,
                                                           const Endpoint& here, TlsStart tls,
                                                           const Limits& limits, OnLink on_link) {
  auto acceptor = listen_on(io, here, "peers");
  if (!acceptor) return tl::unexpected(acceptor.error());
  return std::make_unique<Listener>(io, std::move(*acceptor), std::move(tls), limits,
                                    std::move(on_link));
}

}  // namespace entente
