#include "gateway/http/browser_rules.h"

#include <algorithm>

#include "gateway/http/problem.h"
#include "topology/scalars.h"

namespace entente {
namespace {

// Without its port and brackets.
std::string name_of(std::string_view host) {
  const size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos &&
      (host.starts_with('[') || host.find(':') == colon)) {
    host = host.substr(0, colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::string name(host);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return name;
}

Response preflight() {
  Response response;
  response.status = 204;
  response.headers = {
      {"Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"},
      {"Access-Control-Allow-Headers",
       "Authorization, Content-Type, Accept, Entente-Session, Idempotency-Key, If-Match, "
       "If-None-Match, Last-Event-ID"},
      {"Access-Control-Max-Age", "600"}};
  return response;
}

}  // namespace

BrowserRules::BrowserRules(std::vector<std::string> origins, const Endpoint& server)
    : origins_(std::move(origins)), host_(name_of(server.host)), tls_(server.tls) {}

bool BrowserRules::listed(const std::optional<std::string>& origin) const {
  return origin && std::find(origins_.begin(), origins_.end(), *origin) != origins_.end();
}

bool BrowserRules::is_ours(const std::string& host) const {
  const std::string name = name_of(host);
  return tls_ || name == host_ || is_loopback(name) || name.ends_with(".localhost");
}

std::optional<Response> BrowserRules::answer(const Request& request) const {
  if (request.host && !is_ours(*request.host)) {
    return problem(
        421, "foreign_host",
        "this gateway is not " + *request.host + ": ask for " + host_ + " or a name of loopback");
  }
  const bool ours = request.origin && request.host &&
                    *request.origin == (tls_ ? "https://" : "http://") + *request.host;
  const bool foreign_site =
      request.fetch_site && *request.fetch_site != "same-origin" && *request.fetch_site != "none";
  if (!listed(request.origin) && ((request.origin && !ours) || foreign_site)) {
    return problem(403, "foreign_origin",
                   "pages of " + request.origin.value_or("another site") +
                       " may not ask this gateway: list their origin in security.cors");
  }
  if (request.method == Method::kOptions) return preflight();
  return std::nullopt;
}

void BrowserRules::permit(const std::optional<std::string>& origin, Response& response) const {
  if (origins_.empty()) return;
  response.headers.emplace_back("Vary", "Origin");
  if (!listed(origin)) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", *origin);
  response.headers.emplace_back("Access-Control-Expose-Headers",
                                "Entente-Session, Entente-Dc, ETag, Retry-After");
}

bool from_browser(const Request& request) { return request.origin || request.fetch_site; }

}  // namespace entente
