#pragma once

#include <string>
#include <vector>

namespace entente {

// A place in the file, as editors count: from 1, columns in characters. Line 0: the whole file.
struct FilePlace {
  int line = 0;
  int column = 0;
  friend auto operator<=>(const FilePlace&, const FilePlace&) = default;
};

struct Entry;

// The file as it is written: nothing is decided yet, and everything knows its place.
struct Node {
  enum class Kind {
    kNothing,  // `key:` with no value, or null
    kText,
    kList,
    kMap,
    kBroken,  // already reported: whoever reads it stays silent
  };
  Kind kind = Kind::kNothing;
  FilePlace place;
  std::string text;            // kText
  bool plain = true;           // kText: written without quotes
  std::vector<Node> items;     // kList
  std::vector<Entry> entries;  // kMap; no key twice
};

struct Entry {
  std::string key;
  FilePlace place;
  Node value;
};

}  // namespace entente
