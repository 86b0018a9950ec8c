#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "gateway/api/site.h"
#include "gateway/api/sql/hrana_socket.h"
#include "gateway/http/router.h"

namespace entente {

// SQL as libSQL's clients speak it: Hrana 2 and 3 by HTTP (pipelines and cursors), 1 to 3 by
// WebSocket, and Hrana 1's single statements and batches. By HTTP a stream goes on from one request
// to the next by its baton: 128 random bits, good for one use.
//
// Threads: the loop's.
// Bounds:  limits.streams; a stream nobody asks for limits.stream_timeout is closed and its open
//          transaction rolled back. One that had neither a transaction nor stored texts has lost
//          nothing: its baton goes on with a new stream.
class HranaApi {
 public:
  // `counts`: of all streams of the gateway.
  HranaApi(const Site& site, HranaStream::Counts& counts) : site_(site), counts_(counts) {}

  void add_to(Router& router);
  // Hrana by HTTP alone.
  Task<Response> pipeline(RoutedRequest routed);
  // Closes idle streams. Call several times a second.
  void expire();
  // The server stops: rolls back what idle streams have open.
  void close_resting() { resting_.clear(); }

 private:
  using Clock = std::chrono::steady_clock;
  // A stream by HTTP and the texts stored for it.
  struct Conversation {
    Conversation(const Site& site, HranaStream::Counts& counts, SqlCaller caller)
        : stream(site, counts, std::move(caller)) {}
    HranaStream stream;
    SqlTexts texts;
  };
  struct Resting {
    std::unique_ptr<Conversation> conversation;
    Clock::time_point expires;
  };

  Task<Response> cursor(RoutedRequest routed);
  Task<Response> alone(RoutedRequest routed, std::string type);
  Task<Response> web_socket(RoutedRequest routed);
  Task<void> serve(WebSocket& web_socket, SqlCaller caller);
  static Response refusal(const Error& error);
  Result<std::unique_ptr<Conversation>> open(SqlCaller caller);
  // A stream belongs to whoever opened it, and does what his token of now allows.
  Result<std::unique_ptr<Conversation>> conversation_of(const Json& body, SqlCaller caller);
  // Puts the stream to rest and returns the baton that wakes it, as JSON; an error if there is no
  // randomness.
  Result<std::string> rest(std::unique_ptr<Conversation> conversation);
  void remember_expired(std::string baton, bool lost_nothing, Clock::time_point now);

  const Site& site_;
  HranaStream::Counts& counts_;
  std::unordered_map<std::string, Resting> resting_;
  struct Expired {
    Clock::time_point forgotten;
    bool lost_nothing = false;
  };
  std::unordered_map<std::string, Expired> expired_;  // by baton
  std::set<HranaSocket*> sockets_;
};

}  // namespace entente
