#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conflict/value.h"

// The built-in merges: pure functions of values, the same bytes at every gateway. None of them
// fails: what does not fit (text that is no JSON, a blob among texts) is resolved as the last
// value, or as said below. Each says which of its results do not depend on the order of values.
namespace entente {

// The distinct values as text, sorted bytewise, joined by `separator`: "B" and "C" are "B/C". A
// value that contains the separator counts as its parts: "B/C" and "C/D" are "B/C/D". NULLs are
// left out; NULL if nothing else is there. A single distinct value is returned as it is, with its
// type; of values with one text (1 and '1') the first in order(). Doubles are written with the
// fewest digits that read back alike, whole ones with ".0". A blob among several values: the last
// value. Without blobs the order of `values` makes no difference.
Value merge_concat(std::span<const Value> values, std::string_view separator);

// The first or last in order(), which is SQLite's: numbers, then text, then blobs; of 1 and 1.0 the
// least is 1, the greatest 1.0. NULLs are left out; NULL if nothing else is there. The order of
// `values` makes no difference.
Value merge_min(std::span<const Value> values);
Value merge_max(std::span<const Value> values);

// The rules of both three-way merges. A missing base is NULL.
//   earlier = later                   that value, as it is
//   one of them is still the base     the other, as it is
//   one of them does not fit          later
//   the base does not fit             as if it were empty

// Three-way deep merge of JSON objects, `later` winning where both changed the same member: members
// that one side changed, added or removed since `base` are taken from it. Arrays and scalars are
// whole values. The result is compact, members sorted by bytes.
//
// What fits is an RFC 8259 object in UTF-8, nested at most 64 deep, with distinct member names (the
// readers of this world disagree on which of two is meant). Integers are exact from -2^63 to 2^64 -
// 1 and fit only there; a number with a point or an exponent is the nearest double, and written as
// its shortest text. 1 and 1.0 are different.
Value merge_json(const Value* base, const Value& earlier, const Value& later);

// Three-way merge by line; a side keeps its line ends. Where both changed the same lines, or lines
// that touch: `later`'s, or, with `markers`, both between "<<<<<<< earlier", "=======" and
// ">>>>>>> later". What fits is text without NUL, of at most 1 MiB and 16,384 line ends.
Value merge_text(const Value* base, const Value& earlier, const Value& later, bool markers);

// The elements of a JSON array, each as compact canonical JSON, in their order, without repeats.
// NULL: none. Nothing: it is not a JSON array; what merge_json says of fitting holds here too.
std::optional<std::vector<std::string>> set_elements(const Value& v);
// The array of these elements, compact; they must have come from set_elements().
Value set_value(const std::vector<std::string>& elements);

}  // namespace entente
