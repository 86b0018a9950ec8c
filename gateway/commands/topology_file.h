#pragma once

#include <filesystem>
#include <string>

#include "topology/loader.h"

namespace entente {

struct TopologyFile {
  std::string name;  // as the user wrote it
  std::string text;
  Loaded loaded;
};

// Reads a topology file with the process's environment. A file that cannot be read has that as its
// problem.
TopologyFile read_topology_file(const std::filesystem::path& path);

// All problems for people, with carets, and how many there are.
std::string render_problems(const TopologyFile& file);

}  // namespace entente
