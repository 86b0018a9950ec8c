#include "gateway/api/conflicts/conflict_resolution.h"

#include <algorithm>

#include "gateway/api/row_json.h"

namespace entente {
namespace {

const RowVersion* listed_in(const ConflictEntry& entry, const Dot& dot) {
  if (entry.winner.version.dot == dot) return &entry.winner;
  const auto loser =
      std::find_if(entry.losers.begin(), entry.losers.end(),
                   [&](const RowVersion& value) { return value.version.dot == dot; });
  return loser == entry.losers.end() ? nullptr : &*loser;
}

// The picked value of one register, over what the row shows of the others.
Result<void> take_listed(const ConflictEntry& entry, const RowRead& now, const Dot& dot,
                         RowRequest& write) {
  const RowVersion* value = listed_in(entry, dot);
  if (value == nullptr) {
    return fail(Code::kNotFound,
                "conflict " + std::to_string(entry.id) + " has no value " + to_string(dot),
                "unknown_dot");
  }
  if (!value->row) {
    write.kind = RowRequest::Kind::kErase;
    return {};
  }
  write.columns = *value->row;
  if (write.kind != RowRequest::Kind::kPut || !now.row) return {};
  for (const auto& [name, current] : *now.row) write.columns.try_emplace(name, current);
  return {};
}

}  // namespace

Result<Choice> parse_choice(std::string& text) {
  const auto body = parse_json(text);
  if (!body) return tl::unexpected(body.error());
  static constexpr std::string_view kMembers[] = {"pick", "row", "delete", "context"};
  if (auto ok = only_members(*body, kMembers); !ok) return tl::unexpected(ok.error());
  const Json *pick = body->find("pick"), *row = body->find("row"), *erase = body->find("delete");
  const bool erases = erase != nullptr && erase->boolean() != nullptr && *erase->boolean();
  const int said = (pick != nullptr) + (row != nullptr) + (erase != nullptr);
  if (said != 1 || (erase != nullptr && !erases)) {
    return fail(Code::kInvalid,
                "the body needs one of \"pick\": a dot, \"row\": {…} and \"delete\": true",
                "choice");
  }
  Choice choice;
  choice.erase = erases;
  if (pick != nullptr) {
    const auto dot = dot_from_json(*pick);
    if (!dot) return tl::unexpected(dot.error());
    choice.pick = *dot;
  }
  if (row != nullptr) {
    auto columns = row_from_json(*row);
    if (!columns) return tl::unexpected(columns.error());
    choice.row = std::move(*columns);
  }
  auto context = context_from_json(*body);
  if (!context) return tl::unexpected(context.error());
  choice.context = std::move(*context);
  return choice;
}

Result<RowRequest> decided(const ConflictEntry& entry, const RowRead& now, const Choice& choice) {
  auto key = key_parts(entry.key);
  if (!key) return tl::unexpected(key.error());
  RowRequest write;
  write.kind = entry.group.empty() ? RowRequest::Kind::kPut : RowRequest::Kind::kPatch;
  write.table = entry.table;
  write.key = std::move(*key);
  write.context = choice.context.value_or(now.context);
  write.resolution = true;
  if (choice.erase) {
    write.kind = RowRequest::Kind::kErase;
  } else if (choice.row) {
    write.columns = *choice.row;
  } else if (entry.open) {
    write.kind = RowRequest::Kind::kPut;
    write.pick = choice.pick;
  } else if (auto done = take_listed(entry, now, *choice.pick, write); !done) {
    return tl::unexpected(done.error());
  }
  return write;
}

}  // namespace entente
