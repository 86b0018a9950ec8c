#pragma once

#include <filesystem>
#include <iosfwd>

#include "gateway/commands/output.h"
#include "gateway/commands/serve.h"

namespace entente {

// `entente adopt`: makes a SQLite file the first state of a datacenter's database, and says of each
// table whether it replicates. Answers the exit code: degraded if some table does not.
int adopt(const ServeOptions& options, const std::filesystem::path& source, OutputFormat format,
          std::ostream& out, std::ostream& err);

}  // namespace entente
