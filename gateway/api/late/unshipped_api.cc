#include "gateway/api/late/unshipped_api.h"

#include <map>
#include <optional>
#include <utility>

#include "conflict/context.h"
#include "gateway/api/introduction.h"
#include "gateway/api/session.h"
#include "gateway/encoding/json.h"
#include "gateway/http/http_caller.h"
#include "gateway/http/problem.h"
#include "gateway/store/store_calls.h"

namespace entente {
namespace {

constexpr std::string_view kPath = "/v1/unshipped";
constexpr size_t kAnswerBytes = 2 << 20;
constexpr int kAttempts = 3;

Result<std::vector<UnshippedLine>> parse_lines(const std::string& text) {
  std::vector<UnshippedLine> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string one = text.substr(at, end - at);
    at = end + 1;
    if (one.empty()) continue;
    auto line = parse_unshipped(one);
    if (!line) {
      line.error().text = "line " + std::to_string(lines.size() + 1) + ": " + line.error().text;
      return tl::unexpected(line.error());
    }
    lines.push_back(std::move(*line));
  }
  if (lines.empty()) return fail(Code::kInvalid, "the body has no lines", "unshipped");
  return lines;
}

// Each name once.
std::map<Origin, UnshippedLine> names_in(const std::vector<UnshippedLine>& lines) {
  std::map<Origin, UnshippedLine> names;
  for (const auto& line : lines) {
    names.try_emplace(line.name.as, UnshippedLine{line.dc, line.name, line.forked, {}});
  }
  return names;
}

// Whether the file still says what nobody has.
Result<void> check_nobody_has(const UnshippedLine& line, const std::string& dc,
                              const VersionVector& applied) {
  const uint64_t has = applied.at(line.name.of);
  if (line.forked || has <= line.name.last) return {};
  return fail(Code::kRefused,
              dc + " has the changes of " + line.dc + " up to " + std::to_string(has) +
                  ", and the file says that nobody has those after " +
                  std::to_string(line.name.last) +
                  ": start the gateway of the removed datacenter "
                  "again, which writes the file anew, and submit that",
              "unshipped_known");
}

Error silent(const std::string& dc) {
  return {Code::kBusy,
          dc +
              " does not answer, and may have what the file says that nobody has: submit it again "
              "once " +
              dc + " is back, or remove " + dc + " first",
          "member_silent"};
}

}  // namespace

void UnshippedApi::add_to(Router& people) {
  people.add(Method::kPost, kPath, "operations",
             [this](RoutedRequest r) { return take(std::move(r.request.body)); });
}

Task<Response> UnshippedApi::answer_gateway(RoutedRequest routed) {
  if (site_.config.schema_leader != site_.dc) {
    co_return problem(403, "schema_leader", site_.dc + " is not the schema leader");
  }
  Task<Response> taking = take_here(std::move(routed.request.body));
  co_return co_await taking;
}

Task<Response> UnshippedApi::take(std::string lines) {
  const bool leads = site_.config.schema_leader == site_.dc;
  Task<Response> taking = leads ? take_here(std::move(lines)) : ask_leader(std::move(lines));
  co_return co_await taking;
}

Task<Response> UnshippedApi::ask_leader(std::string lines) {
  const Datacenter& leader = *site_.config.find(site_.config.schema_leader);
  HttpQuestion question{std::string(kPath), std::move(lines), {}};
  question.headers.emplace_back("Entente-Gateway", introduction_of(site_.config, site_.dc));
  HttpCaller caller(site_.executor, to_gateway(site_.config, leader), kAnswerBytes);
  const auto& limits = site_.config.limits;
  const HttpCaller::Patience patience{limits.link_timeout, limits.schema_timeout};
  std::function<void(HttpCaller::Done)> start = [&](HttpCaller::Done done) {
    caller.ask(std::move(question), patience, std::move(done));
  };
  CallbackCall<Result<HttpAnswer>> call(site_.loop, std::move(start));
  auto answer = co_await call;
  if (!answer) {
    co_return problem(503, "schema_leader",
                      leader.name +
                          ", the schema leader, takes in what a removed datacenter has "
                          "left, and cannot be reached (" +
                          answer.error().text + "): submit it again once it is back");
  }
  Response response;
  response.status = static_cast<int>(answer->status);
  if (answer->status != 200) response.content_type = "application/problem+json";
  response.body = std::move(answer->body);
  response.session = std::move(answer->session);
  co_return response;
}

