#include <map>

#include "topology/policy_fields.h"
#include "topology/sections.h"

namespace entente {
namespace {

const Choices<Granularity> kGranularities{{"row", Granularity::kRow},
                                          {"column", Granularity::kColumn}};
const Choices<Blind> kBlinds{
    {"supersede", Blind::kSupersede}, {"sibling", Blind::kSibling}, {"require", Blind::kRequire}};
const Choices<DeleteUpdate> kDeleteUpdates{{"policy", DeleteUpdate::kPolicy},
                                           {"delete_wins", DeleteUpdate::kDeleteWins},
                                           {"update_wins", DeleteUpdate::kUpdateWins}};
const Choices<UniqueWins> kUniques{{"first", UniqueWins::kFirst}, {"last", UniqueWins::kLast}};
const Choices<Orphans> kOrphans{{"keep", Orphans::kKeep}, {"hide", Orphans::kHide}};
const Choices<Numbering> kNumberings{{"time", Numbering::kTime},
                                     {"interleaved", Numbering::kInterleaved}};

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// Names of tables and columns: SQL ignores their case, so the file may not tell them apart by it.
class SqlNames {
 public:
  void check(const std::string& name, FilePlace place, std::string_view what, Problems& problems) {
    if (name.size() > kLongest) {
      problems.add(place, in_quotes(name) + " is longer than a " + std::string(what) +
                              "'s name can be: 255 bytes");
    }
    const auto [first, is_new] = seen_.try_emplace(lower(name), name);
    if (is_new || first->second == name) return;
    problems.add(place, in_quotes(name) + " and " + in_quotes(first->second) + " are the same " +
                            std::string(what) + ": case is ignored");
  }

 private:
  static constexpr size_t kLongest = 255;
  std::map<std::string, std::string> seen_;
};

// What every reader here needs beside its own mapping.
struct Reading {
  std::span<const std::string> handlers;
  Problems& problems;
};

void refuse_later_keys(Fields& fields) { fields.refuse("home", "`home` is not in this version"); }

void read_granularity(Fields& fields, TableRules& rules, Problems& problems) {
  const auto granularity = fields.choice("granularity", kGranularities);
  rules.granularity = granularity.value_or(rules.granularity);
  if (granularity != Granularity::kColumn || rules.policy.kind != PolicyKind::kHandler) return;
  problems.add(fields.place("granularity"),
               "a table's handler sees whole rows: leave `granularity: column` out, or give the "
               "handler to single columns under `columns`");
}

void read_rules(Fields& fields, TableRules& rules, const Reading& reading) {
  const auto policy =
      read_policy(fields, PolicyPlace::kTable, rules.policy, reading.handlers, reading.problems);
  rules.policy = policy.value_or(rules.policy);
  read_granularity(fields, rules, reading.problems);
  rules.blind = fields.choice("blind", kBlinds).value_or(rules.blind);
  rules.delete_update =
      fields.choice("delete_update", kDeleteUpdates).value_or(rules.delete_update);
  rules.unique = fields.choice("unique", kUniques).value_or(rules.unique);
  rules.orphans = fields.choice("orphans", kOrphans).value_or(rules.orphans);
  refuse_later_keys(fields);
}

// What a table inherits is what `conflicts` says; what holds is this.
TableRules settled(TableRules rules) {
  if (rules.policy.kind == PolicyKind::kHandler) rules.granularity = Granularity::kRow;
  return rules;
}

// ---- Columns and groups ------------------------------------------------------------------------

// The parts of one table that have a policy of their own.
class Parts {
 public:
  Parts(const std::string& where, TableRules& rules, TablePlaces& places, const Reading& reading)
      : where_(where), rules_(rules), places_(places), reading_(reading) {}

  void read(Fields& table) {
    if (const Node* columns = mapping(table, "columns")) {
      for (const auto& entry : columns->entries) read_column(entry);
    }
    if (const Node* groups = mapping(table, "groups")) {
      for (const auto& entry : groups->entries) read_group(entry);
      for (const auto& entry : groups->entries) check_name(entry);
    }
  }

 private:
  const Node* mapping(Fields& table, const std::string& key) {
    const Node* node = table.find(key);
    if (!node) return nullptr;
    const Fields reports_what_is_no_mapping(*node, in_quotes(key) + " of " + where_,
                                            table.place(key), reading_.problems);
    return node;
  }

  void read_column(const Entry& entry) {
    names_.check(entry.key, entry.place, "column", reading_.problems);
    owners_[lower(entry.key)] = "`columns`";
    places_.parts[entry.key] = entry.place;
    Fields fields(entry.value, "column " + in_quotes(entry.key), entry.place, reading_.problems);
    const auto policy = read_policy(fields, PolicyPlace::kColumn, rules_.policy, reading_.handlers,
                                    reading_.problems);
    refuse_later_keys(fields);
    fields.finish();
    if (policy) rules_.columns[entry.key] = *policy;
  }

  void read_group(const Entry& entry) {
    places_.parts[entry.key] = entry.place;
    Fields fields(entry.value, "group " + in_quotes(entry.key), entry.place, reading_.problems);
    ColumnGroup group;
    group.columns = read_members(fields, entry.key);
    const auto policy = read_policy(fields, PolicyPlace::kGroup, rules_.policy, reading_.handlers,
                                    reading_.problems);
    refuse_later_keys(fields);
    fields.finish();
    if (!policy) return;
    group.policy = *policy;
    rules_.groups[entry.key] = std::move(group);
  }

