#include "gateway/replica/verification.h"

#include <algorithm>

namespace entente {
namespace {

bool same(const RowSight& a, const RowSight& b) {
  return a.digest == b.digest && a.state == b.state;
}

bool alike(const RowCopy& a, const RowCopy& b) { return !difference(a.digest, b.digest); }

// Shown by SQL, and of no write that a gateway knows of.
bool foreign(const RowCopy& copy) { return copy.digest.shown != 0 && copy.digest.dots == 0; }

tl::unexpected<Error> undecided() {
  return fail(Code::kRefused,
              "nobody can know which datacenter's row is the right one: say it with --from",
              "from_needed");
}

}  // namespace

bool unchanged(const RowPair& first, const RowPair& then) {
  return same(first.mine, then.mine) && same(first.theirs, then.theirs);
}

RowFinding look_again(const RowPair& first, const RowPair& then) {
  if (!difference(then.mine.digest, then.theirs.digest)) return RowFinding::kEqual;
  VersionVector both = first.mine.applied;
  both.join(first.theirs.applied);
  const bool level = then.mine.applied.covers(both) && then.theirs.applied.covers(both);
  return unchanged(first, then) && level ? RowFinding::kDifferent : RowFinding::kBusy;
}

Result<size_t> choose_copy(std::span<const RowCopy> copies, const std::string& from) {
  if (!from.empty()) {
    const auto named = std::find_if(copies.begin(), copies.end(),
                                    [&](const RowCopy& copy) { return copy.dc == from; });
    if (named == copies.end()) return fail(Code::kNotFound, "no row was read from " + from);
    return static_cast<size_t>(named - copies.begin());
  }
  if (std::any_of(copies.begin(), copies.end(), foreign)) return undecided();
  Version newest;
  for (const auto& copy : copies) newest = std::max(newest, copy.newest);
  std::vector<size_t> candidates;
  for (size_t i = 0; i < copies.size(); ++i) {
    const RowDigest& digest = copies[i].digest;
    const bool lost = digest.dots != 0 && digest.values == 0;
    if (copies[i].newest == newest && !lost) candidates.push_back(i);
  }
  for (const size_t i : candidates) {
    const auto votes = std::count_if(candidates.begin(), candidates.end(),
                                     [&](size_t j) { return alike(copies[i], copies[j]); });
    if (2 * static_cast<size_t>(votes) > candidates.size()) return i;
  }
  return undecided();
}

}  // namespace entente
