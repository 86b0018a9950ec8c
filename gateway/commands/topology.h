#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "gateway/commands/output.h"

namespace entente {

// `entente topology show`: which topology is in force, as a gateway knows it.
int show_topology(const std::string& url, OutputFormat format, std::ostream& out,
                  std::ostream& err);

// `entente leader show`: who leads the schema.
int show_leader(const std::string& url, OutputFormat format, std::ostream& out, std::ostream& err);

struct TopologyStep {
  std::filesystem::path file;  // the topology file to go over to; "" the one in force
  bool plan = false;           // only say what it would change
  std::string remove = {};     // the datacenter that it leaves out; "" none
  std::string leader = {};     // who leads the schema from then on; "" as the file says
};

// `entente topology plan | apply | remove`, `entente leader move`: has the running cluster go over
// to a topology file, or to another schema leader, by telling one gateway.
int change_topology(const std::string& url, const TopologyStep& step, OutputFormat format,
                    std::ostream& out, std::ostream& err);

// `entente topology submit`: has the cluster take in the `unshipped.ndjson` of a removed
// datacenter. It may be done again, after an error and after it was done.
int submit_unshipped(const std::string& url, const std::filesystem::path& file, OutputFormat format,
                     std::ostream& out, std::ostream& err);

}  // namespace entente