  std::vector<std::string> read_members(Fields& fields, const std::string& group) {
    fields.require("columns", "columns: [lat, lon]");
    const auto words = fields.words("columns");
    std::vector<std::string> out;
    if (!words) return out;
    for (const auto& word : *words) {
      if (!owners_.contains(lower(word.text))) {
        names_.check(word.text, word.place, "column", reading_.problems);
      }
      take(word, "group " + in_quotes(group));
      out.push_back(word.text);
    }
    if (out.size() < 2) {
      reading_.problems.add(fields.place("columns"),
                            "a group has at least two columns: give one a policy of its own under "
                            "`columns` of the table");
    }
    return out;
  }

  void take(const Word& column, const std::string& owner) {
    const auto [first, is_new] = owners_.try_emplace(lower(column.text), owner);
    if (is_new) return;
    reading_.problems.add(column.place,
                          in_quotes(column.text) + " stands in " +
                              (first->second == owner ? "this group twice"
                                                      : first->second + " already: a column has "
                                                                        "one policy"));
  }

  // A group is a register of its row, and so are single columns and what is left of it.
  void check_name(const Entry& group) {
    if (group.key == "*") {
      reading_.problems.add(group.place, in_quotes(group.key) +
                                             " cannot be a group's name: it means what belongs to "
                                             "no group");
    } else if (owners_.contains(lower(group.key))) {
      reading_.problems.add(group.place, "group " + in_quotes(group.key) +
                                             " has the name of a column: give it another name");
    }
  }

  const std::string& where_;
  TableRules& rules_;
  TablePlaces& places_;
  const Reading& reading_;
  SqlNames names_;
  std::map<std::string, std::string> owners_;  // lower-case column -> where it stands
};

// ---- Tables ------------------------------------------------------------------------------------

bool is_reserved(std::string_view table) {
  const std::string name = lower(std::string(table));
  return name.starts_with("_entente_") || name.starts_with("sqlite_");
}

void refuse_rules(Fields& fields) {
  const std::string why = " means nothing for a table with `replicate: false`";
  for (const auto key : policy_keys()) fields.refuse(std::string(key), in_quotes(key) + why);
  for (const std::string key : {"old_values", "numbering", "granularity", "blind", "delete_update",
                                "unique", "orphans", "columns", "groups"}) {
    fields.refuse(key, in_quotes(key) + why);
  }
  refuse_later_keys(fields);
}

TableRules read_table(const Entry& entry, const TableRules& inherited, TablePlaces& places,
                      const Reading& reading) {
  TableRules rules = inherited;
  places.table = entry.place;
  const std::string where = "table " + in_quotes(entry.key);
  Fields fields(entry.value, where, entry.place, reading.problems);
  if (is_reserved(entry.key)) {
    reading.problems.add(entry.place, where + " belongs to the database itself");
  }
  rules.replicate = fields.flag("replicate").value_or(true);
  if (rules.replicate) {
    rules.old_values = fields.flag("old_values").value_or(inherited.old_values);
    rules.numbering = fields.choice("numbering", kNumberings).value_or(inherited.numbering);
    read_rules(fields, rules, reading);
    Parts(where, rules, places, reading).read(fields);
  } else {
    refuse_rules(fields);
  }
  fields.finish();
  return settled(std::move(rules));
}

bool read_changes(Fields& file, bool otherwise, Problems& problems) {
  Fields fields = section(file, "changes", problems);
  const auto old_values = fields.flag("old_values");
  fields.finish();
  return old_values.value_or(otherwise);
}

Numbering read_keys(Fields& file, Numbering otherwise, Problems& problems) {
  Fields fields = section(file, "keys", problems);
  const auto numbering = fields.choice("numbering", kNumberings);
  fields.finish();
  return numbering.value_or(otherwise);
}

}  // namespace

ConflictsSection read_conflicts(Fields& file, std::span<const std::string> handlers,
                                Problems& problems) {
  ConflictsSection out;
  const Reading reading{handlers, problems};
  if (file.has("conflicts")) out.places.defaults = file.place("conflicts");
  Fields fields = section(file, "conflicts", problems);
  TableRules inherited;
  inherited.old_values = read_changes(file, inherited.old_values, problems);
  inherited.numbering = read_keys(file, inherited.numbering, problems);
  read_rules(fields, inherited, reading);
  for (const std::string key : {"replicate", "old_values", "numbering", "columns", "groups"}) {
    fields.refuse(key, in_quotes(key) + " belongs to a table, below `tables`");
  }
  fields.finish();
  out.rules.defaults = settled(inherited);

  const Node* tables = file.find("tables");
  if (!tables) return out;
  const Fields reports_what_is_no_mapping(*tables, "`tables`", file.place("tables"), problems);
  SqlNames names;
  for (const auto& entry : tables->entries) {
    names.check(entry.key, entry.place, "table", problems);
    auto& places = out.places.tables[entry.key];
    out.rules.tables[entry.key] = read_table(entry, inherited, places, reading);
  }
  return out;
}

}  // namespace entente
