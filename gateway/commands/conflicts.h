#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "gateway/commands/output.h"

namespace entente {

// `entente conflicts list|show|resolve`: a gateway's conflict log, for operators. Each answers the
// exit code: 1 when the gateway refuses, or cannot be reached.

struct ConflictFilter {
  std::string state = "any";  // open | resolved | any
  std::string table;          // "" all
  uint64_t limit = 100;
  uint64_t since = 0;  // the id after which to go on
};
int list_conflicts(const std::string& url, const ConflictFilter& filter, OutputFormat format,
                   std::ostream& out, std::ostream& err);

// Every value side by side: where, when, and what it says of each column.
int show_conflict(const std::string& url, uint64_t id, OutputFormat format, std::ostream& out,
                  std::ostream& err);

// What the operator chose: one of these.
struct ConflictChoice {
  std::optional<std::string> pick;  // a dot
  std::optional<std::string> row;   // a JSON object
  bool erase = false;
};
int resolve_conflict(const std::string& url, uint64_t id, const ConflictChoice& choice,
                     OutputFormat format, std::ostream& out, std::ostream& err);

}  // namespace entente
