#include "adapters/sqlite/file_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "adapters/sqlite/connection.h"

namespace entente::sqlite {
namespace {

using Handle = std::unique_ptr<sqlite3, decltype(&sqlite3_close_v2)>;

Result<Handle> open_file(const std::filesystem::path& path, int flags) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
  Handle handle(db, &sqlite3_close_v2);
  if (code == SQLITE_OK) return handle;
  Error e = error_of(db, code);
  e.text = "cannot open " + path.string() + ": " + e.text;
  return tl::unexpected(std::move(e));
}

Result<void> copy_pages(const std::filesystem::path& from, const std::filesystem::path& to) {
  auto source = open_file(from, SQLITE_OPEN_READONLY);
  if (!source) return tl::unexpected(source.error());
  sqlite3_busy_timeout(source->get(), 5000);
  auto copy = open_file(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!copy) return tl::unexpected(copy.error());
  // EXTRA: a journal that is deleted durably; one that came back would undo the copy.
  const int set = sqlite3_exec(copy->get(), "PRAGMA synchronous=EXTRA", nullptr, nullptr, nullptr);
  if (set != SQLITE_OK) return failed(copy->get(), set);
  sqlite3_backup* backup = sqlite3_backup_init(copy->get(), "main", source->get(), "main");
  if (backup == nullptr) return failed(copy->get(), sqlite3_errcode(copy->get()));
  sqlite3_backup_step(backup, -1);
  const int code = sqlite3_backup_finish(backup);
  if (code == SQLITE_OK) return {};
  Error e = error_of(copy->get(), code);
  e.text = "cannot copy " + from.string() + ": " + e.text;
  return tl::unexpected(std::move(e));
}

}  // namespace

Result<void> copy_database(const std::filesystem::path& from, const std::filesystem::path& to) {
  remove_database(to);
  auto done = copy_pages(from, to);
  if (!done) remove_database(to);
  return done;
}

Result<void> rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  const auto parent = to.parent_path();
  const int folder =
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool done = folder >= 0 && ::rename(from.c_str(), to.c_str()) == 0 && ::fsync(folder) == 0;
  const int why = errno;
  if (folder >= 0) ::close(folder);
  if (done) return {};
  return fail(Code::kExhausted, "cannot make " + to.string() + ": " + std::strerror(why));
}

void remove_database(const std::filesystem::path& path) {
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::filesystem::remove(path.string() + suffix, ignored);
  }
}

Result<void> check_integrity(const std::filesystem::path& path) {
  auto db = Connection::open(path, Connection::Kind::kRead);
  if (!db) return tl::unexpected(db.error());
  auto q = db->prepare("PRAGMA integrity_check(1)");
  if (!q) return tl::unexpected(q.error());
  const auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  const std::string said(*row ? q->bytes(0) : "");
  if (said == "ok") return {};
  return fail(Code::kRefused, path.string() + " fails its integrity check: " + said, "corrupt");
}

}  // namespace entente::sqlite
