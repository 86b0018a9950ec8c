#pragma once

#include <cstdint>
#include <optional>

#include "conflict/row_state.h"

namespace entente {

// What replicas compare of a row: digests, 0 for "nothing". A row that does not exist and is not
// shown has zeros only.
struct RowDigest {
  Key key;
  uint64_t dots = 0;    // the writes it is made of; 0: none that a gateway knows of
  uint64_t values = 0;  // what they say; 0: they say that there is a row, and it is not there
  uint64_t shown = 0;   // what SQL shows

  bool absent() const { return dots == 0 && values == 0 && shown == 0; }
  friend bool operator==(const RowDigest&, const RowDigest&) = default;
};

// Of a row as it would be once all that is applied was collected: replicas collect tombstones,
// losers and bases at different times. `lost`: its values are not where they should be.
RowDigest digest_of(RowState state, const Layout& layout, const Ranks& ranks,
                    const VersionVector& applied, const std::optional<Row>& shown, bool lost);

// The digest of rows together: their sum, whatever their order.
uint64_t fold(const RowDigest& row);

// Why two replicas that have applied the same do not have the same row.
enum class RowDifference : uint8_t {
  kMissing,  // a write that one of them has not got, or a row that one of them has lost
  kEdited,   // the same writes say different things: somebody wrote behind the gateway's back
  kShown,    // the same writes say the same, SQL shows another row: a handler that is not a
             // function of what it is given, or a constraint that refuses the row at one of them
};
std::optional<RowDifference> difference(const RowDigest& a, const RowDigest& b);

constexpr std::string_view to_string(RowDifference kind) {
  switch (kind) {
    case RowDifference::kMissing:
      return "missing";
    case RowDifference::kEdited:
      return "edited";
    case RowDifference::kShown:
      break;
  }
  return "shown";
}

}  // namespace entente
