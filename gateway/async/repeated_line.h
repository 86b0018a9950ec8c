#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace entente {

// Whether to log again what happens again and again: at most once a second for each reason.
//
// Threads: one at a time.
// Bounds:  kReasons reasons at a time; when there are more, they count as one.
class RepeatedLine {
 public:
  using Instant = std::chrono::milliseconds;
  static constexpr size_t kReasons = 16;

  // How often it happened since it was logged last, this time included; absent: not now.
  std::optional<uint64_t> due(const std::string& reason, Instant now);

 private:
  struct Line {
    Instant logged;
    uint64_t unlogged = 0;
  };
  std::map<std::string, Line> lines_;
};

}  // namespace entente
