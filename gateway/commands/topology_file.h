#pragma once

#include <filesystem>
#include <iosfwd>
#include <span>
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

// Loads the handlers that the file names into its rules. What is wrong with them are problems of
// the file. Their processes live as long as the calling thread.
void load_handlers(TopologyFile& file);

// The datacenter of this name, of a file that reads well. Null, after saying why, if either is not
// so.
const Datacenter* find_datacenter(const TopologyFile& file, const std::string& dc,
                                  std::ostream& err);

// Problems of the file for people, with carets, and how many there are.
std::string render_problems(const TopologyFile& file, std::span<const Problem> problems);
std::string render_warnings(const TopologyFile& file, std::span<const Problem> warnings);

}  // namespace entente
