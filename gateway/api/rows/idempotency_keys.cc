#include "gateway/api/rows/idempotency_keys.h"

#include <xxhash.h>

#include <algorithm>

#include "gateway/http/problem.h"

namespace entente {
namespace {

std::array<uint8_t, 16> digest_of(std::string_view request) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, XXH3_128bits(request.data(), request.size()));
  std::array<uint8_t, 16> out{};
  std::copy(std::begin(bytes.digest), std::end(bytes.digest), out.begin());
  return out;
}

}  // namespace

std::optional<Response> IdempotencyKeys::begin(const std::string& key, std::string_view request) {
  const auto digest = digest_of(request);
  const auto [at, is_new] = known_.try_emplace(key, Known{digest, std::nullopt});
  if (is_new) return std::nullopt;
  if (at->second.request != digest) {
    return problem(422, "idempotency_key_reused",
                   "this Idempotency-Key came with another request: every request needs its own");
  }
  if (at->second.response) return at->second.response;
  return problem(409, "idempotency_key_running",
                 "the first request with this Idempotency-Key is still running: ask again soon");
}

void IdempotencyKeys::done(const std::string& key, const Response& response) {
  known_[key].response = response;
  answered_.push_back(key);
  if (answered_.size() <= most_) return;
  known_.erase(answered_.front());
  answered_.pop_front();
}

void IdempotencyKeys::failed(const std::string& key) { known_.erase(key); }

}  // namespace entente
