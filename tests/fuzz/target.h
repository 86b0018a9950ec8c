#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace entente::fuzz {

// A decoder of bytes that come from outside, and what must hold of whatever it makes of them.
//
// Threads: one. Errors: MUST() ends the process; whoever drives the target prints the input.
struct Target {
  std::string_view name;
  void (*run)(std::string_view bytes);  // the same for the same bytes, whatever ran before
  // Valid encodings, made with our own encoders: binary ones are not kept in the repository.
  std::vector<std::string> (*seeds)() = nullptr;
  size_t cost = 1;  // so many times fewer mutations are replayed
};

// All of them, by name. Every .cc of this folder that defines one adds it with a Registration.
std::vector<Target>& targets();

struct Registration {
  explicit Registration(const Target& target);
};

// What a target is tried with first: its seeds, then the files of its corpus in the order of their
// names. `.hex` holds pairs of hexadecimal digits, blanks, and comments from `#` to the line's end.
std::vector<std::string> first_inputs(const Target& target);

// Chooses, as the bytes say, among what a target may do. Past their end it yields zeros.
class Choices {
 public:
  explicit Choices(std::string_view bytes) : bytes_(bytes) {}

  bool done() const { return bytes_.empty(); }
  uint8_t byte() {
    if (bytes_.empty()) return 0;
    const auto b = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return b;
  }
  bool flag() { return (byte() & 1) != 0; }
  // 0 … n - 1.
  size_t below(size_t n) { return n > 0 ? byte() % n : 0; }
  uint64_t number() {
    uint64_t v = 0;
    for (int i = 0; i < 8; ++i) v = v << 8 | byte();
    return v;
  }
  std::string_view take(size_t n) {
    const auto part = bytes_.substr(0, n);
    bytes_.remove_prefix(part.size());
    return part;
  }
  // Up to 255 bytes, a length before them.
  std::string_view piece() { return take(byte()); }
  std::string_view rest() { return take(bytes_.size()); }

 private:
  std::string_view bytes_;
};

[[noreturn]] inline void broken(const char* what, const char* file, int line) {
  std::cerr << file << ":" << line << ": not so: " << what << std::endl;
  std::abort();
}

}  // namespace entente::fuzz

#define MUST(condition) \
  ((condition) ? void() : ::entente::fuzz::broken(#condition, __FILE__, __LINE__))
