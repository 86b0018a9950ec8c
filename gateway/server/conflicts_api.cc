#include "gateway/server/conflicts_api.h"

#include <charconv>
#include <ctime>

#include "gateway/server/problem.h"
#include "gateway/server/row_json.h"
#include "gateway/server/snapshot.h"
#include "gateway/server/store_calls.h"
#include "gateway/server/url.h"

namespace entente {
namespace {

constexpr size_t kPageDefault = 100, kPageMax = 1'000;

struct Question {
  ConflictQuery query;
  std::optional<std::vector<Value>> key;  // becomes query.key once the table is known
  BigIntegers big = BigIntegers::kNumber;
};

tl::unexpected<Error> bad_parameter(std::string text) {
  return fail(Code::kInvalid, std::move(text), "parameter");
}

Result<uint64_t> parse_count(const std::string& text, const char* name) {
  uint64_t n = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, n);
  if (error == std::errc{} && end == last) return n;
  return bad_parameter(std::string(name) + " is not what a page of this list gave");
}

Result<ConflictQuery::State> parse_state(const std::optional<std::string>& text) {
  if (!text || *text == "any") return ConflictQuery::State::kAny;
  if (*text == "open") return ConflictQuery::State::kOpen;
  if (*text == "resolved") return ConflictQuery::State::kResolved;
  return bad_parameter("state must be open, resolved or any");
}

Result<void> take_page(const std::optional<std::string>& since,
                       const std::optional<std::string>& limit, ConflictQuery& query) {
  if (since) {
    const auto id = parse_count(*since, "since");
    if (!id) return tl::unexpected(id.error());
    query.after_id = *id;
  }
  query.limit = kPageDefault;
  if (!limit) return {};
  const auto n = parse_count(*limit, "limit");
  if (!n || *n == 0 || *n > kPageMax) {
    return bad_parameter("limit must be 1 to " + std::to_string(kPageMax));
  }
  query.limit = static_cast<size_t>(*n);
  return {};
}

Result<void> take_row(const std::optional<std::string>& table, std::string_view raw_query,
                      Question& question) {
  question.query.table = table.value_or("");
  const auto key = query_parameter(raw_query, "key");
  if (!key) return tl::unexpected(key.error());
  if (!*key) return {};
  if (!table) return bad_parameter("key needs a table");
  const auto parts = key_segment_parts(**key);
  if (!parts) return tl::unexpected(parts.error());
  question.key.emplace(parts->begin(), parts->end());
  return {};
}

Result<Question> parse_question(std::string_view raw_query) {
  Question question;
  std::optional<std::string> parameters[5];
  constexpr std::string_view kNames[5] = {"state", "since", "limit", "table", "integers"};
  for (size_t i = 0; i < 5; ++i) {
    auto value = query_parameter(raw_query, kNames[i]);
    if (!value) return tl::unexpected(value.error());
    parameters[i] = std::move(*value);
  }
  const auto state = parse_state(parameters[0]);
  if (!state) return tl::unexpected(state.error());
  question.query.state = *state;
  auto ok = take_page(parameters[1], parameters[2], question.query);
  if (ok) ok = take_row(parameters[3], raw_query, question);
  if (!ok) return tl::unexpected(ok.error());
  if (parameters[4] == "text") question.big = BigIntegers::kText;
  return question;
}

struct Page {
  std::vector<ConflictEntry> entries;
  VersionVector applied;
};

Result<Page> read_page(Reader& reader, const Question& question) {
  Snapshot snapshot(reader);
  auto applied = snapshot.applied();
  if (!applied) return tl::unexpected(applied.error());
  ConflictQuery query = question.query;
  if (question.key) {
    const auto table = reader.find_table(query.table);
    if (!table) return tl::unexpected(table.error());
    if (!*table) return fail(Code::kNotFound, "there is no table " + query.table, "no_such_table");
    auto key = canonical_key(**table, *question.key);
    if (!key) return tl::unexpected(key.error());
    query.key = std::move(*key);
  }
  auto entries = reader.conflicts(query);
  if (!entries) return tl::unexpected(entries.error());
  return Page{std::move(*entries), std::move(*applied)};
}

// ISO 8601, UTC, milliseconds.
std::string iso_time(uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  const std::string ms = std::to_string(1000 + unix_ms % 1000).substr(1);
  return std::string(text, n) + "." + ms + "Z";
}

void write_key(JsonWriter& out, const Key& key, BigIntegers big) {
  out.begin_array();
  const auto parts = key_parts(key);
  for (size_t i = 0; parts && i < parts->size(); ++i) write_value(out, (*parts)[i], big);
  out.end_array();
}

void write_entry(JsonWriter& out, const ConflictEntry& entry, BigIntegers big) {
  out.begin_object().key("id").unsigned_integer(entry.id).member("table", entry.table).key("key");
  write_key(out, entry.key, big);
  out.member("column", entry.group).member("kind", entry.kind);
  out.member("policy", to_string(entry.policy)).member("state", entry.open ? "open" : "resolved");
  out.key("winner").begin_object();
  write_version(out, entry.winner, big);
  out.end_object().key("losers").begin_array();
  for (const auto& loser : entry.losers) {
    out.begin_object();
    write_version(out, loser, big);
    out.end_object();
  }
  out.end_array().member("detected_at", iso_time(entry.detected_ms)).end_object();
}

Response render(Page page, const Question& question) {
  JsonWriter out;
  out.begin_object().key("conflicts").begin_array();
  for (const auto& entry : page.entries) write_entry(out, entry, question.big);
  out.end_array().key("next");
  if (page.entries.size() == question.query.limit) {
    out.string(std::to_string(page.entries.back().id));
  } else {
    out.null();
  }
  Response response;
  response.body = out.end_object().take();
  response.session = session_token(page.applied);
  return response;
}

Task<Response> get_conflicts(const Site& site, RoutedRequest routed) {
  const auto question = parse_question(routed.request.query);
  if (!question) co_return problem(question.error());
  Result<Page> page = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader& r) { page = read_page(r, *question); };
  ReadCall call(site.store, site.loop, std::move(job));
  co_await call;
  if (!page) co_return problem(page.error());
  co_return render(std::move(*page), *question);
}

}  // namespace

void add_conflicts_api(Router& router, const Site& site) {
  router.add(Method::kGet, "/v1/conflicts", "conflicts",
             [&site](RoutedRequest r) { return get_conflicts(site, std::move(r)); });
}

}  // namespace entente
