#include "gateway/api/refused.h"

#include "gateway/encoding/json.h"
#include "gateway/http/problem.h"

namespace entente {
namespace {

// RFC 6750.
void say_how(const Refusal& refusal, Response& response) {
  const bool asks = refusal.why == Refusal::Why::kMissing;
  if (refusal.meaning().status == 401) {
    response.headers.emplace_back("WWW-Authenticate",
                                  asks ? "Bearer" : "Bearer error=\"invalid_token\"");
  }
}

}  // namespace

Response refused(const Refusal& refusal) {
  const auto& meaning = refusal.meaning();
  Response response = problem(meaning.status, meaning.code, refusal.text);
  say_how(refusal, response);
  return response;
}

Response refused_by_hrana(const Refusal& refusal) {
  const auto& meaning = refusal.meaning();
  JsonWriter out;
  out.begin_object().member("message", refusal.text).member("code", meaning.code).end_object();
  Response response;
  response.status = meaning.status;
  response.body = out.take();
  if (meaning.status == 429) response.headers.emplace_back("Retry-After", "1");
  say_how(refusal, response);
  return response;
}

}  // namespace entente
