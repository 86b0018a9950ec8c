#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>

#include "gateway/server/hrana_stream.h"
#include "gateway/server/router.h"
#include "gateway/server/site.h"

namespace entente {

// SQL over HTTP: Hrana 2, POST /v2/pipeline. A stream goes on from one request to the next by its
// baton: 128 random bits, good for one use.
//
// Threads: the loop's.
// Bounds:  limits.streams; a stream nobody asks for limits.stream_timeout is closed and its open
//          transaction rolled back.
class HranaApi {
 public:
  explicit HranaApi(const Site& site) : site_(site) {}

  void add_to(Router& router);
  // Closes idle streams. Call several times a second.
  void expire();
  size_t streams() const { return counts_.streams; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Resting {
    std::unique_ptr<HranaStream> stream;
    Clock::time_point expires;
  };

  Task<Response> pipeline(RoutedRequest routed);
  Result<std::unique_ptr<HranaStream>> stream_for(const Json& body);
  // Puts the stream to rest and returns the baton that wakes it; an error if there is no
  // randomness.
  Result<std::string> rest(std::unique_ptr<HranaStream> stream);
  void remember_expired(std::string baton, Clock::time_point now);

  const Site& site_;
  HranaStream::Counts counts_;  // streams: resting or running; outlives them
  std::unordered_map<std::string, Resting> resting_;
  std::unordered_map<std::string, Clock::time_point> expired_;  // baton -> when it is forgotten
};

}  // namespace entente
