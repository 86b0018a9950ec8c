#include "gateway/commands/snapshot.h"

#include <ostream>

#include "adapters/sqlite/file_copy.h"
#include "adapters/sqlite/snapshot.h"
#include "conflict/hex.h"
#include "gateway/commands/topology_file.h"
#include "gateway/lifecycle/new_life.h"
#include "gateway/store/database_options.h"

namespace entente {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

uint64_t transactions(const VersionVector& applied) {
  uint64_t n = 0;
  for (const auto& dot : applied) n += dot.seq;
  return n;
}

int say(const SnapshotInfo& info, const std::filesystem::path& file, OutputFormat format,
        std::ostream& out) {
  std::error_code ec;
  const auto bytes = std::to_string(std::filesystem::file_size(file, ec));
  const auto n = std::to_string(transactions(info.applied));
  if (format == OutputFormat::kJson) {
    out << json_object(Fields{{"file", json_text(file.string())},
                              {"bytes", bytes},
                              {"dc", json_text(info.dc)},
                              {"incarnation", json_text(to_hex(info.incarnation))},
                              {"transactions", n}})
        << "\n";
  } else {
    out << aligned(std::vector<std::vector<std::string>>{
        {"file", "bytes", "of", "incarnation", "transactions"},
        {printable(file.string()), bytes, info.dc, to_hex(info.incarnation), n}});
  }
  return kFine;
}

int failed(const Error& error, std::ostream& err) {
  err << "entente: " << printable(error.text) << "\n";
  return kDegraded;
}

}  // namespace

int snapshot(const ServeOptions& options, const std::filesystem::path& file, OutputFormat format,
             std::ostream& out, std::ostream& err) {
  auto topology = read_topology_file(options.config);
  load_handlers(topology);
  const Datacenter* dc = find_datacenter(topology, options.dc, err);
  if (dc == nullptr) return kUsage;
  if (auto fits = needs_sqlite(*dc); !fits) return failed(fits.error(), err);
  const auto info = snapshot_sqlite(database_path(*dc, data_folder(options)), file);
  if (!info) return failed(info.error(), err);
  return say(*info, file, format, out);
}

int restore(const ServeOptions& options, const std::filesystem::path& file, bool alone,
            OutputFormat format, std::ostream& out, std::ostream& err) {
  auto topology = read_topology_file(options.config);
  load_handlers(topology);
  const Datacenter* dc = find_datacenter(topology, options.dc, err);
  if (dc == nullptr) return kUsage;
  const Config& config = *topology.loaded.config;
  const auto data = data_folder(options);
  const auto part = database_path(*dc, data).string() + ".restoring";
  const auto info =
      needs_sqlite(*dc)
          .and_then([&] { return check_snapshot(file); })
          .and_then([&](const SnapshotInfo& found) {
            return begin_life_of_copy(config, *dc, data, part, !alone,
                                      [&] { return sqlite::copy_database(file, part); })
                .map([&](bool) { return found; });
          });
  if (!info) return failed(info.error(), err);
  return say(*info, database_path(*dc, data), format, out);
}

}  // namespace entente
