#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "topology/limits.h"

namespace entente {

// One limit as the file names it, with the range it must lie in.
struct LimitField {
  enum class Unit { kCount, kBytes, kTime };
  using Count = size_t Limits::*;
  using Time = std::chrono::milliseconds Limits::*;

  std::string_view name;
  Unit unit = Unit::kCount;
  std::variant<Count, Time> member;
  uint64_t least = 0;  // bytes or milliseconds
  uint64_t most = 0;

  std::string format(const Limits& limits) const;  // as the file would say it
};

// Every member of Limits, in its order.
std::span<const LimitField> limit_fields();

}  // namespace entente
