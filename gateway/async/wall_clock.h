#pragma once

#include <chrono>
#include <cstdint>

namespace entente {

// Unix milliseconds by this machine's clock.
inline uint64_t wall_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

}  // namespace entente
