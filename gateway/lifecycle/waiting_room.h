#pragma once

#include <mutex>
#include <string>

#include "gateway/http/http_server.h"
#include "gateway/http/router.h"
#include "topology/config.h"

namespace entente {

// Stands where a datacenter serves its clients, while it has no database that it may serve: alive
// (/livez), not ready (/readyz 503), /v1/status says why, and everything else is 503 not_ready.
//
// Threads: the server's own; say() from any.
class WaitingRoom {
 public:
  WaitingRoom(const Config& config, const Datacenter& dc);
  ~WaitingRoom();  // the port is free again
  WaitingRoom(const WaitingRoom&) = delete;
  WaitingRoom& operator=(const WaitingRoom&) = delete;

  Result<void> open();
  // What it waits for, in a sentence.
  void say(std::string sentence);

 private:
  Task<Response> answer(Request request) const;
  Response status(const std::string& sentence) const;
  std::string said() const;

  const Config& config_;
  const Datacenter& dc_;
  mutable std::mutex mutex_;
  std::string sentence_;
  HttpServer server_;
};

}  // namespace entente
