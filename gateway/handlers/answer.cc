#include "gateway/handlers/answer.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>

namespace entente {
namespace {

tl::unexpected<Error> wrong(std::string text) {
  return fail(Code::kInvalid, "its answer is wrong: " + std::move(text), "failed");
}

const Row* newest_row(const Conflict& conflict) {
  for (auto at = conflict.siblings.rbegin(); at != conflict.siblings.rend(); ++at) {
    if (at->row) return at->row;
  }
  return nullptr;
}

template <class Holds>
bool any_row(const Conflict& conflict, Holds holds) {
  return std::any_of(conflict.siblings.begin(), conflict.siblings.end(),
                     [&](const auto& sibling) { return sibling.row && holds(*sibling.row); });
}

bool was_there(const Conflict& conflict, const std::string& column, const Value& value) {
  return any_row(conflict, [&](const Row& row) {
    const auto at = row.find(column);
    return at != row.end() && identical(at->second, value);
  });
}

Result<void> check_value(const Conflict& conflict, const std::string& column, const Value& value) {
  if (!any_row(conflict, [&](const Row& row) { return row.contains(column); })) {
    return wrong("no sibling has a column " + column);
  }
  const auto* real = std::get_if<double>(&value);
  if (real && std::isnan(*real)) return wrong("column " + column + " is not a number (NaN)");
  const auto* text = std::get_if<std::string>(&value);
  if (text && !simdjson::validate_utf8(*text) && !was_there(conflict, column, value)) {
    return wrong("column " + column + " is text that is not UTF-8; answer a blob for bytes");
  }
  return {};
}

}  // namespace

Result<Decision> check_answer(const Conflict& conflict, Decision decision) {
  if (decision.kind == Decision::Kind::kPick && decision.pick >= conflict.siblings.size()) {
    return wrong("it picks a sibling that is not there; there are " +
                 std::to_string(conflict.siblings.size()));
  }
  if (decision.kind != Decision::Kind::kRow) return decision;
  for (const auto& [column, value] : decision.row) {
    if (auto checked = check_value(conflict, column, value); !checked) {
      return tl::unexpected(checked.error());
    }
  }
  const Row* newest = newest_row(conflict);
  if (!newest) return wrong("it is a row, but every sibling deleted it");
  decision.row.insert(newest->begin(), newest->end());
  return decision;
}

}  // namespace entente
