#include "gateway/http/problem.h"

#include "gateway/encoding/json.h"

namespace entente {
namespace {

struct Meaning {
  Code code;
  int status;
  std::string_view word;  // for errors without a tag
};

constexpr Meaning kMeanings[] = {
    {Code::kInvalid, 400, "invalid"},
    {Code::kNotFound, 404, "not_found"},
    {Code::kConstraint, 409, "constraint"},
    {Code::kPrecondition, 412, "etag"},
    {Code::kContextNeeded, 428, "context_needed"},
    {Code::kSql, 422, "sql"},
    {Code::kRefused, 403, "refused"},
    {Code::kTooLarge, 413, "too_large"},
    {Code::kBusy, 503, "busy"},
    {Code::kTimeout, 503, "timeout"},
    {Code::kNotReached, 503, "session_not_reached"},
    {Code::kExhausted, 503, "disk_full"},
    {Code::kCorrupt, 503, "not_ready"},
};

constexpr Meaning kOurFault{Code::kCorrupt, 500, "internal"};

const Meaning& meaning(Code code) {
  for (const auto& m : kMeanings) {
    if (m.code == code) return m;
  }
  return kOurFault;
}

std::string_view title(int status) {
  switch (status) {
    case 400:
      return "The request is malformed";
    case 401:
      return "A token is needed";
    case 403:
      return "Not allowed here";
    case 404:
      return "Not found";
    case 405:
      return "This method is not for this resource";
    case 409:
      return "A constraint refused the write";
    case 410:
      return "No longer here";
    case 412:
      return "A precondition does not hold";
    case 413:
      return "Too large";
    case 417:
      return "This expectation cannot be met";
    case 422:
      return "The database refused the statement";
    case 421:
      return "This is another host";
    case 428:
      return "A context is needed";
    case 429:
      return "Too many requests";
    case 431:
      return "The request's head is too large";
    case 503:
      return "Not now";
    default:
      return "The gateway failed";
  }
}

// The members every problem has; the document stays open for more.
JsonWriter open_problem(int status, std::string_view code, std::string_view detail) {
  JsonWriter json;
  json.begin_object().member("type", "urn:entente:problem:" + std::string(code));
  json.member("title", title(status)).key("status").integer(status);
  json.member("detail", detail).member("code", code);
  return json;
}

Response close_problem(int status, JsonWriter json) {
  Response response;
  response.status = status;
  response.content_type = "application/problem+json";
  response.body = json.end_object().take();
  if (status == 503 || status == 429) response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace

int http_status(Code code) { return meaning(code).status; }

Response problem(const Error& error) {
  const auto& m = meaning(error.code);
  return problem(m.status, error.tag.empty() ? m.word : std::string_view(error.tag), error.text);
}

Response problem(int status, std::string_view code, std::string_view detail) {
  return close_problem(status, open_problem(status, code, detail));
}

Response session_not_reached(const std::vector<Missing>& missing) {
  auto json = open_problem(503, "session_not_reached",
                           "this gateway has not applied all that the request has seen; try again, "
                           "or ask the datacenter that answered before");
  json.key("missing").begin_array();
  for (const auto& m : missing) {
    json.begin_object().member("dc", m.dc).member("origin", m.origin);
    json.key("have").unsigned_integer(m.have).key("need").unsigned_integer(m.need).end_object();
  }
  json.end_array();
  return close_problem(503, std::move(json));
}

}  // namespace entente
