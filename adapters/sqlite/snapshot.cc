#include "adapters/sqlite/snapshot.h"

#include "adapters/sqlite/connection.h"
#include "adapters/sqlite/file_copy.h"
#include "adapters/sqlite/sqlite_database.h"

namespace entente {
namespace {

using sqlite::Connection;

}  // namespace

Result<SnapshotInfo> describe_snapshot(const std::filesystem::path& path) {
  auto db = Connection::open(path, Connection::Kind::kRead);
  if (!db) return tl::unexpected(db.error());
  auto q = db->prepare(
      "SELECT s.self, o.dc, s.applied FROM _entente_state AS s JOIN _entente_origins AS o ON "
      "o.incarnation = s.self");
  const auto row = q ? q->step() : tl::unexpected(q.error());
  const bool known = row && *row && q->bytes(0).size() == Origin{}.id.size();
  if (!known) {
    return fail(Code::kRefused, path.string() + " is not the database of a gateway", "no_gateway");
  }
  SnapshotInfo info;
  std::copy(q->bytes(0).begin(), q->bytes(0).end(), info.incarnation.id.begin());
  info.dc = q->bytes(1);
  ByteReader in(q->bytes(2));
  auto applied = decode_version_vector(in);
  if (!applied) return tl::unexpected(applied.error());
  info.applied = std::move(*applied);
  return info;
}

Result<SnapshotInfo> snapshot_sqlite(const std::filesystem::path& source,
                                     const std::filesystem::path& destination) {
  std::error_code ec;
  if (std::filesystem::exists(destination, ec)) {
    return fail(Code::kRefused, destination.string() + " is there already", "file_exists");
  }
  if (!std::filesystem::exists(source, ec)) {
    return fail(Code::kNotFound, "there is no database " + source.string(), "no_file");
  }
  const std::filesystem::path part = destination.string() + ".part";
  auto info = sqlite::copy_database(source, part).and_then([&] { return check_snapshot(part); });
  if (info) {
    if (auto named = sqlite::rename_durably(part, destination); !named) {
      info = tl::unexpected(named.error());
    }
  }
  if (!info) sqlite::remove_database(part);
  return info;
}

Result<SnapshotInfo> check_snapshot(const std::filesystem::path& path) {
  return sqlite::check_integrity(path).and_then([&] { return describe_snapshot(path); });
}

Result<void> begin_new_life(const std::filesystem::path& path, const DatabaseOptions& options) {
  const auto database = open_sqlite(path, options, {.new_life = true});
  if (!database) return tl::unexpected(database.error());
  return {};
}

}  // namespace entente
