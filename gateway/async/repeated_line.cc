#include "gateway/async/repeated_line.h"

#include <utility>

namespace entente {
namespace {

constexpr RepeatedLine::Instant kEvery{1'000}, kForgotten{60'000};

}  // namespace

std::optional<uint64_t> RepeatedLine::due(const std::string& reason, Instant now) {
  std::erase_if(lines_, [&](const auto& entry) { return now - entry.second.logged > kForgotten; });
  const bool room = lines_.size() < kReasons || lines_.contains(reason);
  const auto [it, is_new] = lines_.try_emplace(room ? reason : std::string(), Line{now, 0});
  Line& line = it->second;
  ++line.unlogged;
  if (!is_new && now - line.logged < kEvery) return std::nullopt;
  line.logged = now;
  return std::exchange(line.unlogged, 0);
}

}  // namespace entente
