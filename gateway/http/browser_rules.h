#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/http/http_message.h"
#include "topology/config.h"

namespace entente {

// What pages in a browser may ask of a gateway: those that the gateway served itself, and those of
// the origins that the topology file lists. A browser on the gateway's machine reaches loopback for
// every page that is open in it, so loopback protects nobody.
//
// Threads: any. Source: the Fetch standard (Origin, Sec-Fetch-Site, CORS); DNS rebinding is what
// the check of Host is for.
class BrowserRules {
 public:
  // `origins`: as `security.cors` lists them. `server`: where clients connect. With TLS a browser
  // has made sure of the name that it asked for: any is taken then.
  BrowserRules(std::vector<std::string> origins, const Endpoint& server);

  // A refusal, or the answer to a preflight; nothing for a request that goes on.
  std::optional<Response> answer(const Request& request) const;
  // Lets the page that sent the request read this response, if its origin is listed.
  void permit(const std::optional<std::string>& origin, Response& response) const;

 private:
  bool listed(const std::optional<std::string>& origin) const;
  bool is_ours(const std::string& host) const;

  const std::vector<std::string> origins_;
  const std::string host_;
  const bool tls_;
};

// Whether a browser sent it. Gateways never say what browsers always say.
bool from_browser(const Request& request);

}  // namespace entente
