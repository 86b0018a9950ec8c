#pragma once

#include <vector>

#include "gateway/commands/topology_file.h"

namespace entente {

// What a topology file that reads well may still get wrong: its rules against its own schema.
struct RulesFindings {
  std::vector<Problem> problems;  // nothing may be served
  std::vector<Problem> warnings;  // what may be meant
};

// Whether a schema file that is not here is a problem: only its leader needs it.
enum class SchemaFile { kNeeded, kIfPresent };

// Runs the file's schema in a new database, as its leader would, and holds every rule against the
// tables that come out. Nothing if the file names no schema. REQUIRES: file.loaded.config.
RulesFindings check_rules(const TopologyFile& file, SchemaFile schema);

}  // namespace entente
