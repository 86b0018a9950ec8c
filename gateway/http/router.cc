#include "gateway/http/router.h"

#include "gateway/encoding/url.h"
#include "gateway/http/problem.h"

namespace entente {
namespace {

bool matches(const std::vector<std::string_view>& pattern,
             const std::vector<std::string_view>& segments) {
  if (pattern.size() != segments.size()) return false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != "*" && pattern[i] != segments[i]) return false;
  }
  return true;
}

Response not_found(std::string_view path) {
  return problem(
      404, "no_such_path",
      "there is nothing at " + std::string(path.substr(0, 200)) + "; the paths are listed at /");
}

Response wrong_method(std::string allowed) {
  auto response = problem(405, "method", "this resource answers " + allowed);
  response.headers.emplace_back("Allow", std::move(allowed));
  return response;
}

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kHead:
      return "HEAD";
    case Method::kPost:
      return "POST";
    case Method::kPut:
      return "PUT";
    case Method::kPatch:
      return "PATCH";
    case Method::kDelete:
      return "DELETE";
    case Method::kOptions:
      return "OPTIONS";
    case Method::kWebSocket:
      return "WebSocket";
    case Method::kOther:
      break;
  }
  return "";
}

void Router::add(Method method, std::string_view pattern, std::string_view family, Right right,
                 RouteHandler handler) {
  routes_.push_back({method, path_segments(pattern), family, right, std::move(handler)});
}

Router::Match Router::find(Method method, std::string_view path) const {
  Match match;
  if (method == Method::kHead) method = Method::kGet;
  const auto segments = path_segments(path);
  std::string allowed;
  for (const auto& route : routes_) {
    if (!matches(route.pattern, segments)) continue;
    match.family = route.family;
    if (route.method == method) {
      match.handler = &route.handler;
      match.right = route.right;
      for (size_t i = 0; i < segments.size(); ++i) {
        if (route.pattern[i] == "*") match.parts.emplace_back(segments[i]);
      }
      return match;
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(to_string(route.method));
    if (route.method == Method::kGet) allowed += ", HEAD";
  }
  match.refusal = allowed.empty() ? not_found(path) : wrong_method(std::move(allowed));
  return match;
}

}  // namespace entente
