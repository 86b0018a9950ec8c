#include "conflict/value.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

namespace entente {
namespace {

// Exact comparison of an integer with a double, without rounding either.
std::strong_ordering order(int64_t i, double d) {
  if (d >= 9223372036854775808.0) return std::strong_ordering::less;
  if (d < -9223372036854775808.0) return std::strong_ordering::greater;
  const double whole = std::trunc(d);
  const auto n = static_cast<int64_t>(whole);
  if (i != n) return i <=> n;
  if (d > whole) return std::strong_ordering::less;
  if (d < whole) return std::strong_ordering::greater;
  return std::strong_ordering::equal;
}

std::strong_ordering order(double a, double b) {
  if (a < b) return std::strong_ordering::less;
  if (a > b) return std::strong_ordering::greater;
  return std::bit_cast<int64_t>(a) <=> std::bit_cast<int64_t>(b);
}

int type_rank(const Value& v) {
  constexpr int kRank[] = {0, 1, 1, 2, 3};
  return kRank[v.index()];
}

std::strong_ordering order_numbers(const Value& a, const Value& b) {
  const auto* ai = std::get_if<int64_t>(&a);
  const auto* bi = std::get_if<int64_t>(&b);
  if (ai && bi) return *ai <=> *bi;
  if (!ai && !bi) return order(std::get<double>(a), std::get<double>(b));
  if (ai) {
    const auto o = order(*ai, std::get<double>(b));
    return o == 0 ? std::strong_ordering::less : o;
  }
  const auto o = order(*bi, std::get<double>(a));
  return o == 0 ? std::strong_ordering::greater : 0 <=> o;
}

}  // namespace

bool identical(const Value& a, const Value& b) {
  if (a.index() != b.index()) return false;
  if (const auto* d = std::get_if<double>(&a)) {
    return std::bit_cast<uint64_t>(*d) == std::bit_cast<uint64_t>(std::get<double>(b));
  }
  return a == b;
}

std::strong_ordering order(const Value& a, const Value& b) {
  if (const auto o = type_rank(a) <=> type_rank(b); o != 0) return o;
  switch (type_rank(a)) {
    case 0:
      return std::strong_ordering::equal;
    case 1:
      return order_numbers(a, b);
    case 2:
      return std::get<std::string>(a).compare(std::get<std::string>(b)) <=> 0;
    default:
      return std::get<Blob>(a).bytes.compare(std::get<Blob>(b).bytes) <=> 0;
  }
}

bool identical(const Row& a, const Row& b) {
  if (a.size() != b.size()) return false;
  for (auto i = a.begin(), j = b.begin(); i != a.end(); ++i, ++j) {
    if (i->first != j->first || !identical(i->second, j->second)) return false;
  }
  return true;
}

bool includes(const Row& whole, const Row& part) {
  return std::all_of(part.begin(), part.end(), [&](const auto& column) {
    const auto it = whole.find(column.first);
    return it != whole.end() && identical(it->second, column.second);
  });
}

std::string describe(const Value& v) {
  struct Describe {
    std::string operator()(Null) const { return "NULL"; }
    std::string operator()(int64_t i) const { return std::to_string(i); }
    std::string operator()(double d) const {
      char text[32];
      return {text, std::to_chars(text, text + sizeof text, d).ptr};
    }
    std::string operator()(const std::string& s) const { return "'" + s + "'"; }
    std::string operator()(const Blob& b) const {
      return "blob of " + std::to_string(b.bytes.size()) + " bytes";
    }
  };
  return std::visit(Describe{}, v);
}

}  // namespace entente
