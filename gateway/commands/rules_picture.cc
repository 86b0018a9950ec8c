#include "gateway/commands/rules_picture.h"

#include "gateway/commands/output.h"
#include "topology/scalars.h"

namespace entente {
namespace {

using Members = std::vector<std::pair<std::string, std::string>>;
using Rows = std::vector<std::vector<std::string>>;

std::string_view name_of(Granularity granularity) {
  return granularity == Granularity::kRow ? "row" : "column";
}

std::string_view name_of(Blind blind) {
  switch (blind) {
    case Blind::kSupersede:
      return "supersede";
    case Blind::kSibling:
      return "sibling";
    case Blind::kRequire:
      return "require";
  }
  return "";
}

std::string_view name_of(DeleteUpdate rule) {
  switch (rule) {
    case DeleteUpdate::kPolicy:
      return "policy";
    case DeleteUpdate::kDeleteWins:
      return "delete_wins";
    case DeleteUpdate::kUpdateWins:
      return "update_wins";
  }
  return "";
}

std::string_view name_of(UniqueWins rule) { return rule == UniqueWins::kFirst ? "first" : "last"; }
std::string_view name_of(Orphans rule) { return rule == Orphans::kKeep ? "keep" : "hide"; }

std::string_view name_of(HandlerSource::Kind kind) {
  return kind == HandlerSource::Kind::kLua ? "lua" : "plugin";
}

std::string policy_text(const Policy& policy) {
  return policy.describe() + (policy.run == RunWhen::kRead ? ", on read" : "");
}

std::string parts_text(const TableRules& rules) {
  std::vector<std::string> parts;
  for (const auto& [column, policy] : rules.columns) {
    parts.push_back(column + ": " + policy_text(policy));
  }
  for (const auto& [name, group] : rules.groups) {
    parts.push_back(name + " (" + listed(group.columns) + "): " + policy_text(group.policy));
  }
  return parts.empty() ? "" : listed(parts);
}

// What is not as it is by default.
std::string special_text(const TableRules& rules) {
  std::vector<std::string> out;
  if (rules.delete_update != DeleteUpdate::kPolicy) out.emplace_back(name_of(rules.delete_update));
  if (rules.unique != UniqueWins::kFirst) out.push_back("unique: last");
  if (rules.orphans != Orphans::kKeep) out.push_back("orphans: hide");
  if (rules.numbering != Numbering::kTime) out.push_back("numbering: interleaved");
  return out.empty() ? "" : listed(out);
}

std::vector<std::string> rules_row(const std::string& table, const TableRules& rules) {
  if (!rules.replicate) return {table, "not replicated"};
  return {table,
          policy_text(rules.policy),
          std::string(name_of(rules.granularity)),
          std::string(name_of(rules.blind)),
          parts_text(rules),
          special_text(rules)};
}

std::string budget_text(const HandlerSource& source) {
  if (source.kind == HandlerSource::Kind::kLua) {
    return std::to_string(source.instructions) + " instructions, " + format_size(source.memory);
  }
  if (source.trusted) return "trusted: inside the gateway";
  return format_duration(std::chrono::milliseconds(source.time_ms)) + ", " +
         format_size(source.memory);
}

std::string handler_json(const HandlerSource& source) {
  Members members{{"kind", json_text(name_of(source.kind))},
                  {"path", json_text(source.path)},
                  {"memory", std::to_string(source.memory)}};
  if (source.kind == HandlerSource::Kind::kLua) {
    members.emplace_back("instructions", std::to_string(source.instructions));
  } else {
    members.emplace_back("sha256", json_text(source.sha256));
    members.emplace_back("config", source.config.empty() ? "{}" : source.config);
    members.emplace_back("trusted", source.trusted ? "true" : "false");
    members.emplace_back("time_ms", std::to_string(source.time_ms));
  }
  return json_object(members);
}

}  // namespace

std::string rules_table(const ConflictRules& rules) {
  Rows rows{{"TABLE", "POLICY", "GRANULARITY", "BLIND WRITES", "COLUMNS OF THEIR OWN", "BESIDES"}};
  for (const auto& [table, own] : rules.tables) rows.push_back(rules_row(table, own));
  rows.push_back(rules_row(rules.tables.empty() ? "(all)" : "(others)", rules.defaults));
  return aligned(rows);
}

std::string handlers_table(const ConflictRules& rules) {
  if (rules.handlers.empty()) return "";
  Rows rows{{"HANDLER", "KIND", "FILE", "BUDGET FOR ONE CONFLICT"}};
  for (const auto& [name, source] : rules.handlers) {
    rows.push_back({name, std::string(name_of(source.kind)), source.path, budget_text(source)});
  }
  return aligned(rows);
}

std::string rules_json(const TableRules& rules) {
  Members columns, groups;
  for (const auto& [column, policy] : rules.columns) {
    columns.emplace_back(column, json_text(policy_text(policy)));
  }
  for (const auto& [name, group] : rules.groups) {
    groups.emplace_back(name,
                        json_object(Members{{"columns", json_texts(group.columns)},
                                            {"policy", json_text(policy_text(group.policy))}}));
  }
  return json_object(
      Members{{"replicate", rules.replicate ? "true" : "false"},
              {"policy", json_text(policy_text(rules.policy))},
              {"granularity", json_text(name_of(rules.granularity))},
              {"blind", json_text(name_of(rules.blind))},
              {"delete_update", json_text(name_of(rules.delete_update))},
              {"unique", json_text(name_of(rules.unique))},
              {"orphans", json_text(name_of(rules.orphans))},
              {"numbering", rules.numbering == Numbering::kTime ? "\"time\"" : "\"interleaved\""},
              {"columns", json_object(columns)},
              {"groups", json_object(groups)}});
}

std::string handlers_json(const ConflictRules& rules) {
  Members out;
  for (const auto& [name, source] : rules.handlers) out.emplace_back(name, handler_json(source));
  return json_object(out);
}

}  // namespace entente
