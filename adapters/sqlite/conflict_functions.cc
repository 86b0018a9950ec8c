#include "adapters/sqlite/conflict_functions.h"

#include <nlohmann/json.hpp>

#include "adapters/sqlite/capture.h"
#include "adapters/sqlite/row_reading.h"
#include "conflict/hex.h"

namespace entente::sqlite {
namespace {

using Json = nlohmann::json;

Json to_json(const Value& v) {
  if (const auto* n = std::get_if<int64_t>(&v)) return *n;
  if (const auto* d = std::get_if<double>(&v)) return *d;
  if (const auto* text = std::get_if<std::string>(&v)) return *text;
  if (const auto* blob = std::get_if<Blob>(&v)) return Json{{"hex", to_hex(blob->bytes)}};
  return nullptr;
}

std::string to_json(const std::vector<RowVersion>& values) {
  Json all = Json::array();
  for (const auto& v : values) {
    Json one{{"dc", v.dc}, {"dot", to_string(v.version.dot)}, {"hlc", v.version.hlc.bits}};
    if (v.row) {
      one["row"] = Json::object();
      for (const auto& [name, value] : *v.row) one["row"][name] = to_json(value);
    } else {
      one["deleted"] = true;
    }
    all.push_back(std::move(one));
  }
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Value read_value(sqlite3_value* v) {
  std::string bytes;
  append_value(bytes, v, Affinity::kBlob);
  ByteReader in(bytes);
  return in.value();
}

void refuse(sqlite3_context* context, const std::string& why) {
  sqlite3_result_error(context, why.c_str(), static_cast<int>(why.size()));
}

void say(sqlite3_context* context, const std::string& text) {
  sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

}  // namespace

template <ConflictFunctions::Asked kAsked>
void ConflictFunctions::call(sqlite3_context* context, int count, sqlite3_value** arguments) {
  static_cast<ConflictFunctions*>(sqlite3_user_data(context))
      ->answer(kAsked, context, count, arguments);
}

void ConflictFunctions::install() {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
  const auto add = [&](const char* name, auto* function) {
    sqlite3_create_function_v2(db_.get(), name, -1, kFlags, this, function, nullptr, nullptr,
                               nullptr);
  };
  add("entente_conflict", &call<Asked::kConflict>);
  add("entente_siblings", &call<Asked::kSiblings>);
  add("entente_version", &call<Asked::kVersion>);
}

void ConflictFunctions::answer(Asked asked, sqlite3_context* context, int count,
                               sqlite3_value** arguments) {
  if (count < 2) return refuse(context, "it takes a table's name and the key of one of its rows");
  const Value named = read_value(arguments[0]);
  const auto* table = std::get_if<std::string>(&named);
  const auto world = worlds_();
  const Table* t = table != nullptr ? world->find(*table) : nullptr;
  if (t == nullptr) return refuse(context, "there is no table " + describe(named));
  if (!guard_.may_read(*table)) {
    return refuse(context, "the token does not allow to read table " + *table);
  }
  std::vector<Value> parts;
  for (int i = 1; i < count; ++i) parts.push_back(read_value(arguments[i]));
  const auto key = canonical_key(t->def, parts);
  if (!key) return refuse(context, key.error().text);
  const Lowered ours(guard_);
  const auto row = read_row(rows_, *world, *t, *key, asked != Asked::kConflict);
  if (!row) return refuse(context, row.error().text);
  if (asked == Asked::kConflict) return say(context, std::string(to_string(row->conflict)));
  if (asked == Asked::kSiblings) return say(context, to_json(row->values));
  if (row->values.empty()) return sqlite3_result_null(context);
  say(context, to_string(row->values.back().version.dot));
}

}  // namespace entente::sqlite
