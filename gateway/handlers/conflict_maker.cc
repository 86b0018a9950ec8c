#include "gateway/handlers/conflict_maker.h"

#include <algorithm>
#include <map>

namespace entente {
namespace {

using Type = MadeColumn::Type;

constexpr size_t kMostColumns = 100;

const std::map<std::string, Type, std::less<>>& types() {
  static const std::map<std::string, Type, std::less<>> kTypes{
      {"integer", Type::kInteger}, {"real", Type::kReal}, {"text", Type::kText},
      {"blob", Type::kBlob},       {"json", Type::kJson}, {"array", Type::kArray},
      {"any", Type::kAny}};
  return kTypes;
}

Result<MadeColumn> parse_column(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string name(text.substr(0, colon));
  if (name.empty()) return fail(Code::kInvalid, "a column has no name");
  if (colon == std::string_view::npos) return MadeColumn{name, Type::kAny};
  const auto type = types().find(text.substr(colon + 1));
  if (type == types().end()) {
    return fail(Code::kInvalid, "column " + name + ": " + std::string(text.substr(colon + 1)) +
                                    " is not integer, real, text, blob, json, array or any");
  }
  return MadeColumn{name, type->second};
}

bool differ(const OwnedConflict::Sibling& a, const OwnedConflict::Sibling& b) {
  if (a.row.has_value() != b.row.has_value()) return true;
  return a.row && !identical(*a.row, *b.row);
}

std::string kind_of(const OwnedConflict& conflict) {
  const auto erased = std::ranges::count_if(conflict.siblings, [](auto& s) { return !s.row; });
  if (erased > 0) return "update-delete";
  return conflict.base ? "update-update" : "insert-insert";
}

}  // namespace

Result<std::vector<MadeColumn>> parse_columns(std::string_view text) {
  std::vector<MadeColumn> out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    auto column = parse_column(text.substr(begin, end - begin));
    if (!column) return tl::unexpected(column.error());
    out.push_back(std::move(*column));
    begin = end + 1;
  }
  if (out.size() > kMostColumns) {
    return fail(Code::kTooLarge, "more than " + std::to_string(kMostColumns) + " columns");
  }
  return out;
}

int64_t ConflictMaker::integer() {
  if (!one_in(4)) return static_cast<int64_t>(below(20)) - 5;
  return one_of<int64_t>({INT64_MIN, INT64_MAX, (1ll << 53) + 1, -(1ll << 53) - 1, 1ll << 31});
}

double ConflictMaker::real() {
  return one_of<double>({0.0, -0.0, 0.1, -2.5, 1e308, 5e-324, 9007199254740993.0, 3.0});
}

std::string ConflictMaker::text() {
  std::string out =
      one_of<const char*>({"", "ann", "bob", "Zoë", "a b", "日本", "\"quoted\"", "7"});
  for (size_t lines = below(5); lines > 0; --lines) {
    out += one_of<const char*>({"\nfirst", "\nsecond", "\nthird", "\n", "\r\nfourth"});
  }
  return out;
}

std::string ConflictMaker::array() {
  std::string out;
  for (size_t n = below(6); n > 0; --n) {
    if (!out.empty()) out += ",";
    out += one_of<const char*>({"1", "2", "\"milk\"", "\"bread\"", "{\"sku\":7}", "null", "1.5"});
  }
  return "[" + out + "]";
}

std::string ConflictMaker::object() {
  std::string out;
  for (const char* name : {"a", "b", "c"}) {
    if (one_in(3)) continue;
    if (!out.empty()) out += ",";
    out += "\"" + std::string(name) + "\":" + (one_in(3) ? array() : std::to_string(integer()));
  }
  return "{" + out + "}";
}

Value ConflictMaker::value(Type type) {
  if (one_in(8)) return Null();
  switch (type) {
    case Type::kInteger:
      return integer();
    case Type::kReal:
      return real();
    case Type::kText:
      return text();
    case Type::kBlob:
      return Blob{one_of<std::string>({"", std::string("\0\xff\x80", 3), "bytes"})};
    case Type::kJson:
      return object();
    case Type::kArray:
      return array();
    case Type::kAny:
      break;
  }
  return value(
      one_of({Type::kInteger, Type::kReal, Type::kText, Type::kBlob, Type::kJson, Type::kArray}));
}

Row ConflictMaker::row() {
  Row out;
  for (const auto& column : columns_) out[column.name] = value(column.type);
  return out;
}

Row ConflictMaker::changed(const Row& base) {
  Row out = base;
  for (const auto& column : columns_) {
    if (one_in(2)) out[column.name] = value(column.type);
  }
  return out;
}

OwnedConflict::Sibling ConflictMaker::sibling(const OwnedConflict& conflict) {
  OwnedConflict::Sibling out;
  out.dc = one_of<const char*>({"frankfurt", "virginia", "tokyo"});
  if (!one_in(4)) ++time_ms_;
  out.hlc = Hlc::at(time_ms_, static_cast<uint16_t>(below(3)));
  const bool erased = conflict.group.empty() && one_in(8);
  if (!erased) out.row = conflict.base && !one_in(8) ? changed(*conflict.base) : row();
  return out;
}

OwnedConflict ConflictMaker::next() {
  OwnedConflict out;
  out.table = "items";
  out.key = {{"id", integer()}};
  if (columns_.size() == 1 && one_in(2)) out.group = columns_[0].name;
  if (!one_in(3)) out.base = row();
  const size_t count = 2 + (one_in(3) ? below(4) : 0);
  do {
    out.siblings.clear();
    for (size_t i = 0; i < count; ++i) out.siblings.push_back(sibling(out));
  } while (
      std::ranges::none_of(out.siblings, [&](auto& s) { return differ(s, out.siblings[0]); }) ||
      std::ranges::none_of(out.siblings, [](auto& s) { return s.row.has_value(); }));
  std::ranges::stable_sort(out.siblings, {}, &OwnedConflict::Sibling::hlc);
  out.kind = kind_of(out);
  return out;
}

}  // namespace entente
