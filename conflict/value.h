#pragma once

#include <boost/container/flat_map.hpp>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace entente {

struct Blob {
  std::string bytes;
  friend bool operator==(const Blob&, const Blob&) = default;
  friend auto operator<=>(const Blob&, const Blob&) = default;
};

using Null = std::monostate;

// One SQL value: NULL, 64-bit integer, IEEE double (never NaN), UTF-8 text, or bytes.
// Integers and doubles are exact: nothing here ever goes through another type.
using Value = std::variant<Null, int64_t, double, std::string, Blob>;

// Same type and same bits. 1 and 1.0 are different, 0.0 and -0.0 are different: this is the
// equality of replicas, not of SQL.
bool identical(const Value& a, const Value& b);

// A total order over values that every replica computes alike: NULL < numbers < text < blobs;
// numbers by exact numeric value, then integer before double; text and blobs by bytes.
std::strong_ordering order(const Value& a, const Value& b);

// A row, or some columns of one, by column name. Flat: rows are small and copied often.
using Row = boost::container::flat_map<std::string, Value, std::less<>>;

bool identical(const Row& a, const Row& b);
// True if `whole` has every column of `part`, with an identical value.
bool includes(const Row& whole, const Row& part);

// For logs, test failures and `status`: never parsed.
std::string describe(const Value& v);

}  // namespace entente
