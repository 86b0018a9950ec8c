#include "conflict/key.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "conflict/codec.h"

namespace entente {
namespace {

size_t leading_digits(std::string_view text) {
  return std::min(text.find_first_not_of("0123456789"), text.size());
}

std::string_view without_sign(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return text;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// A decimal number without its sign, taken apart: `12.50e-3` is 12, 50 and -3.
struct Decimal {
  std::string_view whole, fraction, exponent;
};

// SQLite's idea of a well-formed number: a decimal integer or real. No hex, no "inf", no "nan".
std::optional<Decimal> split_decimal(std::string_view text) {
  Decimal d;
  d.whole = text.substr(0, leading_digits(text));
  text.remove_prefix(d.whole.size());
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    d.fraction = text.substr(0, leading_digits(text));
    text.remove_prefix(d.fraction.size());
  }
  if (d.whole.empty() && d.fraction.empty()) return std::nullopt;
  if (text.empty()) return d;
  if (text.front() != 'e' && text.front() != 'E') return std::nullopt;
  d.exponent = text.substr(1);
  const auto digits = without_sign(d.exponent);
  if (digits.empty() || leading_digits(digits) != digits.size()) return std::nullopt;
  return d;
}

// What a number is that no double holds: infinite, or zero.
double out_of_range(const Decimal& d) {
  const size_t whole_zeros = std::min(d.whole.find_first_not_of('0'), d.whole.size());
  const size_t fraction_zeros = std::min(d.fraction.find_first_not_of('0'), d.fraction.size());
  const bool below_one = whole_zeros == d.whole.size();
  if (below_one && fraction_zeros == d.fraction.size()) return 0;
  double magnitude = below_one ? -static_cast<double>(fraction_zeros)
                               : static_cast<double>(d.whole.size() - whole_zeros);
  double exponent = 0;
  for (const char c : without_sign(d.exponent)) exponent = exponent * 10 + (c - '0');
  magnitude += d.exponent.starts_with('-') ? -exponent : exponent;
  return magnitude > 0 ? std::numeric_limits<double>::infinity() : 0;
}

// The number that this text is for SQLite, if it is one.
std::optional<Value> parse_number(std::string_view text) {
  text = trimmed(text);
  const auto decimal = split_decimal(without_sign(text));
  if (!decimal) return std::nullopt;
  if (text.front() == '+') text.remove_prefix(1);
  const char* end = text.data() + text.size();
  int64_t i = 0;
  if (auto [p, e] = std::from_chars(text.data(), end, i); e == std::errc{} && p == end) return i;
  double d = 0;
  if (std::from_chars(text.data(), end, d).ec != std::errc{}) {
    d = out_of_range(*decimal) * (text.front() == '-' ? -1 : 1);
  }
  return d;
}

// SQLite's text of a double: 15 significant digits, and always a point.
std::string text_of(double d) {
  if (std::isinf(d)) return d > 0 ? "Inf" : "-Inf";
  if (d == 0) return "0.0";
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, d, std::chars_format::general, 15);
  std::string text(digits, end.ptr);
  if (text.find('.') == std::string::npos) text.insert(std::min(text.find('e'), text.size()), ".0");
  return text;
}

// The integer that this double is exactly, if there is one.
std::optional<int64_t> whole(double d) {
  if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0) || d != std::trunc(d)) {
    return std::nullopt;
  }
  return static_cast<int64_t>(d);
}

void fold(Collation collation, std::string& text) {
  if (collation == Collation::kNocase) {
    // SQLite's NOCASE compares up to a NUL, and then the lengths alone.
    const auto end = std::find(text.begin(), text.end(), '\0');
    std::transform(text.begin(), end, text.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    std::fill(end, text.end(), '\0');
  } else if (collation == Collation::kRtrim) {
    text.erase(text.find_last_not_of(' ') + 1);
  }
}

Value canonical_part(const ColumnDef& column, Value v) {
  v = apply_affinity(column.affinity, std::move(v));
  if (const auto* d = std::get_if<double>(&v)) {
    if (const auto i = whole(*d)) return *i;
  } else if (auto* text = std::get_if<std::string>(&v)) {
    fold(column.collation, *text);
  }
  return v;
}

}  // namespace

Value apply_affinity(Affinity affinity, Value v) {
  if (affinity == Affinity::kBlob) return v;
  if (affinity == Affinity::kText) {
    if (const auto* i = std::get_if<int64_t>(&v)) return std::to_string(*i);
    if (const auto* d = std::get_if<double>(&v)) return text_of(*d);
    return v;
  }
  if (const auto* text = std::get_if<std::string>(&v)) {
    if (auto number = parse_number(*text)) v = std::move(*number);
  }
  if (affinity == Affinity::kReal) {
    if (const auto* i = std::get_if<int64_t>(&v)) return static_cast<double>(*i);
    if (auto* d = std::get_if<double>(&v)) *d += 0.0;  // -0.0 becomes 0.0
    return v;
  }
  if (const auto* d = std::get_if<double>(&v)) {
    const auto i = whole(*d);
    if (i && *i != std::numeric_limits<int64_t>::min()) return *i;  // SQLite leaves that one real
  }
  return v;
}

Result<Key> canonical_key(const TableDef& table, std::span<const Value> parts) {
  const auto columns = table.key();
  if (columns.size() != parts.size()) {
    return fail(Code::kInvalid,
                "the key of table " + table.name + " has " + std::to_string(columns.size()) +
                    " parts, not " + std::to_string(parts.size()),
                "key_shape");
  }
  ByteWriter out;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Value part = canonical_part(*columns[i], parts[i]);
    if (std::holds_alternative<Null>(part)) {
      return fail(Code::kInvalid,
                  "column " + columns[i]->name + " is part of the key of table " + table.name +
                      " and cannot be NULL: rows with NULL in their key cannot be told apart",
                  "null_key");
    }
    out.value(part);
  }
  return out.take();
}

Result<std::vector<Value>> key_parts(std::string_view key) {
  std::vector<Value> parts;
  ByteReader in(key);
  while (in.ok() && in.left() > 0) parts.push_back(in.value());
  if (!in.ok()) return fail(Code::kInvalid, "not a key");
  return parts;
}

bool spelled_otherwise(std::span<const Value> parts, const Key& key) {
  ByteWriter out;
  for (const auto& part : parts) out.value(part);
  return out.view() != key;
}

}  // namespace entente
