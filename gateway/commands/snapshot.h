#pragma once

#include <filesystem>
#include <iosfwd>

#include "gateway/commands/output.h"
#include "gateway/commands/serve.h"

namespace entente {

// `entente snapshot`: copies a datacenter's database to a file, also while its gateway runs, and
// proves the copy. Answers the exit code.
int snapshot(const ServeOptions& options, const std::filesystem::path& file, OutputFormat format,
             std::ostream& out, std::ostream& err);

// `entente restore`: makes such a copy the database of a datacenter that has none, in a new life:
// what others wrote since comes when it is served, and until then, unless `alone`, no client is.
int restore(const ServeOptions& options, const std::filesystem::path& file, bool alone,
            OutputFormat format, std::ostream& out, std::ostream& err);

}  // namespace entente
