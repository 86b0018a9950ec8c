#include "conflict/version_vector.h"

#include <algorithm>

namespace entente {
namespace {

template <class Entries>
auto position(Entries& entries, const Origin& o) {
  return std::lower_bound(entries.begin(), entries.end(), o,
                          [](const Dot& e, const Origin& key) { return e.origin < key; });
}

}  // namespace

uint64_t VersionVector::at(const Origin& o) const {
  const auto it = position(entries_, o);
  return it != entries_.end() && it->origin == o ? it->seq : 0;
}

bool VersionVector::covers(const VersionVector& other) const {
  auto mine = entries_.begin();
  for (const auto& [o, seq] : other) {
    while (mine != entries_.end() && mine->origin < o) ++mine;
    if (mine == entries_.end() || mine->origin != o || mine->seq < seq) return false;
  }
  return true;
}

void VersionVector::advance(const Origin& o, uint64_t seq) {
  if (seq > at(o)) set(o, seq);
}

void VersionVector::set(const Origin& o, uint64_t seq) {
  const auto it = position(entries_, o);
  const bool present = it != entries_.end() && it->origin == o;
  if (seq == 0) {
    if (present) entries_.erase(it);
  } else if (present) {
    it->seq = seq;
  } else {
    entries_.insert(it, Dot{o, seq});
  }
}

void VersionVector::join(const VersionVector& other) {
  auto mine = entries_.begin();
  for (const auto& entry : other) {
    while (mine != entries_.end() && mine->origin < entry.origin) ++mine;
    if (mine == entries_.end() || mine->origin != entry.origin) {
      mine = entries_.insert(mine, entry);
    } else {
      mine->seq = std::max(mine->seq, entry.seq);
    }
  }
}

void VersionVector::meet(const VersionVector& other) {
  auto theirs = other.begin();
  std::erase_if(entries_, [&](Dot& e) {
    while (theirs != other.end() && theirs->origin < e.origin) ++theirs;
    const bool both = theirs != other.end() && theirs->origin == e.origin;
    if (both) e.seq = std::min(e.seq, theirs->seq);
    return !both;
  });
}

void encode(ByteWriter& out, const VersionVector& vv) {
  out.varint(vv.size());
  for (const auto& [o, seq] : vv) out.origin(o), out.varint(seq);
}

Result<VersionVector> decode_version_vector(ByteReader& in) {
  VersionVector vv;
  Origin last{};
  const size_t n = in.count(17);
  for (size_t i = 0; i < n && in.ok(); ++i) {
    const Origin o = in.origin();
    const uint64_t seq = in.varint();
    if (!in.ok()) break;
    if (seq == 0 || o <= last) return fail(Code::kInvalid, "version vector is not canonical");
    vv.set(o, seq);
    last = o;
  }
  if (!in.ok()) return fail(Code::kInvalid, "version vector is cut short");
  return vv;
}

}  // namespace entente
