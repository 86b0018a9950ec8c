#pragma once

#include <filesystem>
#include <string>

#include "adapters/database.h"
#include "topology/config.h"

namespace entente {

// Where a datacenter keeps its database: where the file says, or in its data folder.
std::filesystem::path database_path(const Datacenter& dc, const std::filesystem::path& data);

// What its adapter is told. `fresh`: what the database becomes if it is new. REQUIRES: the file has
// the datacenter.
DatabaseOptions database_options(const Config& config, const std::string& dc, const Origin& fresh,
                                 uint64_t wall_ms);

}  // namespace entente
