#include "gateway/commands/rules_check.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "adapters/sqlite/sqlite_database.h"
#include "gateway/server/schema_file.h"
#include "topology/problems.h"

namespace entente {
namespace {

namespace fs = std::filesystem;

// A folder that is gone with this.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code error;
    std::string name = (fs::temp_directory_path(error) / "entente-check-XXXXXX").string();
    if (!error && mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }  // empty: it could not be made

 private:
  fs::path path_;
};

// Only what decides whether a table is taken at all.
ConflictRules which_replicate(const ConflictRules& rules) {
  ConflictRules out;
  for (const auto& [table, own] : rules.tables) out.tables[table].replicate = own.replicate;
  return out;
}

Result<std::unique_ptr<Database>> new_database(const fs::path& folder, const Config& config) {
  DatabaseOptions options;
  options.dc = config.schema_leader;
  options.fresh_origin.id[0] = 1;
  options.rules = which_replicate(config.rules);
  options.schema_leader_name = config.schema_leader;
  return open_sqlite(folder / "check.db", options);
}

Result<void> run_all(Database& database, std::vector<std::string> statements) {
  const ClientTransaction script = run_statements(std::move(statements));
  auto group = database.commit({&script, 1}, 0);
  if (!group) return tl::unexpected(group.error());
  if (!group->results[0]) return tl::unexpected(group->results[0].error());
  return {};
}

Result<std::vector<TableDef>> tables_of(const Config& config) {
  auto statements = read_schema(config.schema_path);
  if (!statements) return tl::unexpected(statements.error());
  const TemporaryFolder folder;
  if (folder.path().empty()) {
    return fail(Code::kInvalid, "there is no room for a temporary database to try it in");
  }
  auto database = new_database(folder.path(), config);
  if (!database) return tl::unexpected(database.error());
  if (auto ran = run_all(**database, std::move(*statements)); !ran) {
    return tl::unexpected(ran.error());
  }
  auto reader = (*database)->reader();
  if (!reader) return tl::unexpected(reader.error());
  return (*reader)->tables();
}

bool contains(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// The part of the table that a sentence is about: the one without which it is not said.
FilePlace blamed(const std::string& sentence, const TableDef& table, const TableRules& rules,
                 const TablePlaces& places) {
  for (const auto& [part, place] : places.parts) {
    TableRules without = rules;
    without.columns.erase(part);
    without.groups.erase(part);
    if (!contains(misfits(table, without), sentence)) return place;
  }
  return places.table;
}

Problem problem_at(FilePlace place, std::string text, std::string did_you_mean = {}) {
  return {place.line, place.column, std::move(text), std::move(did_you_mean)};
}

std::vector<Problem> misfits_of(const TableDef& table, const ConflictRules& rules,
                                const RulePlaces& places) {
  std::vector<Problem> out;
  const auto own = places.tables.find(table.name);
  const TableRules& of_table = rules.of(table.name);
  if (!of_table.replicate) return out;
  for (const auto& sentence : misfits(table, of_table)) {
    const FilePlace place = own == places.tables.end()
                                ? places.defaults
                                : blamed(sentence, table, of_table, own->second);
    out.push_back(problem_at(place, sentence));
  }
  for (const auto& [name, group] : of_table.groups) {
    if (table.find(name) == nullptr) continue;
    out.push_back(problem_at(own->second.parts.at(name),
                             "table " + table.name + " has a column " + in_quotes(name) +
                                 ", so a group of its columns needs another name"));
  }
  return out;
}

std::vector<Problem> unknown_tables(const std::vector<TableDef>& tables, const RulePlaces& places) {
  std::vector<std::string> names;
  for (const auto& table : tables) names.push_back(table.name);
  std::vector<Problem> out;
  for (const auto& [name, place] : places.tables) {
    if (contains(names, name)) continue;
    out.push_back(problem_at(place.table,
                             "the schema has no table " + in_quotes(name) +
                                 ": these rules wait until somebody creates it",
                             nearest(name, names)));
  }
  return out;
}

void sort_by_place(std::vector<Problem>& problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
}

}  // namespace

RulesFindings check_rules(const TopologyFile& file, SchemaFile schema) {
  RulesFindings out;
  const Config& config = *file.loaded.config;
  const RulePlaces& places = file.loaded.places;
  std::error_code error;
  const bool skipped = schema == SchemaFile::kIfPresent && !fs::exists(config.schema_path, error);
  if (config.schema_path.empty() || skipped) return out;
  const auto tables = tables_of(config);
  if (!tables) {
    out.problems.push_back(problem_at(
        places.schema, "the schema " + in_quotes(config.schema_path) + ": " + tables.error().text));
    return out;
  }
  for (const auto& table : *tables) {
    auto found = misfits_of(table, config.rules, places);
    std::move(found.begin(), found.end(), std::back_inserter(out.problems));
  }
  out.warnings = unknown_tables(*tables, places);
  sort_by_place(out.problems);
  sort_by_place(out.warnings);
  return out;
}

}  // namespace entente
