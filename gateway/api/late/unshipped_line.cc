#include "gateway/api/late/unshipped_line.h"

#include <variant>

#include "gateway/api/row_json.h"
#include "gateway/encoding/base64.h"
#include "gateway/encoding/json.h"
#include "gateway/membership/data_folder.h"

namespace entente {
namespace {

void write_change(JsonWriter& out, const RowChange& change) {
  out.begin_object().member("op", change.erase ? "delete" : change.inserted ? "put" : "patch");
  out.member("table", change.table).key("key");
  write_key_parts(out, change.key, BigIntegers::kNumber);
  if (!change.erase) {
    out.key("row");
    write_row(out, change.columns, BigIntegers::kNumber);
  }
  out.end_object();
}

std::optional<uint64_t> number_in(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  if (member == nullptr || member->integer() == nullptr || *member->integer() < 0) return {};
  return static_cast<uint64_t>(*member->integer());
}

tl::unexpected<Error> malformed(const std::string& what) {
  return fail(Code::kInvalid, "this is no line of an unshipped.ndjson: " + what, "unshipped");
}

}  // namespace

std::string write_unshipped(const UnshippedLine& line, const Transaction& was) {
  const Transaction& t = line.transaction;
  JsonWriter out;
  out.begin_object().key("writes").begin_array();
  for (const auto& change : was.changes) {
    if (const auto* row = std::get_if<RowChange>(&change)) write_change(out, *row);
  }
  out.end_array().member("dc", line.dc).member("origin", to_hex(t.dot.origin));
  out.key("seq").unsigned_integer(t.dot.seq).member("of", to_hex(line.name.of));
  out.key("after").unsigned_integer(line.name.last).key("forked").boolean(line.forked);
  StreamState nothing;
  nothing.seq = t.dot.seq - 1;
  std::string record;
  append_base64(record, encode_record(t, nothing), true);
  out.member("record", record).end_object();
  return out.take() + "\n";
}

Result<UnshippedLine> parse_unshipped(std::string& text) {
  const auto json = parse_json(text);
  if (!json) return tl::unexpected(json.error());
  UnshippedLine line;
  line.dc = text_of(*json, "dc");
  const auto origin = parse_origin(text_of(*json, "origin"));
  const auto of = parse_origin(text_of(*json, "of"));
  const auto seq = number_in(*json, "seq"), after = number_in(*json, "after");
  const Json* forked = json->find("forked");
  if (line.dc.empty() || !origin || !of || !seq || *seq == 0 || !after || forked == nullptr ||
      forked->boolean() == nullptr) {
    return malformed("it does not say whose transaction it is");
  }
  line.name = {*of, *after, *origin};
  line.forked = *forked->boolean();
  const auto record = parse_base64(text_of(*json, "record"));
  if (!record) return malformed(record.error().text);
  StreamState before;
  before.seq = *seq - 1;
  auto transaction = decode_record(*origin, *record, before);
  if (!transaction) return malformed(transaction.error().text);
  line.transaction = std::move(*transaction);
  return line;
}

}  // namespace entente
