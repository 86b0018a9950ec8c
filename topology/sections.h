#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "topology/config.h"
#include "topology/fields.h"

namespace entente {

// The sections of the file, each read from the top-level mapping. What is wrong is reported; what
// is returned then is only good for checking the rest.

struct DatacentersSection {
  std::vector<Datacenter> list;
  std::vector<std::string> names;  // of all that the file lists; empty: do not check references
};

// Most datacenters in one file.
constexpr size_t kDatacenters = 64;

// Where addresses may be: with TLS anywhere, and then they are all served with it.
enum class Reach { kLoopback, kAnywhere };

DatacentersSection read_datacenters(Fields& file, const std::filesystem::path& folder, Reach reach,
                                    Problems& problems);

// `tls` and `denied` of `security`.
TlsConfig read_tls(Fields& security, const std::filesystem::path& folder, Problems& problems);

TopologySpec read_topology(Fields& file, std::span<const std::string> datacenters,
                           Problems& problems);

struct HandlersSection {
  std::map<std::string, HandlerSource, std::less<>> sources;
  std::map<std::string, FilePlace, std::less<>> places;
  std::vector<std::string> names;  // of all that the file lists
};

HandlersSection read_handlers(Fields& file, const std::filesystem::path& folder,
                              Problems& problems);

// `conflicts`, `changes` and `tables`; without the handlers, and the priorities, which stand with
// the datacenters.
struct ConflictsSection {
  ConflictRules rules;
  RulePlaces places;
};

ConflictsSection read_conflicts(Fields& file, std::span<const std::string> handlers,
                                Problems& problems);

Limits read_limits(Fields& file, Problems& problems);

// True if `word` is one of the datacenters; otherwise reported. Always true when there are none.
bool refers_to_datacenter(const Word& word, std::span<const std::string> datacenters,
                          Problems& problems);

// The mapping below `key`, or an empty one.
Fields section(Fields& parent, const std::string& key, Problems& problems);

}  // namespace entente
