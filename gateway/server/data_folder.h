#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "conflict/dot.h"
#include "conflict/result.h"

namespace entente {

// One gateway's folder: a lock that keeps a second gateway out while this object lives, and the
// incarnation marker, which says whose life the database beside it is. A database without its
// marker was restored or copied, and must not write under its old name.
//
// Files: `lock`, with the pid of who holds it; `incarnation`, 32 hex digits and a newline;
// `catching_up`, empty, while the database is a copy that has yet to catch up with the others.
class DataFolder {
 public:
  // Creates the folder if need be. kBusy if another gateway has it.
  static Result<DataFolder> open(const std::filesystem::path& path);
  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;
  ~DataFolder();

  // kCorrupt if the marker is there but is not one.
  Result<std::optional<Origin>> marker() const;
  // Durable, and whole or not at all, when it returns.
  Result<void> write_marker(const Origin& incarnation) const;

  bool catching_up() const;
  // Durable when it returns.
  Result<void> set_catching_up(bool on) const;

 private:
  DataFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::filesystem::path path_;
  int lock_ = -1;
};

// 128 random bits from the system.
Result<Origin> random_origin();

}  // namespace entente
