#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entente {

// Why somebody is not let in. `code` is sqld's, as libSQL's clients know it; `word` the metric's.
struct Refusal {
  enum class Why : uint8_t {
    kMissing,
    kMalformed,
    kInvalid,
    kExpired,
    kImmature,
    kRevoked,
    kForbidden,
    kTooMany,
  } why = Why::kInvalid;
  std::string text;
  // What the token says of itself, if its signature was good.
  std::string sub = {}, jti = {};

  struct Meaning {
    int status;
    std::string_view code, word;
  };
  const Meaning& meaning() const { return meaning(why); }

  static constexpr size_t kWhys = 8;
  static const Meaning& meaning(Why why) {
    static constexpr Meaning kMeanings[kWhys] = {
        {401, "AUTH_HTTP_HEADER_MISSING", "missing"}, {401, "AUTH_HEADER_MALFORMED", "malformed"},
        {401, "AUTH_JWT_INVALID", "invalid"},         {401, "AUTH_JWT_EXPIRED", "expired"},
        {401, "AUTH_JWT_IMMATURE", "immature"},       {401, "AUTH_JWT_INVALID", "revoked"},
        {403, "AUTH_FORBIDDEN", "forbidden"},         {429, "AUTH_TOO_MANY", "too_many"},
    };
    return kMeanings[static_cast<size_t>(why)];
  }
};

}  // namespace entente
