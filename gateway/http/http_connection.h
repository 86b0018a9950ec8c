#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/async/task.h"
#include "gateway/http/http_message.h"
#include "gateway/http/request_parser.h"
#include "gateway/http/response_stream.h"
#include "gateway/http/web_socket.h"
#include "gateway/transport/transport.h"
#include "topology/limits.h"

namespace entente {

// What a server does with requests, and what it adds to every answer, its own refusals included.
struct HttpService {
  std::function<Task<Response>(Request)> handle;
  // Appends header lines to every answer, each as `\r\nName: value`.
  std::function<void(const Response&, std::string&)> append_headers;
  std::function<void()> tick;  // several times a second, on the network thread
  std::function<void()> stop;  // no more requests will come, on the network thread
};

// One client's connection: requests in, answers out, in order, until either side has had enough.
//
// Threads:   the network thread.
// Deadlines: `deadline` says how long the client may keep us waiting; the server looks at it
// several
//            times a second and closes the socket when it has passed.
class HttpConnection {
 public:
  using Clock = std::chrono::steady_clock;

  // `received`: what somebody has read from the socket already.
  HttpConnection(Transport transport, std::string received, const Limits& limits,
                 const HttpService& service, const bool& stopping);

  // TLS's handshake, if it is still to come; false: there will be no request, and the client knows
  // as much of why as can be said to it. `plainly`: what somebody hears who speaks no TLS.
  Task<bool> open(const std::string& plainly);
  // Ends when the connection is closed.
  Task<void> serve();

  Clock::time_point deadline() const { return deadline_; }
  // Why TLS failed; "": it did not.
  std::string failure() const { return transport_.failure(); }
  // No byte of a request has come, nothing is asked by WebSocket that is not answered, or the
  // client does not take the answer that streams to it: closing it breaks no promise.
  bool idle() const;
  void close();

 private:
  // Reads on until the parser has a whole request, or refuses; false if the client is gone.
  Task<bool> read_request();
  Task<bool> read_more();
  Task<bool> send_continue();
  Task<bool> answer(Response response, bool head_only, bool keep_alive);
  // False: the connection carries no further request.
  Task<bool> stream_answer(Response response, bool chunked, bool keep_alive);
  // The connection's second life.
  Task<void> go_on(WebSocketOffer offer, Response response);
  // Lets a client that still sends read its refusal before the connection is reset.
  Task<void> linger();
  void allow(std::chrono::milliseconds patience) { deadline_ = Clock::now() + patience; }

  Transport transport_;
  const Limits& limits_;
  const HttpService& service_;
  const bool& stopping_;  // the server's: no further requests
  RequestParser parser_;
  std::string in_;  // received and not yet parsed: [begin_, end_)
  size_t begin_ = 0, end_ = 0;
  std::string out_;
  Clock::time_point deadline_ = Clock::time_point::max();
  bool idle_ = true;
  std::unique_ptr<WebSocket> web_socket_;  // has the transport, once there is one
  std::optional<ResponseStream> stream_;   // while one is written
};

}  // namespace entente
