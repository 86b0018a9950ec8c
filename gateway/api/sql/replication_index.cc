#include "gateway/api/sql/replication_index.h"

#include <charconv>

#include "gateway/store/store_calls.h"

namespace entente {
namespace {

constexpr int kSeqBits = 48;
constexpr uint64_t kSeqMask = (uint64_t{1} << kSeqBits) - 1;

// Incarnations are random, so that a few of their bits tell those of a cluster apart.
uint64_t tag_of(const Origin& origin) {
  return ((uint64_t{origin.id[0]} << 8) | origin.id[1]) & 0x7fff;
}

Error not_reached() {
  return {Code::kNotReached,
          "this gateway has not applied what the connection has seen (replication_index); try "
          "again in a second",
          "SESSION_NOT_REACHED"};
}

}  // namespace

uint64_t replication_index(const Site& site, const VersionVector& seen) {
  const Origin& self = site.store.opened().self;
  return (tag_of(self) << kSeqBits) | (seen.at(self) & kSeqMask);
}

std::optional<uint64_t> seen_by_client(const Json& json) {
  const Json* index = json.find("replication_index");
  if (index == nullptr) return std::nullopt;
  if (const auto* i = index->integer(); i != nullptr && *i >= 0) return static_cast<uint64_t>(*i);
  const auto* text = index->string();
  if (text == nullptr) return std::nullopt;
  uint64_t value = 0;
  const char* const last = text->data() + text->size();
  const auto [end, error] = std::from_chars(text->data(), last, value);
  if (error != std::errc{} || end != last) return std::nullopt;
  return value;
}

Task<Result<void>> wait_for_index(const Site& site, uint64_t index) {
  const uint64_t seq = index & kSeqMask;
  if (seq == 0) co_return Result<void>{};
  Dot nearest;  // two incarnations with the same few bits: the one that has come further
  for (const auto& dot : site.store.applied()) {
    if (tag_of(dot.origin) == index >> kSeqBits && dot.seq > nearest.seq) nearest = dot;
  }
  if (nearest.seq >= seq) co_return Result<void>{};
  if (nearest.seq == 0) co_return tl::unexpected(not_reached());
  VersionVector target;
  target.advance(nearest.origin, seq);
  const auto deadline = Store::Clock::now() + site.config.limits.session_wait;
  AppliedCall call(site.store, site.loop, std::move(target), deadline);
  if (co_await call) co_return Result<void>{};
  co_return tl::unexpected(not_reached());
}

}  // namespace entente
