#include "gateway/api/rows/rows_api.h"

#include "gateway/api/row_json.h"
#include "gateway/api/rows/row_path.h"
#include "gateway/api/rows/row_write.h"
#include "gateway/encoding/url.h"
#include "gateway/http/problem.h"
#include "gateway/store/read_snapshot.h"
#include "gateway/store/store_calls.h"

namespace entente {
namespace {

// ---- Reading -----------------------------------------------------------------------------------

struct ReadAnswer {
  RowRead row;
  VersionVector applied;
};

// In the reader's snapshot.
Result<ReadAnswer> read_row(Reader& reader, const RowName& name, bool all) {
  auto applied = reader.applied();
  if (!applied) return tl::unexpected(applied.error());
  auto row = reader.row(name.table, name.key, all);
  if (!row) return tl::unexpected(row.error());
  return ReadAnswer{std::move(*row), std::move(*applied)};
}

void write_values(JsonWriter& out, const std::vector<RowVersion>& values, BigIntegers big) {
  out.key("values").begin_array();
  for (const auto& value : values) {
    out.begin_object();
    write_version(out, value, big);
    out.end_object();
  }
  out.end_array();
}

// A row that is not there has a context, too: a write that shows it replaces the tombstone.
void write_absence(JsonWriter& out, const RowName& name) {
  out.member("type", "urn:entente:problem:no_such_row").member("title", "Not found");
  out.key("status").integer(404);
  out.member("detail", "table " + name.table + " has no row with this key");
  out.member("code", "no_such_row");
}

Response render(const ReadAnswer& answer, const RowName& name, bool all, BigIntegers big) {
  const RowRead& read = answer.row;
  JsonWriter out;
  out.begin_object();
  if (read.row) {
    out.key("row");
    write_row(out, *read.row, big);
  } else {
    write_absence(out, name);
  }
  out.member("context", context_token(read.context));
  out.key("siblings").unsigned_integer(read.siblings);
  out.member("conflict", to_string(read.conflict))
      .member("policy", entente::to_string(read.policy));
  if (all) write_values(out, read.values, big);
  Response response;
  response.status = read.row ? 200 : 404;
  if (!read.row) response.content_type = "application/problem+json";
  response.body = out.end_object().take();
  if (!read.etag.empty()) response.headers.emplace_back("ETag", '"' + read.etag + '"');
  response.session = session_token(answer.applied);
  return response;
}

Task<Result<ReadAnswer>> read_once(const Site& site, const RowName& name, bool all) {
  Result<ReadAnswer> answer = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader& r) { answer = read_row(r, name, all); };
  if (site.short_reads.read(job)) co_return answer;
  job = [&](Reader& r) {
    Snapshot snapshot(r);
    const auto begun = snapshot.applied();
    answer = begun ? read_row(r, name, all) : tl::unexpected(begun.error());
  };
  ReadCall call(site.store, site.loop, std::move(job));
  co_await call;
  co_return answer;
}

// `run: read`: the reader is who has the policy decide, and the decision is written back: of what
// was read, if it is still so. If that fails, the conflict stays open for the next reader.
Task<void> decide(const Site& site, const RowName& name, const RowRead& read) {
  RowRequest resolve;
  resolve.kind = RowRequest::Kind::kResolve;
  resolve.table = name.table;
  resolve.key = name.key;
  resolve.if_match = read.etag;
  ClientTransaction work = [resolve = std::move(resolve)](WriteSession& session) -> Result<void> {
    auto done = session.write(resolve);
    if (!done) return tl::unexpected(done.error());
    return {};
  };
  SubmitCall call(site.store, site.loop, std::move(work));
  co_await call;
}

Task<Response> get_row(const Site& site, RoutedRequest routed) {
  const auto name = row_name(routed);
  if (!name) co_return problem(name.error());
  if (auto ok = permit_read(*routed.client, name->table); !ok) co_return problem(ok.error());
  const auto siblings = query_parameter(routed.request.query, "siblings");
  const auto integers = query_parameter(routed.request.query, "integers");
  if (!siblings) co_return problem(siblings.error());
  if (!integers) co_return problem(integers.error());
  const bool all = *siblings == "all";
  Task<Result<ReadAnswer>> first = read_once(site, *name, all);
  auto answer = co_await first;
  if (answer && answer->row.decides_on_read) {
    Task<void> decided = decide(site, *name, answer->row);
    co_await decided;
    Task<Result<ReadAnswer>> again = read_once(site, *name, all);
    answer = co_await again;
  }
  if (!answer) co_return problem(answer.error());
  co_return render(*answer, *name, all,
                   *integers == "text" ? BigIntegers::kText : BigIntegers::kNumber);
}

// ---- Writing -----------------------------------------------------------------------------------

// `"x"` to x. One strong ETag: what a read gave.
Result<std::string> parse_etag(std::string_view header) {
  if (header.size() >= 2 && header.front() == '"' && header.back() == '"' &&
      header.substr(1, header.size() - 2).find('"') == std::string_view::npos) {
    return std::string(header.substr(1, header.size() - 2));
  }
  return fail(Code::kInvalid, "If-Match must be one ETag in quotes, as a read of the row gave it",
              "if_match");
}

Result<void> take_preconditions(const Request& request, RowRequest& write) {
  if (request.if_match) {
    auto etag = parse_etag(*request.if_match);
    if (!etag) return tl::unexpected(etag.error());
    write.if_match = std::move(*etag);
  }
  if (request.if_none_match) {
    if (*request.if_none_match != "*") {
      return fail(Code::kInvalid, "If-None-Match must be * : the row must not exist", "if_match");
    }
    write.if_none_match = true;
  }
  return {};
}

// The body's context, or the query's: some clients cannot send a body with DELETE.
Result<void> take_context(const Request& request, const Json& body, RowRequest& write) {
  auto context = context_from_json(body);
  if (!context) return tl::unexpected(context.error());
  write.context = std::move(*context);
  if (write.context) return {};
  const auto token = query_parameter(request.query, "context");
  if (!token) return tl::unexpected(token.error());
  if (!*token) return {};
  auto parsed = parse_context_token(**token);
  if (!parsed) return tl::unexpected(parsed.error());
  write.context = std::move(*parsed);
  return {};
}

Result<void> take_row(const Json& body, RowRequest& write) {
  const Json* row = body.find("row");
  if (row == nullptr) return fail(Code::kInvalid, "the body needs a \"row\"", "value");
  auto columns = row_from_json(*row);
  if (!columns) return tl::unexpected(columns.error());
  write.columns = std::move(*columns);
  return {};
}

// What a resolution says: take that sibling, or this row; it must show what it decided about.
Result<void> take_resolution(const Json& body, RowRequest& write) {
  if (!write.context) {
    return fail(Code::kContextNeeded,
                "a resolution needs the \"context\" of the read whose values it decided about");
  }
  write.resolution = true;
  const Json* pick = body.find("pick");
  if (pick == nullptr) return take_row(body, write);
  const auto dot = dot_from_json(*pick);
  if (!dot) return tl::unexpected(dot.error());
  write.pick = *dot;
  return {};
}

enum class Verb { kPut, kPatch, kDelete, kResolve };

RowRequest::Kind kind_of(Verb verb) {
  if (verb == Verb::kPatch) return RowRequest::Kind::kPatch;
  return verb == Verb::kDelete ? RowRequest::Kind::kErase : RowRequest::Kind::kPut;
}

Result<RowRequest> parse_write(RoutedRequest& routed, Verb verb) {
  auto name = row_name(routed);
  if (!name) return tl::unexpected(name.error());
  if (auto ok = permit_write(*routed.client, name->table); !ok) return tl::unexpected(ok.error());
  RowRequest write;
  write.decided_by = routed.client->sub;
  write.kind = kind_of(verb);
  write.table = std::move(name->table);
  write.key = std::move(name->key);
  Json body;
  if (verb != Verb::kDelete || !routed.request.body.empty()) {
    auto parsed = parse_json(routed.request.body);
    if (!parsed) return tl::unexpected(parsed.error());
    body = std::move(*parsed);
  }
  static constexpr std::string_view kMembers[] = {"row", "context"};
  static constexpr std::string_view kResolveMembers[] = {"row", "context", "pick"};
  const std::span<const std::string_view> members =
      verb == Verb::kResolve ? std::span<const std::string_view>(kResolveMembers) : kMembers;
  if (auto ok = only_members(body, members); !ok) return tl::unexpected(ok.error());
  if (auto ok = take_preconditions(routed.request, write); !ok) return tl::unexpected(ok.error());
  if (auto ok = take_context(routed.request, body, write); !ok) return tl::unexpected(ok.error());
  if (verb == Verb::kDelete) return write;
  auto ok = verb == Verb::kResolve ? take_resolution(body, write) : take_row(body, write);
  if (!ok) return tl::unexpected(ok.error());
  return write;
}

Task<Response> write_row(const Site& site, RoutedRequest routed, Verb verb) {
  auto write = parse_write(routed, verb);
  if (!write) co_return problem(write.error());
  Task<Response> writing = commit_row_write(site, std::move(*write));
  co_return co_await writing;
}

}  // namespace

void add_rows_api(Router& router, const Site& site) {
  constexpr std::string_view kRow = "/v1/tables/*/rows/*";
  const auto writer = [&site](Verb verb) {
    return [&site, verb](RoutedRequest r) { return write_row(site, std::move(r), verb); };
  };
  router.add(Method::kGet, kRow, "rows", Right::kRead,
             [&site](RoutedRequest r) { return get_row(site, std::move(r)); });
  router.add(Method::kPut, kRow, "rows", Right::kWrite, writer(Verb::kPut));
  router.add(Method::kPatch, kRow, "rows", Right::kWrite, writer(Verb::kPatch));
  router.add(Method::kDelete, kRow, "rows", Right::kWrite, writer(Verb::kDelete));
  router.add(Method::kPost, "/v1/tables/*/rows/*/resolve", "rows", Right::kWrite,
             writer(Verb::kResolve));
}

}  // namespace entente