Task<Response> UnshippedApi::take_here(std::string text) {
  auto lines = parse_lines(text);
  if (!lines) co_return problem(lines.error());
  if (std::exchange(taking_, true)) {
    co_return problem(503, "busy", "somebody else submits lines just now: send these again");
  }
  Task<Result<void>> asking = ask_members(*lines);
  const auto asked = co_await asking;
  std::optional<Response> response;
  if (asked) {
    Task<Response> taking = take_all(std::move(*lines));
    response = co_await taking;
  }
  taking_ = false;
  co_return asked ? std::move(*response) : problem(asked.error());
}

// Nobody may have any of it: it would come twice, under two names.
Task<Result<void>> UnshippedApi::ask_members(const std::vector<UnshippedLine>& lines) {
  const auto names = names_in(lines);
  VersionVector everywhere;
  for (const auto& other : site_.config.datacenters) {
    VersionVector applied = site_.store.applied();
    if (other.name != site_.dc) {
      Task<Result<TopologyNewsItem>> asking = ask(other);
      auto said = co_await asking;
      if (!said || !said->sealed) co_return tl::unexpected(silent(other.name));
      applied = std::move(*said->sealed);
    }
    for (const auto& [as, line] : names) {
      auto ok = check_nobody_has(line, other.name, applied);
      if (!ok) co_return ok;
      everywhere.advance(as, applied.at(as));
    }
  }
  AppliedCall level(site_.store, site_.loop, everywhere,
                    Store::Clock::now() + site_.config.limits.session_wait);
  if (co_await level) co_return Result<void>{};
  co_return fail(Code::kNotReached,
                 "others have more of what was taken in before than " + site_.dc +
                     " has yet: submit it again once it has caught up",
                 "session_not_reached");
}

Task<Result<TopologyNewsItem>> UnshippedApi::ask(const Datacenter& other) {
  HttpQuestion question{"/v1/topology", write_topology_news(mine_()), {}};
  question.headers.emplace_back("Entente-Gateway", introduction_of(site_.config, site_.dc));
  HttpCaller caller(site_.executor, to_gateway(site_.config, other), kAnswerBytes);
  const auto& limits = site_.config.limits;
  const HttpCaller::Patience patience{limits.link_timeout, limits.link_timeout};
  std::function<void(HttpCaller::Done)> start = [&](HttpCaller::Done done) {
    caller.ask(std::move(question), patience, std::move(done));
  };
  CallbackCall<Result<HttpAnswer>> call(site_.loop, std::move(start));
  auto answer = co_await call;
  if (!answer) co_return tl::unexpected(answer.error());
  if (answer->status != 200) co_return fail(Code::kRefused, answer->body);
  co_return parse_topology_news(answer->body);
}

Task<Response> UnshippedApi::take_all(std::vector<UnshippedLine> lines) {
  LateBatches batches(site_.store.database(), site_.config.rules, std::move(lines));
  for (int failed = 0; !batches.done();) {
    Result<std::vector<Run>> runs = tl::unexpected(too_busy());
    std::function<void(Reader&)> job = [&](Reader& reader) { runs = batches.next(reader); };
    ReadCall reading(site_.store, site_.loop, std::move(job));
    co_await reading;
    if (!runs) co_return problem(runs.error());
    if (runs->empty() && !batches.missing().empty()) {
      Task<std::optional<Response>> waiting = wait_for(site_, batches.missing());
      auto refusal = co_await waiting;
      if (refusal) co_return std::move(*refusal);
      continue;
    }
    std::function<void(std::function<void(Result<std::vector<LogChunk>>)>)> start = [&](auto done) {
      site_.store.take_in(std::move(*runs), std::move(done));
    };
    CallbackCall<Result<std::vector<LogChunk>>> taking(site_.loop, std::move(start));
    const auto took = co_await taking;
    // More was collected since the rows were looked at.
    if (!took && took.error().code == Code::kFork && ++failed < kAttempts) continue;
    if (!took) co_return problem(took.error());
    batches.taken();
  }
  JsonWriter out;
  out.begin_object().key("taken").unsigned_integer(batches.lines_taken());
  out.key("had").unsigned_integer(batches.lines_had());
  Response response;
  response.session = session_token(site_.store.applied());
  response.body = out.member("session", response.session).end_object().take();
  co_return response;
}

}  // namespace entente
