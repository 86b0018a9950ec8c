#pragma once

#include "conflict/result.h"
#include "gateway/http/http_message.h"

namespace entente {

// The HTTP status that says what this error means to a client.
int http_status(Code code);

// An RFC 9457 problem document.
Response problem(const Error& error);
Response problem(int status, std::string_view code, std::string_view detail);

// The gateway has not applied what the client says it has seen: what is missing, by datacenter.
struct Missing {
  std::string dc;      // "" if its origin was never heard of
  std::string origin;  // hex
  uint64_t have = 0, need = 0;
};
Response session_not_reached(const std::vector<Missing>& missing);

}  // namespace entente
