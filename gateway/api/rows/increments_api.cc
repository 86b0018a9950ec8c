#include "gateway/api/rows/increments_api.h"

#include "gateway/api/row_json.h"
#include "gateway/api/rows/row_path.h"
#include "gateway/api/rows/row_write.h"
#include "gateway/encoding/json.h"
#include "gateway/http/problem.h"

namespace entente {
namespace {

constexpr size_t kLongestKey = 255;

// The body is an object of columns and the whole numbers to add to them.
Result<Row> parse_amounts(std::string& text) {
  const auto body = parse_json(text);
  if (!body) return tl::unexpected(body.error());
  if (body->object() == nullptr || body->object()->empty()) {
    return fail(Code::kInvalid, "the body must be an object of counters and what to add to them",
                "amount");
  }
  if (body->object()->size() > kRowColumnsMax) {
    return fail(Code::kInvalid,
                "the body names more than " + std::to_string(kRowColumnsMax) + " columns",
                "amount");
  }
  Row amounts;
  for (const auto& [column, amount] : *body->object()) {
    if (amount.integer() == nullptr) {
      return fail(Code::kInvalid, "column " + column + ": what is added must be a whole number",
                  "amount");
    }
    amounts.emplace(column, *amount.integer());
  }
  return amounts;
}

Result<RowName> permitted_row(const RoutedRequest& routed) {
  auto name = row_name(routed);
  if (!name) return name;
  if (auto ok = permit_write(*routed.client, name->table); !ok) return tl::unexpected(ok.error());
  return name;
}

Result<RowRequest> parse_increment(RoutedRequest& routed, RowName name) {
  auto amounts = parse_amounts(routed.request.body);
  if (!amounts) return tl::unexpected(amounts.error());
  RowRequest write;
  write.kind = RowRequest::Kind::kIncrement;
  write.table = std::move(name.table);
  write.key = std::move(name.key);
  write.columns = std::move(*amounts);
  return write;
}

// Frees a key unless its request was answered.
class Claim {
 public:
  Claim(IdempotencyKeys& keys, const std::optional<std::string>& key) : keys_(keys), key_(key) {}
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim() {
    if (key_) keys_.failed(*key_);
  }

  void settle(const Response& response) {
    if (!key_ || response.status != 200) return;
    keys_.done(*key_, response);
    key_.reset();
  }

 private:
  IdempotencyKeys& keys_;
  std::optional<std::string> key_;
};

}  // namespace

Task<Response> IncrementsApi::increment(RoutedRequest routed) {
  auto name = permitted_row(routed);
  if (!name) co_return problem(name.error());
  auto key = routed.request.idempotency_key;
  if (key && (key->empty() || key->size() > kLongestKey)) {
    co_return problem(400, "idempotency_key", "an Idempotency-Key has 1 to 255 bytes");
  }
  if (key) {
    *key += '\n' + routed.client->owner;  // two clients may hit upon the same
    auto known = keys_.begin(*key, routed.request.path + "\n" + routed.request.body);
    if (known) co_return std::move(*known);
  }
  Claim claim(keys_, key);
  auto write = parse_increment(routed, std::move(*name));
  if (!write) co_return problem(write.error());
  Task<Response> writing = commit_row_write(site_, std::move(*write));
  Response response = co_await writing;
  claim.settle(response);
  co_return response;
}

void IncrementsApi::add_to(Router& router) {
  router.add(Method::kPost, "/v1/tables/*/rows/*/increment", "rows", Right::kWrite,
             [this](RoutedRequest r) { return increment(std::move(r)); });
}

}  // namespace entente
