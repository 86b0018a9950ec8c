#include "gateway/commands/http_call.h"

#include "topology/scalars.h"

namespace entente {
namespace {

constexpr size_t kLongestBody = 16 << 20;

// The command line's: one for the whole process.
std::string& trusted_ca() {
  static std::string file;
  return file;
}

Result<HttpAnswer> call(const Endpoint& endpoint, HttpQuestion question,
                        std::chrono::milliseconds timeout) {
  return ask_server(to_server(endpoint, trusted_ca()), std::move(question), {timeout, timeout},
                    kLongestBody);
}

}  // namespace

void trust_ca(std::string file) { trusted_ca() = std::move(file); }

Result<Endpoint> parse_url(std::string_view url) {
  constexpr std::string_view kHttp = "http://", kHttps = "https://";
  const bool tls = url.starts_with(kHttps);
  if (!tls && !url.starts_with(kHttp)) {
    return fail(Code::kInvalid,
                "a gateway's URL looks like http://127.0.0.1:8080, or https://… with TLS");
  }
  url.remove_prefix(tls ? kHttps.size() : kHttp.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  auto endpoint = parse_endpoint(url);
  if (endpoint && endpoint->port == 0) return fail(Code::kInvalid, "port 0 cannot be connected to");
  if (endpoint) endpoint->tls = tls;
  return endpoint;
}

Result<HttpAnswer> http_get(const Endpoint& endpoint, const std::string& path,
                            std::chrono::milliseconds timeout) {
  return call(endpoint, {path, "", {}}, timeout);
}

Result<HttpAnswer> http_post(const Endpoint& endpoint, const std::string& path, std::string json,
                             std::chrono::milliseconds timeout, const std::string& session) {
  HttpQuestion question{path, std::move(json), {}};
  if (!session.empty()) question.headers.emplace_back("Entente-Session", session);
  return call(endpoint, std::move(question), timeout);
}

}  // namespace entente
