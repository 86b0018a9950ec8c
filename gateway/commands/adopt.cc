#include "gateway/commands/adopt.h"

#include <algorithm>
#include <ostream>

#include "adapters/sqlite/adoption.h"
#include "conflict/hex.h"
#include "gateway/async/wall_clock.h"
#include "gateway/commands/topology_file.h"
#include "gateway/lifecycle/new_life.h"
#include "gateway/membership/data_folder.h"
#include "gateway/store/database_options.h"

namespace entente {
namespace {

// The marker comes first, as for every new database.
Result<Adoption> run(const Config& config, const Datacenter& dc, const std::filesystem::path& data,
                     const std::filesystem::path& source) {
  if (auto fits = needs_sqlite(dc); !fits) return tl::unexpected(fits.error());
  auto folder = DataFolder::open(data);
  if (!folder) return tl::unexpected(folder.error());
  const auto destination = database_path(dc, data);
  std::error_code ec;
  if (std::filesystem::exists(destination, ec)) {
    return fail(Code::kRefused,
                dc.name + " has a database already, " + destination.string() +
                    ": a file is adopted as a new one",
                "database_exists");
  }
  const auto origin = random_origin();
  if (!origin) return tl::unexpected(origin.error());
  return folder->write_marker(*origin).and_then([&] {
    return adopt_sqlite(source, destination, database_options(config, dc.name, *origin, wall_ms()));
  });
}

std::string as_json(const Adoption& adoption) {
  std::vector<std::string> tables;
  for (const auto& t : adoption.tables) {
    tables.push_back(json_object(std::vector<std::pair<std::string, std::string>>{
        {"table", json_text(t.name)},
        {"rows", std::to_string(t.rows)},
        {"replicates", t.why_not.empty() ? "true" : "false"},
        {"why_not", t.why_not.empty() ? "null" : json_text(t.why_not)}}));
  }
  return json_object(std::vector<std::pair<std::string, std::string>>{
             {"origin", json_text(to_hex(adoption.origin))}, {"tables", json_list(tables)}}) +
         "\n";
}

std::string as_table(const Adoption& adoption) {
  std::vector<std::vector<std::string>> cells{{"table", "rows", "replicates"}};
  for (const auto& t : adoption.tables) {
    cells.push_back({printable(t.name), std::to_string(t.rows),
                     t.why_not.empty() ? "yes" : "no: " + printable(t.why_not)});
  }
  return aligned(cells);
}

}  // namespace

int adopt(const ServeOptions& options, const std::filesystem::path& source, OutputFormat format,
          std::ostream& out, std::ostream& err) {
  auto file = read_topology_file(options.config);
  load_handlers(file);
  const Datacenter* dc = find_datacenter(file, options.dc, err);
  if (dc == nullptr) return kUsage;
  const auto adoption = run(*file.loaded.config, *dc, data_folder(options), source);
  if (!adoption) {
    err << "entente: " << printable(adoption.error().text) << "\n";
    return kDegraded;
  }
  out << (format == OutputFormat::kJson ? as_json(*adoption) : as_table(*adoption));
  const bool all = std::all_of(adoption->tables.begin(), adoption->tables.end(),
                               [](const auto& t) { return t.why_not.empty(); });
  return all ? kFine : kDegraded;
}

}  // namespace entente
