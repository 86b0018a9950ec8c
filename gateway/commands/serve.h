#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

namespace entente {

struct ServeOptions {
  std::filesystem::path config;
  std::string dc;
  std::filesystem::path data;  // empty: ./data/<dc>
  bool first = false;          // a cluster may begin here
};

std::filesystem::path data_folder(const ServeOptions& options);

// `entente serve`: runs one datacenter's gateway until SIGINT or SIGTERM, then stops it in order; a
// second signal ends the process at once. Answers the exit code. Call it before any thread is
// started: it decides who receives these signals.
int serve(const ServeOptions& options, std::ostream& out, std::ostream& err);

}  // namespace entente
