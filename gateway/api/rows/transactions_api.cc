#include "gateway/api/rows/transactions_api.h"

#include "gateway/api/row_json.h"
#include "gateway/api/session.h"
#include "gateway/http/problem.h"
#include "gateway/store/store_calls.h"

namespace entente {
namespace {

constexpr size_t kWritesMax = 10'000;
constexpr std::string_view kNotForWriters =
    "what a removed datacenter has left is taken in by somebody whose token has the role operate";

tl::unexpected<Error> invalid(std::string text) {
  return fail(Code::kInvalid, std::move(text), "transaction");
}

Error at_index(Error error, size_t index) {
  error.text = "writes[" + std::to_string(index) + "]: " + error.text;
  return error;
}

const std::string* text_member(const Json& json, std::string_view name) {
  const Json* member = json.find(name);
  return member == nullptr ? nullptr : member->string();
}

Result<RowRequest::Kind> parse_kind(const Json& json) {
  const auto* op = text_member(json, "op");
  if (op != nullptr && *op == "put") return RowRequest::Kind::kPut;
  if (op != nullptr && *op == "patch") return RowRequest::Kind::kPatch;
  if (op != nullptr && *op == "delete") return RowRequest::Kind::kErase;
  return invalid("\"op\" must be \"put\", \"patch\" or \"delete\"");
}

Result<RowRequest> parse_write(const Json& json) {
  static constexpr std::string_view kMembers[] = {"op",  "table",   "key",
                                                  "row", "context", "if_match"};
  if (auto ok = only_members(json, kMembers); !ok) return tl::unexpected(ok.error());
  RowRequest write;
  const auto kind = parse_kind(json);
  if (!kind) return tl::unexpected(kind.error());
  write.kind = *kind;
  const auto* table = text_member(json, "table");
  if (table == nullptr) return invalid("\"table\" must be a table's name");
  write.table = *table;
  const Json* key = json.find("key");
  if (key == nullptr) return invalid("\"key\" is missing");
  auto parts = key_from_json(*key);
  if (!parts) return tl::unexpected(parts.error());
  write.key = std::move(*parts);
  auto context = context_from_json(json);
  if (!context) return tl::unexpected(context.error());
  write.context = std::move(*context);
  if (json.find("if_match") != nullptr) {
    const auto* etag = text_member(json, "if_match");
    if (etag == nullptr) return invalid("\"if_match\" must be an ETag without its quotes");
    write.if_match = *etag;
  }
  if (write.kind == RowRequest::Kind::kErase) return write;
  const Json* row = json.find("row");
  if (row == nullptr) return invalid("\"row\" is missing");
  auto columns = row_from_json(*row);
  if (!columns) return tl::unexpected(columns.error());
  write.columns = std::move(*columns);
  return write;
}

Result<std::vector<RowRequest>> parse_writes(const Json& body) {
  const Json* writes = body.find("writes");
  if (writes == nullptr || writes->array() == nullptr || writes->array()->empty()) {
    return invalid("the body needs \"writes\", an array of at least one write");
  }
  if (writes->array()->size() > kWritesMax) {
    return fail(Code::kTooLarge, "a transaction holds at most " + std::to_string(kWritesMax) +
                                     " writes; send several transactions");
  }
  std::vector<RowRequest> requests;
  requests.reserve(writes->array()->size());
  for (const auto& json : *writes->array()) {
    auto write = parse_write(json);
    if (!write) return tl::unexpected(at_index(write.error(), requests.size()));
    requests.push_back(std::move(*write));
  }
  return requests;
}

Result<void> permit_all(const Client& client, const std::vector<RowRequest>& writes) {
  for (size_t i = 0; i < writes.size(); ++i) {
    auto ok = permit_write(client, writes[i].table);
    if (!ok) return tl::unexpected(at_index(ok.error(), i));
  }
  return {};
}

VersionVector contexts(const std::vector<RowRequest>& writes) {
  VersionVector all;
  for (const auto& write : writes) {
    if (write.context) all.join(write.context->ceiling());
  }
  return all;
}

Result<std::vector<RowOutcome>> run(WriteSession& session, const std::vector<RowRequest>& writes) {
  std::vector<RowOutcome> outcomes;
  outcomes.reserve(writes.size());
  for (const auto& write : writes) {
    auto outcome = session.write(write);
    if (!outcome) return tl::unexpected(at_index(outcome.error(), outcomes.size()));
    outcomes.push_back(std::move(*outcome));
  }
  return outcomes;
}

Response render(const Committed& committed, std::vector<RowOutcome> outcomes) {
  JsonWriter out;
  out.begin_object();
  write_stamp(out, committed);
  Response response;
  response.session = session_token(committed.applied);
  out.member("session", response.session).key("results").begin_array();
  for (auto& outcome : outcomes) {
    if (committed.dot) outcome.context.add(*committed.dot);
    out.begin_object().member("context", context_token(outcome.context));
    out.member("conflict", to_string(outcome.conflict));
    out.end_object();
  }
  response.body = out.end_array().end_object().take();
  return response;
}

Task<Response> post_transaction(const Site& site, UnshippedApi& unshipped, RoutedRequest routed) {
  const auto body = parse_json(routed.request.body);
  if (!body) co_return problem(body.error());
  if (body->find("record") != nullptr) {  // a line of an unshipped.ndjson
    if (!routed.client->may(Right::kOperate)) co_return problem(403, "forbidden", kNotForWriters);
    Task<Response> taking = unshipped.take(std::move(routed.request.body));
    co_return co_await taking;
  }
  const auto writes = parse_writes(*body);
  if (!writes) co_return problem(writes.error());
  if (auto ok = permit_all(*routed.client, *writes); !ok) co_return problem(ok.error());
  Task<std::optional<Response>> waiting = wait_for(site, contexts(*writes));
  auto refusal = co_await waiting;
  if (refusal) co_return std::move(*refusal);
  std::vector<RowOutcome> outcomes;
  ClientTransaction work = [&](WriteSession& session) -> Result<void> {
    auto done = run(session, *writes);
    if (!done) return tl::unexpected(done.error());
    outcomes = std::move(*done);
    return {};
  };
  SubmitCall call(site.store, site.loop, std::move(work));
  auto committed = co_await call;
  if (!committed) co_return problem(committed.error());
  co_return render(*committed, std::move(outcomes));
}

}  // namespace

void add_transactions_api(Router& router, const Site& site, UnshippedApi& unshipped) {
  router.add(Method::kPost, "/v1/transactions", "transactions", Right::kWrite,
             [&site, &unshipped](RoutedRequest r) {
               return post_transaction(site, unshipped, std::move(r));
             });
}

}  // namespace entente
