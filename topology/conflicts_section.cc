#include <algorithm>
#include <map>

#include "topology/sections.h"

namespace entente {
namespace {

enum class Run { kWrite, kRead };

const Choices<PolicyKind> kPolicies{{"lww", PolicyKind::kLww},
                                    {"priority", PolicyKind::kPriority},
                                    {"siblings", PolicyKind::kSiblings}};
const Choices<Granularity> kGranularities{{"row", Granularity::kRow},
                                          {"column", Granularity::kColumn}};
const Choices<Blind> kBlinds{
    {"supersede", Blind::kSupersede}, {"sibling", Blind::kSibling}, {"require", Blind::kRequire}};
const Choices<Run> kRuns{{"write", Run::kWrite}, {"read", Run::kRead}};

bool comes_later(std::string_view policy) {
  return policy == "merge" || policy == "counter" || policy == "handler";
}

// The policy of this mapping, or the inherited one; absent if it is wrong.
std::optional<PolicyKind> read_policy(Fields& fields, PolicyKind inherited, Problems& problems) {
  if (!fields.has("policy")) return inherited;
  const auto word = fields.word("policy");
  if (!word) return std::nullopt;
  if (!comes_later(word->text)) return fields.pick("policy", *word, kPolicies);
  problems.add(word->place, "policy " + in_quotes(word->text) +
                                " is not in this version: it has lww, priority and siblings");
  return std::nullopt;
}

void refuse_later_keys(Fields& fields) {
  for (const std::string key : {"merge", "handler", "unique", "home"}) {
    fields.refuse(key, in_quotes(key) + " is not in this version");
  }
}

void check_run(Fields& fields, std::optional<PolicyKind> policy, Problems& problems) {
  const auto run = fields.choice("run", kRuns);
  if (!run || !policy) return;
  const bool on_read = *policy == PolicyKind::kSiblings;
  if (on_read == (*run == Run::kRead)) return;
  problems.add(fields.place("run"),
               on_read ? "`run: write` decides when a conflict arrives, but policy siblings leaves "
                         "that to the reader: use `run: read`, or lww or priority"
                       : "`run: read` leaves the decision to the reader, but policy " +
                             std::string(to_string(*policy)) +
                             " decides when a conflict arrives: use `run: write`, or siblings");
}

void read_rules(Fields& fields, TableRules& rules, Problems& problems) {
  const auto policy = read_policy(fields, rules.policy, problems);
  check_run(fields, policy, problems);
  rules.policy = policy.value_or(rules.policy);
  rules.granularity = fields.choice("granularity", kGranularities).value_or(rules.granularity);
  rules.blind = fields.choice("blind", kBlinds).value_or(rules.blind);
  refuse_later_keys(fields);
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// Names of tables and columns: SQL ignores their case, so the file may not tell them apart by it.
class SqlNames {
 public:
  void check(const Entry& entry, std::string_view what, Problems& problems) {
    if (entry.key.size() > kLongest) {
      problems.add(entry.place, in_quotes(entry.key) + " is longer than a " + std::string(what) +
                                    "'s name can be: 255 bytes");
    }
    const auto [first, is_new] = seen_.try_emplace(lower(entry.key), entry.key);
    if (is_new) return;
    problems.add(entry.place, in_quotes(entry.key) + " and " + in_quotes(first->second) +
                                  " are the same " + std::string(what) + ": case is ignored");
  }

 private:
  static constexpr size_t kLongest = 255;
  std::map<std::string, std::string> seen_;
};

void read_columns(Fields& table, const std::string& name, TableRules& rules, Problems& problems) {
  const Node* node = table.find("columns");
  if (!node) return;
  const Fields reports_what_is_no_mapping(*node, "`columns` of " + name, table.place("columns"),
                                          problems);
  SqlNames names;
  for (const auto& entry : node->entries) {
    names.check(entry, "column", problems);
    Fields fields(entry.value, "column " + in_quotes(entry.key), entry.place, problems);
    fields.require("policy", "policy: lww");
    const auto policy = read_policy(fields, rules.policy, problems);
    check_run(fields, policy, problems);
    refuse_later_keys(fields);
    fields.finish();
    if (policy) rules.columns[entry.key] = *policy;
  }
}

bool is_reserved(std::string_view table) {
  const std::string name = lower(std::string(table));
  return name.starts_with("_entente_") || name.starts_with("sqlite_");
}

TableRules read_table(const Entry& entry, const TableRules& defaults, Problems& problems) {
  TableRules rules = defaults;
  const std::string where = "table " + in_quotes(entry.key);
  Fields fields(entry.value, where, entry.place, problems);
  if (is_reserved(entry.key)) problems.add(entry.place, where + " belongs to the database itself");
  rules.replicate = fields.flag("replicate").value_or(true);
  if (!rules.replicate) {
    for (const std::string key : {"policy", "run", "granularity", "blind", "columns"}) {
      fields.refuse(key, in_quotes(key) + " means nothing for a table with `replicate: false`");
    }
    refuse_later_keys(fields);
  } else {
    read_rules(fields, rules, problems);
    read_columns(fields, where, rules, problems);
  }
  fields.finish();
  return rules;
}

}  // namespace

ConflictRules read_conflicts(Fields& file, Problems& problems) {
  ConflictRules out;
  Fields defaults = section(file, "conflicts", problems);
  read_rules(defaults, out.defaults, problems);
  for (const std::string key : {"replicate", "columns"}) {
    defaults.refuse(key, in_quotes(key) + " belongs to a table, below `tables`");
  }
  defaults.finish();

  const Node* tables = file.find("tables");
  if (!tables) return out;
  const Fields reports_what_is_no_mapping(*tables, "`tables`", file.place("tables"), problems);
  SqlNames names;
  for (const auto& entry : tables->entries) {
    names.check(entry, "table", problems);
    out.tables[entry.key] = read_table(entry, out.defaults, problems);
  }
  return out;
}

}  // namespace entente
