#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "conflict/result.h"
#include "gateway/transport/destination.h"

namespace entente {

inline constexpr const char* kHungUp = "hung_up";

struct HttpQuestion {
  std::string path;
  std::string json;  // the body of a POST; "": this is a GET
  std::vector<std::pair<std::string, std::string>> headers;
};

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
  std::string session;  // Entente-Session
};

// Asks one server over one HTTP/1.1 connection, which is opened by the first question and not
// again: what a server knows of a connection it knows until the end.
//
// Threads:   the executor's, which is one; one question at a time.
// Ownership: gone, it has closed its connection, and calls nobody back.
// Deadlines: `connect` for finding and reaching the server, `answer` for everything.
// Bounds:    answers of `answer_bytes`.
// Errors:    kNotReached: the server has not got the whole question, or has refused TLS before it
//            heard any of it; kTimeout: it has, or may have,
//            and its answer is not coming (kHungUp: because it closed the connection, as a proxy in
//            front of nobody does). Nothing can be asked after either.
class HttpCaller {
 public:
  struct Patience {
    std::chrono::milliseconds connect, answer;
  };
  using Done = std::function<void(Result<HttpAnswer>)>;

  HttpCaller(const boost::asio::any_io_executor& executor, Destination server, size_t answer_bytes);
  ~HttpCaller();
  HttpCaller(const HttpCaller&) = delete;
  HttpCaller& operator=(const HttpCaller&) = delete;

  void ask(HttpQuestion question, Patience patience, Done done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // the operations under way share it
};

// One question over a connection of its own, on the calling thread.
Result<HttpAnswer> ask_server(const Destination& server, HttpQuestion question,
                              HttpCaller::Patience patience, size_t answer_bytes);

}  // namespace entente
