#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "topology/config.h"
#include "topology/node.h"

namespace entente {

// One thing wrong with a topology file, and where.
struct Problem {
  int line = 0;              // 1-based; 0: the file as a whole
  int column = 0;            // 1-based
  std::string text;          // what is wrong and what to do
  std::string did_you_mean;  // "" if nothing is near
};

// Where the file says what holds for one table: for who finds out later that it does not suit.
struct TablePlaces {
  FilePlace table;
  std::map<std::string, FilePlace, std::less<>> parts;  // its columns and groups
};
struct RulePlaces {
  FilePlace defaults;  // of `conflicts`; the whole file if it says nothing
  FilePlace schema;
  std::map<std::string, TablePlaces, std::less<>> tables;
  std::map<std::string, FilePlace, std::less<>> handlers;
};

struct Loaded {
  std::optional<Config> config;   // present exactly when there are no problems
  std::vector<Problem> problems;  // all of them, in the file's order
  RulePlaces places;
};

// Reads `${NAME}` from here; absent: the variable is not set.
using Environment = std::function<std::optional<std::string>(const std::string&)>;

// Reads a topology file strictly: unknown and duplicate keys, wrong types and units, unknown
// datacenters, graphs that are not connected are problems, each with its place. Never throws.
// `folder` is what relative paths in the file are relative to.
Loaded load_config(std::string_view yaml, const std::filesystem::path& folder,
                   const Environment& environment);

// `file:line:column: text`, the line, a caret under the place, and the suggestion: for people.
std::string render(const Problem& problem, std::string_view file, std::string_view yaml);

}  // namespace entente
