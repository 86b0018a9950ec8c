#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conflict/value.h"
#include "conflict/version_vector.h"

namespace entente {

// What a reader had seen of one row: everything under `seen`, and single dots beyond it. A read
// gives a plain vector; a write that presented a context has seen that and its own dot, which need
// not be contiguous with it.
struct RowContext {
  VersionVector seen;
  std::vector<Dot> also;  // none covered by seen, nor the next one after it
  // The values that its counters had in it: a write of x over y adds x - y, and others may have
  // added since. Empty if there was no row; absent if nobody says: what the database shows now.
  std::optional<Row> counters = {};

  bool covers(const Dot& d) const;
  bool covers(const VersionVector& vv) const;
  // The smallest vector over all of it: what a gateway must have applied to admit the context, and
  // what the change carries; what the vector covers beyond the context is listed as kept.
  VersionVector ceiling() const;
  void add(const Dot& d);
};

// What somebody has seen of a row who knows all that is `applied` but its values `unseen`; `seen`
// are its other values. Other rows' changes make no difference to it, and count as seen: so the
// context is as young as `applied`.
RowContext context_without(VersionVector applied, const std::vector<Dot>& unseen,
                           const std::vector<Dot>& seen);

// What clients carry: url-safe base64. A session token says "I have seen this much", a row context
// "my write replaces what I saw of that row", a feed cursor "I have had these transactions". They
// are neither secrets nor interchangeable.
std::string session_token(const VersionVector& seen);
Result<VersionVector> parse_session_token(std::string_view token);
std::string feed_cursor(const VersionVector& had);
Result<VersionVector> parse_feed_cursor(std::string_view token);
std::string context_token(const RowContext& context);
Result<RowContext> parse_context_token(std::string_view token);

}  // namespace entente
