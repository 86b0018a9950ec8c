#pragma once

#include <iosfwd>
#include <string>

#include "gateway/commands/output.h"
#include "gateway/commands/topology_file.h"

namespace entente {

// `entente check FILE`: every problem of a topology file, or a picture of what it means. Answers
// the exit code.
int check(const TopologyFile& file, OutputFormat format, std::ostream& out, std::ostream& err);

}  // namespace entente
