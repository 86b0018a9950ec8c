#include "gateway/lifecycle/new_life.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "adapters/sqlite/file_copy.h"
#include "adapters/sqlite/snapshot.h"
#include "adapters/sqlite/sqlite_database.h"
#include "gateway/api/row_json.h"
#include "gateway/async/wall_clock.h"
#include "gateway/membership/data_folder.h"
#include "gateway/store/database_options.h"

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

// Both are closed again, and have no other files, when it returns.
Result<Replayed> bring_over(const DatabaseOptions& options, const DataFolder& folder,
                            const fs::path& from, const fs::path& to, bool restored) {
  const auto old = open_sqlite(from, options);
  if (!old) return tl::unexpected(old.error());
  const auto fresh = open_sqlite(to, options);
  if (!fresh) return tl::unexpected(fresh.error());
  std::optional<Doubt> doubt;
  if (restored) doubt.emplace();
  const auto unverified = folder.unverified((*old)->state().self);
  if (doubt && unverified) doubt = {unverified->after, unverified->shipped};
  return replay(**old, **fresh, Origin{}, doubt, options.wall_ms);
}

Result<void> exchange(const fs::path& a, const fs::path& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return {};
  return fail(Code::kExhausted,
              "cannot exchange " + a.string() + " and " + b.string() + ": " + std::strerror(errno));
}

std::string story_of(const Replacement& done, const std::string& why, const std::string& from) {
  const Replayed& replayed = done.replayed;
  std::string story = iso_time(wall_ms()) + ": " + why + ". A copy of the database of " + from +
                      " took its place, and " + std::to_string(replayed.changes) +
                      " transactions that it lacked";
  if (replayed.reissued > 0) {
    story += ", " + std::to_string(replayed.reissued) +
             " of them written under a name that others know with another history and now under "
             "a new one";
  }
  if (replayed.joined > 0) {
    story += ", all as rows, because the log no longer reached back to the changes";
  }
  if (replayed.dropped_schema_changes > 0) {
    story += "; " + std::to_string(replayed.dropped_schema_changes) +
             " schema changes of that history, and rows that only these can have, were left out";
  }
  if (replayed.left_out > 0) {
    story += "; " + std::to_string(replayed.left_out) +
             " transactions of other datacenters under names that " + from +
             " knows with another history were left out: each brings its own";
  }
  return story + ". What was there is " + done.kept.string();
}

Result<Replacement> replace(const Config& config, const Datacenter& dc, const DataFolder& folder,
                            const fs::path& part, const fs::path& destination,
                            const std::string& why, const std::string& from, bool restored) {
  const auto proved = check_snapshot(part);
  if (!proved) return tl::unexpected(proved.error());
  const auto origin = random_origin();
  if (!origin) return tl::unexpected(origin.error());
  const auto options = database_options(config, dc.name, *origin, wall_ms());
  if (auto begun = begin_new_life(part, options); !begun) return tl::unexpected(begun.error());
  auto replayed = bring_over(options, folder, destination, part, restored);
  if (!replayed) return tl::unexpected(replayed.error());
  // After a crash in between the marker is not the database's, and it is all done again.
  auto done = folder.set_catching_up(true)
                  .and_then([&] { return exchange(part, destination); })
                  .and_then([&] { return folder.write_marker(*origin); });
  if (!done) return tl::unexpected(done.error());
  const fs::path kept = destination.string() + ".replaced";
  sqlite::remove_database(kept);
  std::error_code ec;
  fs::rename(part, kept, ec);
  Replacement replacement{*replayed, kept, ""};
  replacement.story = story_of(replacement, why, from);
  if (auto told = folder.set_rejoined(replacement.story); !told)
    return tl::unexpected(told.error());
  return replacement;
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

Result<Replacement> replace_by_copy(const Config& config, const Datacenter& dc,
                                    const fs::path& data, const fs::path& part,
                                    const std::string& why, const std::string& from,
                                    bool restored) {
  auto folder = DataFolder::open(data);
  if (!folder) return tl::unexpected(folder.error());
  auto done = replace(config, dc, *folder, part, database_path(dc, data), why, from, restored);
  if (!done) sqlite::remove_database(part);
  return done;
}

}  // namespace entente
