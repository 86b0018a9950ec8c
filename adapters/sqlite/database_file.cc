#include "adapters/sqlite/database_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace entente::sqlite {

Result<DatabaseFile> DatabaseFile::claim(const std::filesystem::path& path) {
  DatabaseFile file;
  file.path_ = path;
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return file;
  if (::access(path.c_str(), W_OK) != 0) {
    return fail(Code::kRefused, "the database file " + path.string() +
                                    " cannot be written: " + std::strerror(errno) +
                                    "; make it writable for the user of this gateway");
  }
  const std::string lock = path.string() + "-lock";
  file.lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file.lock_ < 0) {
    return fail(Code::kRefused, "cannot open the lock file " + lock + ": " + std::strerror(errno));
  }
  if (::flock(file.lock_, LOCK_EX | LOCK_NB) != 0) {
    return fail(Code::kBusy, "the database file " + path.string() +
                                 " is in use by another gateway: give each one a file of its own");
  }
  file.device_ = found.st_dev;
  file.inode_ = found.st_ino;
  return file;
}

DatabaseFile::DatabaseFile(DatabaseFile&& other) noexcept { *this = std::move(other); }

DatabaseFile& DatabaseFile::operator=(DatabaseFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

DatabaseFile::~DatabaseFile() {
  if (lock_ >= 0) ::close(lock_);
}

Result<void> DatabaseFile::check() const {
  if (lock_ < 0) return {};
  struct stat found {};
  const bool there = ::stat(path_.c_str(), &found) == 0;
  if (!there && errno != ENOENT && errno != ENOTDIR) return {};  // it looks again
  if (there && found.st_dev == device_ && found.st_ino == inode_) return {};
  return fail(Code::kCorrupt, "the database file " + path_.string() + " was " +
                                  (there ? "replaced" : "removed") +
                                  " while this gateway ran: put it back, or start the gateway "
                                  "without it and it fetches a copy from a neighbour");
}

}  // namespace entente::sqlite
