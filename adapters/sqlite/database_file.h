#pragma once

#include <sys/types.h>

#include <filesystem>

#include "conflict/result.h"

namespace entente::sqlite {

// The file under an open database: one gateway has it, and it is still there.
//
// SQLite goes on writing into a file that was deleted or renamed over; what it acknowledges is
// lost.
//
// Threads: one at a time. Ownership: a lock on `<file>-lock`, until this is destroyed.
class DatabaseFile {
 public:
  // A file that only SQLite's file system knows has no lock, and is not watched.
  // Errors: kBusy, another gateway has it; kRefused, it is read-only.
  static Result<DatabaseFile> claim(const std::filesystem::path& path);
  DatabaseFile() = default;
  DatabaseFile(DatabaseFile&& other) noexcept;
  DatabaseFile& operator=(DatabaseFile&& other) noexcept;
  ~DatabaseFile();

  // Errors: kCorrupt, the file was removed or replaced.
  Result<void> check() const;

 private:
  std::filesystem::path path_;
  int lock_ = -1;  // -1: not watched
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace entente::sqlite
