#include "adapters/sqlite/foreign_writes.h"

namespace entente::sqlite {

Result<void> ForeignWrites::begin() {
  for (Seen* seen : {&a_, &b_}) {
    auto version = seen->db.prepare("PRAGMA data_version");
    if (!version) return tl::unexpected(version.error());
    seen->version = std::move(*version);
    if (auto read = changed(*seen); !read) return tl::unexpected(read.error());
  }
  return {};
}

Result<bool> ForeignWrites::changed(Seen& seen) {
  Rows rows(seen.version);
  const auto row = rows.next();
  if (!row) return tl::unexpected(row.error());
  const int64_t version = seen.version.integer(0);
  return std::exchange(seen.last, version) != version;
}

Result<bool> ForeignWrites::after(const Connection& committed) {
  const bool first = &committed == &a_.db;
  if (auto ours = changed(first ? b_ : a_); !ours) return ours;
  return changed(first ? a_ : b_);
}

}  // namespace entente::sqlite
