#pragma once

#include <chrono>
#include <string_view>

#include "gateway/async/task.h"
#include "gateway/transport/transport.h"

namespace entente {

// The body of one answer while it is made, piece by piece: each waits until the client took the one
// before, so that nothing is kept here for a slow reader.
//
// Threads:   the network thread.
// Deadlines: a client that does not take a piece within `patience` is cut by the connection's
//            owner, who looks at `deadline`; between two pieces there is none.
class ResponseStream {
 public:
  using Clock = std::chrono::steady_clock;

  ResponseStream(Transport& transport, Clock::time_point& deadline,
                 std::chrono::milliseconds patience, bool chunked)
      : transport_(transport), deadline_(deadline), patience_(patience), chunked_(chunked) {
    deadline_ = Clock::time_point::max();
  }

  // False: the client is gone. `piece` must live until then, and not be empty.
  Task<bool> write(std::string_view piece);
  // The body will never be whole.
  void abandon() { broken_ = true; }
  // Says that the body is whole, if it is; false if the client cannot know.
  Task<bool> end();
  bool waits_for_client() const { return writing_; }
  // It closed its side: nobody will read what comes.
  bool client_gone() { return transport_.gone(); }

 private:
  Task<bool> send(std::string_view bytes);

  Transport& transport_;
  Clock::time_point& deadline_;
  const std::chrono::milliseconds patience_;
  const bool chunked_;
  bool writing_ = false;
  bool broken_ = false;
};

}  // namespace entente
