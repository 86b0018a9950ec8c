#pragma once

#include <functional>
#include <optional>
#include <string>

#include "gateway/api/site.h"
#include "gateway/api/verify/digest_answer.h"
#include "gateway/http/http_caller.h"

namespace entente {

// Asks another gateway, at its `peers` address, for digests. Opens a connection when it needs one,
// and asks again, some times, when that is lost or the other is busy.
//
// Threads:   the loop's; one question at a time.
// Deadlines: limits.link_timeout to connect, limits.statement_time and as much again for an answer.
// Errors:    kNotReached, kTimeout: it is not there, or answers something else; otherwise its own.
class DigestPeer {
 public:
  DigestPeer(const Site& site, std::string dc);

  Task<Result<DigestAnswer>> ask(const DigestQuestion& question);
  // Whoever waits for an answer gets an error now.
  void give_up();
  const std::string& dc() const { return dc_; }

 private:
  using Done = HttpCaller::Done;
  Task<Result<DigestAnswer>> ask_once(std::string body);
  void send(std::string body, Done done);

  const Site& site_;
  const std::string dc_;
  std::optional<HttpCaller> caller_;
  Done waiting_;
  bool given_up_ = false;
};

}  // namespace entente
