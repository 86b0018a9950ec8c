#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "topology/node.h"
#include "topology/problems.h"

namespace entente {

// A word of the file that other places refer to.
struct Word {
  std::string text;
  FilePlace place;
};

// The values an enumerated key can take.
template <class T>
using Choices = std::vector<std::pair<std::string, T>>;

// The keys of one mapping, read one by one.
//
// Each reader answers absent when the key is not there, and when its value is wrong: then it has
// been reported. finish() reports the keys nobody asked for.
class Fields {
 public:
  // `where` names the mapping in sentences: "`topology`". `place` is where it is, for what is
  // missing in it. Anything but a mapping, or nothing, is reported.
  Fields(const Node& node, std::string where, FilePlace place, Problems& problems);

  bool has(std::string_view key) const { return entry(key) != nullptr; }
  FilePlace place(std::string_view key) const;  // of the key; of the mapping if it is not there

  // The value whatever it is; null when the key is not there.
  const Node* find(std::string key);
  std::optional<Word> word(const std::string& key);
  std::optional<Word> text(const std::string& key);  // a word that may be empty
  std::optional<std::vector<Word>> words(const std::string& key);
  std::optional<bool> flag(const std::string& key);
  std::optional<int64_t> integer(const std::string& key, int64_t least, int64_t most);
  std::optional<uint64_t> size(const std::string& key, uint64_t least, uint64_t most);
  std::optional<std::chrono::milliseconds> duration(const std::string& key,
                                                    std::chrono::milliseconds least,
                                                    std::chrono::milliseconds most);
  template <class T>
  std::optional<T> choice(const std::string& key, const Choices<T>& choices) {
    const auto chosen = word(key);
    return chosen ? pick(key, *chosen, choices) : std::nullopt;
  }
  // What a word that was read from `key` stands for.
  template <class T>
  std::optional<T> pick(const std::string& key, const Word& chosen, const Choices<T>& choices) {
    std::vector<std::string> names;
    for (const auto& [name, value] : choices) {
      if (name == chosen.text) return value;
      names.push_back(name);
    }
    report_choice(key, chosen, names);
    return std::nullopt;
  }

  // Reports a missing key.
  void require(std::string_view key, std::string_view example);
  // Reports a key that is known but cannot be used here.
  void refuse(const std::string& key, const std::string& why);
  void finish();

 private:
  const Entry* entry(std::string_view key) const;
  const Node* scalar(const std::string& key, std::string_view wanted, bool quotes_allowed);
  void report_choice(const std::string& key, const Word& chosen,
                     std::span<const std::string> names);
  void report_range(const std::string& key, FilePlace place, const std::string& least,
                    const std::string& most);

  const Node& node_;
  std::string where_;
  FilePlace place_;
  Problems& problems_;
  std::vector<std::string> known_;
};

// The text of an item of a list, or absent and reported.
std::optional<Word> read_word(const Node& node, std::string_view what, Problems& problems);

}  // namespace entente
