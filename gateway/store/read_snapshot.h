#pragma once

#include "adapters/database.h"

namespace entente {

// One snapshot of a reading connection, for as long as this lives.
class Snapshot {
 public:
  explicit Snapshot(Reader& reader) : reader_(reader), begun_(reader.begin()) {}
  ~Snapshot() {
    if (begun_) reader_.end();
  }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  // What it contains; an error if there is no snapshot.
  Result<VersionVector> applied() {
    if (!begun_) return tl::unexpected(begun_.error());
    return reader_.applied();
  }

 private:
  Reader& reader_;
  Result<void> begun_;
};

}  // namespace entente
