#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "topology/loader.h"
#include "topology/node.h"

namespace entente {

// Everything found wrong so far. Bounded: past kMost the rest is only counted.
class Problems {
 public:
  static constexpr size_t kMost = 100;

  void add(FilePlace place, std::string text, std::string did_you_mean = {});
  bool empty() const { return list_.empty(); }
  bool full() const { return list_.size() >= kMost; }
  // All of them in the file's order.
  std::vector<Problem> take();

 private:
  std::vector<Problem> list_;
  size_t more_ = 0;
};

// A piece of the file inside a sentence: in back quotes, shortened, without control characters.
std::string in_quotes(std::string_view text);

// `a, b or c`.
std::string alternatives(std::span<const std::string> names);

// The name that was probably meant, or "" if none is near: at most one edit (insert, delete,
// replace, swap) for every three letters, case ignored.
std::string nearest(std::string_view text, std::span<const std::string> names);

}  // namespace entente
