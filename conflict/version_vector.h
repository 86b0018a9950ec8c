#pragma once

#include <cstdint>
#include <vector>

#include "conflict/codec.h"
#include "conflict/dot.h"
#include "conflict/result.h"

namespace entente {

// Origin -> highest seq applied, contiguous from 1: it covers (o, n) exactly when at(o) >= n.
// Entries are never zero. Small (one entry per incarnation), so a sorted vector.
class VersionVector {
 public:
  using Entry = Dot;  // at most one per origin, sorted by origin

  uint64_t at(const Origin& o) const;
  bool covers(const Dot& d) const { return at(d.origin) >= d.seq; }
  bool covers(const VersionVector& other) const;

  // Raises o's entry to seq; never lowers it.
  void advance(const Origin& o, uint64_t seq);
  // Sets it, lowering too (0 removes it).
  void set(const Origin& o, uint64_t seq);
  void join(const VersionVector& other);
  // Keeps, per origin, the smaller of the two.
  void meet(const VersionVector& other);

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

  friend bool operator==(const VersionVector&, const VersionVector&) = default;

 private:
  std::vector<Entry> entries_;
};

void encode(ByteWriter& out, const VersionVector& vv);
Result<VersionVector> decode_version_vector(ByteReader& in);

}  // namespace entente
