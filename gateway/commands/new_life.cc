#include "gateway/commands/new_life.h"

#include "adapters/sqlite/file_copy.h"
#include "adapters/sqlite/snapshot.h"
#include "gateway/server/data_folder.h"
#include "gateway/server/database_options.h"
#include "gateway/server/wall_clock.h"

namespace entente {
namespace {

namespace fs = std::filesystem;

// The database comes last: without it nothing was done.
Result<bool> install(const Config& config, const Datacenter& dc, const DataFolder& folder,
                     const fs::path& part, const fs::path& destination, bool behind) {
  const auto proved = check_snapshot(part);
  if (!proved) return tl::unexpected(proved.error());
  const auto origin = random_origin();
  if (!origin) return tl::unexpected(origin.error());
  auto done = begin_new_life(part, database_options(config, dc.name, *origin, wall_ms()))
                  .and_then([&] { return folder.set_catching_up(behind); })
                  .and_then([&] { return folder.write_marker(*origin); });
  if (!done) return tl::unexpected(done.error());
  std::error_code ec;
  fs::rename(part, destination, ec);
  if (!ec) return true;
  return fail(Code::kExhausted, "cannot make " + destination.string() + ": " + ec.message());
}

}  // namespace

Result<void> needs_sqlite(const Datacenter& dc) {
  if (dc.database_kind == "sqlite") return {};
  return fail(Code::kRefused,
              "the database of " + dc.name + " is no SQLite file: it is " + dc.database_kind,
              "database_kind");
}

Result<bool> begin_life_of_copy(const Config& config, const Datacenter& dc, const fs::path& data,
                                const fs::path& part, bool behind,
                                const std::function<Result<void>()>& fetch) {
  auto folder = DataFolder::open(data);
  if (!folder) return tl::unexpected(folder.error());
  const auto destination = database_path(dc, data);
  std::error_code ec;
  if (fs::exists(destination, ec)) {
    return fail(Code::kRefused,
                dc.name + " has a database already, " + destination.string() +
                    ": a copy becomes the first one of a datacenter that has none",
                "database_exists");
  }
  sqlite::remove_database(part);
  auto done =
      fetch().and_then([&] { return install(config, dc, *folder, part, destination, behind); });
  if (!done) sqlite::remove_database(part);
  return done;
}

}  // namespace entente
