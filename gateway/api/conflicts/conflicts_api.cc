#include "gateway/api/conflicts/conflicts_api.h"

#include <charconv>

#include "gateway/api/conflicts/conflict_json.h"
#include "gateway/api/conflicts/conflict_resolution.h"
#include "gateway/api/rows/row_write.h"
#include "gateway/encoding/url.h"
#include "gateway/http/problem.h"
#include "gateway/store/read_snapshot.h"
#include "gateway/store/store_calls.h"

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

// What the client may not read is left out; the next page begins after it all the same.
Response render(Page page, const Question& question, std::string_view dc, const Client& client) {
  JsonWriter out;
  out.begin_object().key("conflicts").begin_array();
  for (const auto& entry : page.entries) {
    if (client.may_read(entry.table)) write_conflict(out, entry, dc, question.big);
  }
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
  const std::string& table = question->query.table;
  if (auto ok = permit_read(*routed.client, table); !ok && !table.empty()) {
    co_return problem(ok.error());
  }
  Result<Page> page = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader& r) { page = read_page(r, *question); };
  ReadCall call(site.store, site.loop, std::move(job));
  co_await call;
  if (!page) co_return problem(page.error());
  co_return render(std::move(*page), *question, site.dc, *routed.client);
}

// ---- One entry ---------------------------------------------------------------------------------

Result<uint64_t> entry_id(const RoutedRequest& routed) {
  return parse_count(routed.parts[0], "the conflict's id");
}

struct OneEntry {
  ConflictEntry entry;
  RowRead row;  // the row as it is now
  VersionVector applied;
};

// `permitted`: may somebody know that there is an entry about this table?
using Permitted = std::function<bool(const std::string& table)>;

Result<OneEntry> read_entry(Reader& reader, uint64_t id, const Permitted& permitted) {
  Snapshot snapshot(reader);
  auto applied = snapshot.applied();
  if (!applied) return tl::unexpected(applied.error());
  ConflictQuery query;
  query.after_id = id - 1;
  query.limit = 1;
  auto entries = reader.conflicts(query);
  if (!entries) return tl::unexpected(entries.error());
  if (entries->empty() || entries->front().id != id || !permitted(entries->front().table)) {
    return fail(Code::kNotFound,
                "this datacenter's log has no conflict " + std::to_string(id) +
                    ": it was settled, or is too long ago, or is another datacenter's number",
                "no_such_conflict");
  }
  const auto& entry = entries->front();
  const auto key = key_parts(entry.key);
  if (!key) return tl::unexpected(key.error());
  auto row = reader.row(entry.table, *key, true);
  if (!row) return tl::unexpected(row.error());
  return OneEntry{std::move(entries->front()), std::move(*row), std::move(*applied)};
}

// Asks a reading thread; the answer lives in the awaiting coroutine.
Task<Result<OneEntry>> find_entry(const Site& site, uint64_t id, Permitted permitted) {
  Result<OneEntry> found = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader& r) { found = read_entry(r, id, permitted); };
  ReadCall call(site.store, site.loop, std::move(job));
  co_await call;
  co_return found;
}

Task<Response> get_conflict(const Site& site, RoutedRequest routed) {
  const auto id = entry_id(routed);
  if (!id) co_return problem(id.error());
  const auto integers = query_parameter(routed.request.query, "integers");
  if (!integers) co_return problem(integers.error());
  Permitted may_read = [client = routed.client](const auto& t) { return client->may_read(t); };
  Task<Result<OneEntry>> finding = find_entry(site, *id, std::move(may_read));
  const auto found = co_await finding;
  if (!found) co_return problem(found.error());
  JsonWriter out;
  const bool text = *integers == "text";
  write_conflict(out, found->entry, site.dc, text ? BigIntegers::kText : BigIntegers::kNumber);
  Response response;
  response.body = out.take();
  response.session = session_token(found->applied);
  co_return response;
}

Task<Response> resolve_conflict(const Site& site, RoutedRequest routed) {
  const auto id = entry_id(routed);
  if (!id) co_return problem(id.error());
  const auto choice = parse_choice(routed.request.body);
  if (!choice) co_return problem(choice.error());
  // Its refusals tell of the row: who decides may read it.
  Permitted may_decide = [client = routed.client](const auto& t) { return client->may_read(t); };
  Task<Result<OneEntry>> finding = find_entry(site, *id, std::move(may_decide));
  const auto found = co_await finding;
  if (!found) co_return problem(found.error());
  if (auto ok = permit_write(*routed.client, found->entry.table); !ok) {
    co_return problem(ok.error());
  }
  auto write = decided(found->entry, found->row, *choice);
  if (!write) co_return problem(write.error());
  write->decided_by = routed.client->sub;
  Task<Response> writing = commit_row_write(site, std::move(*write));
  co_return co_await writing;
}

}  // namespace

void add_conflicts_api(Router& router, const Site& site) {
  router.add(Method::kGet, "/v1/conflicts", "conflicts", Right::kRead,
             [&site](RoutedRequest r) { return get_conflicts(site, std::move(r)); });
  router.add(Method::kGet, "/v1/conflicts/*", "conflicts", Right::kRead,
             [&site](RoutedRequest r) { return get_conflict(site, std::move(r)); });
  router.add(Method::kPost, "/v1/conflicts/*/resolve", "conflicts", Right::kWrite,
             [&site](RoutedRequest r) { return resolve_conflict(site, std::move(r)); });
}

}  // namespace entente
