#include "gateway/api/changes/changes_api.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "conflict/context.h"
#include "gateway/encoding/url.h"
#include "gateway/http/problem.h"
#include "gateway/store/store_calls.h"

namespace entente {
namespace {

// One piece of a feed, roughly.
constexpr size_t kPieceBytes = 64 << 10;
constexpr std::chrono::milliseconds kBusyPause{100};
// How often a feed that has nothing to tell looks whether its reader's token has ended.
constexpr std::chrono::seconds kLookAtToken{1};

// ---- What the reader asks ----------------------------------------------------------------------

struct Question {
  std::optional<VersionVector> had;  // absent: from now on
  FeedOptions options;
};

tl::unexpected<Error> bad_parameter(std::string text) {
  return fail(Code::kInvalid, std::move(text), "parameter");
}

Result<std::optional<VersionVector>> parse_since(const std::optional<std::string>& since) {
  if (!since) return std::nullopt;
  if (*since == "beginning") return VersionVector{};
  auto had = parse_feed_cursor(*since);
  if (had) return std::optional(std::move(*had));
  return bad_parameter("since must be the cursor of a line of this feed, or `beginning`");
}

Result<uint64_t> parse_limit(const std::string& text) {
  uint64_t n = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, n);
  if (error == std::errc{} && end == last && n > 0) return n;
  return bad_parameter("limit must be a number of transactions, 1 or more");
}

std::set<std::string> parse_tables(std::string_view list) {
  std::set<std::string> tables;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (comma > 0) tables.emplace(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return tables;
}

// Last-Event-ID comes before `since`: a browser that connects again sends the old address with it.
Result<Question> parse_question(const Request& request) {
  std::optional<std::string> parameters[5];
  constexpr std::string_view kNames[5] = {"since", "limit", "until", "table", "integers"};
  for (size_t i = 0; i < 5; ++i) {
    auto value = query_parameter(request.query, kNames[i]);
    if (!value) return tl::unexpected(value.error());
    parameters[i] = std::move(*value);
  }
  const auto& [since, limit, until, table, integers] = parameters;
  Question question;
  auto had = parse_since(request.last_event_id ? request.last_event_id : since);
  if (!had) return tl::unexpected(had.error());
  question.had = std::move(*had);
  if (limit) {
    const auto n = parse_limit(*limit);
    if (!n) return tl::unexpected(n.error());
    question.options.limit = *n;
  }
  if (until && *until != "now") return bad_parameter("until must be `now`");
  question.options.until_now = until.has_value();
  if (table) question.options.tables = parse_tables(*table);
  if (integers == "text") question.options.big = BigIntegers::kText;
  question.options.events =
      request.accept && request.accept->find("text/event-stream") != std::string::npos;
  return question;
}

Response token_ended() {
  return problem(401, "token_ended",
                 "the token of this feed's reader has expired or was revoked: go on with another "
                 "one from the last cursor");
}

Response problem_of(const Error& error) {
  if (error.tag == "cursor_expired") return problem(410, error.tag, error.text);
  return problem(error);
}

}  // namespace

// One of limits.changes_feeds, for as long as it lives.
struct ChangesApi::Feed {
  explicit Feed(Counts& c) : counts(c) { ++counts.open; }
  ~Feed() { --counts.open; }
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  Counts& counts;
  std::optional<ChangeFeed> changes;
};

ChangesApi::ChangesApi(const Site& site) : site_(site), head_(site.store.opened(), site.loop) {
  site_.store.on_logged([this](const LogChunk& chunk) { head_.advance(chunk); });
}

void ChangesApi::add_to(Router& router) {
  router.add(Method::kGet, "/v1/changes", "changes", Right::kRead,
             [this](RoutedRequest r) { return answer(std::move(r)); });
}

Task<Response> ChangesApi::answer(RoutedRequest routed) {
  auto question = parse_question(routed.request);
  if (!question) co_return problem(question.error());
  for (const auto& table : question->options.tables) {
    if (auto ok = permit_read(*routed.client, table); !ok) co_return problem(ok.error());
  }
  question->options.client = routed.client;
  if (counts_.open >= site_.config.limits.changes_feeds) {
    co_return problem(503, "busy",
                      "as many change feeds are open here as may be (limits.changes_feeds); close "
                      "one, or ask another datacenter");
  }
  const auto feed = std::make_shared<Feed>(counts_);
  Result<ChangeFeed> opened = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader&) {
    opened = ChangeFeed::open(site_.store.database(), chunks_, head_.at(), std::move(question->had),
                              std::move(question->options));
  };
  ReadCall call(site_.store, site_.loop, std::move(job));
  co_await call;
  if (!opened) co_return problem_of(opened.error());
  feed->changes.emplace(std::move(*opened));
  Response response;
  response.content_type = feed->changes->events() ? "text/event-stream" : "application/x-ndjson";
  response.headers = {{"Cache-Control", "no-store"}};
  response.session = session_token(feed->changes->had());
  response.stream = [this, feed](ResponseStream& client) { return follow(feed, client); };
  co_return response;
}

// What there is to say now; empty if there is nothing, or the database is busy.
Task<Result<std::string>> ChangesApi::read(ChangeFeed& changes, bool& busy) {
  std::string piece;
  Result<void> filled;
  std::function<void(Reader&)> job = [&](Reader& reader) {
    filled = changes.fill(reader, head_.at(), kPieceBytes, piece);
  };
  const uint64_t before = changes.sent();
  ReadCall call(site_.store, site_.loop, std::move(job));
  busy = !co_await call;
  counts_.transactions += changes.sent() - before;
  if (!filled) co_return tl::unexpected(filled.error());
  co_return piece;
}

// The first line says where the reader stands, so that one who has seen nothing else can go on.
Task<void> ChangesApi::follow(std::shared_ptr<Feed> feed, ResponseStream& client) {
  ChangeFeed& changes = *feed->changes;
  std::string piece = changes.heartbeat();
  while (!piece.empty()) {
    Task<bool> writing = client.write(piece);
    if (!co_await writing) co_return;
    Task<std::string> waiting = next(changes, client);
    piece = co_await waiting;
  }
  if (!changes.between_lines()) client.abandon();
}

// What to say next, once there is something; empty: nothing more.
Task<std::string> ChangesApi::next(ChangeFeed& changes, ResponseStream& client) {
  const auto silent_until = LogHead::Clock::now() + site_.config.limits.changes_heartbeat;
  while (!changes.over()) {
    if (head_.stopping() || client.client_gone()) co_return "";
    if (!site_.access.holds(changes.client())) {
      co_return changes.between_lines() ? changes.farewell(token_ended().body) : "";
    }
    bool busy = false;
    Task<Result<std::string>> reading = read(changes, busy);
    auto piece = co_await reading;
    if (!piece) {
      spdlog::warn("change_feed_ended reason=\"{}\"", piece.error().text);
      co_return changes.between_lines() ? changes.farewell(problem_of(piece.error()).body) : "";
    }
    if (!piece->empty()) co_return std::move(*piece);
    const auto now = LogHead::Clock::now();
    if (now >= silent_until && changes.between_lines()) co_return changes.heartbeat();
    const LogPosition after = busy ? UINT64_MAX : changes.position();
    const auto pause =
        site_.access.needs_tokens() ? std::min(silent_until, now + kLookAtToken) : silent_until;
    LogHead::Growth growth(head_, after, busy ? now + kBusyPause : pause, client);
    co_await growth;
  }
  co_return changes.told() ? "" : changes.heartbeat();
}

}  // namespace entente
