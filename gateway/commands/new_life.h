#pragma once

#include <filesystem>
#include <functional>

#include "conflict/result.h"
#include "topology/config.h"

namespace entente {

// kRefused unless the datacenter's database is a SQLite file.
Result<void> needs_sqlite(const Datacenter& dc);

// Makes a copy of some datacenter's database the first one of this datacenter, in a new life.
// `fetch` writes the copy to `part`, beside where it will be. Whole, or as it was before.
// `behind`: no client is served before it has caught up with a neighbour.
// Errors: kRefused (it has a database already), kBusy (its gateway runs), and fetch's.
Result<bool> begin_life_of_copy(const Config& config, const Datacenter& dc,
                                const std::filesystem::path& data,
                                const std::filesystem::path& part, bool behind,
                                const std::function<Result<void>()>& fetch);

}  // namespace entente
