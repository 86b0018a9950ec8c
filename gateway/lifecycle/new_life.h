#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "adapters/replay.h"
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

struct Replacement {
  Replayed replayed;
  std::filesystem::path kept;  // the database that was there
  std::string story;           // all of it in a sentence, as `status` says it
};

// Puts a copy of another datacenter's database, in a new life, in the place of this one's, with
// what this one has and the copy lacks (adapters/replay.h). No client is served before it has
// caught up. Whole, or as it was before; the copy is gone then. What was there is kept beside it,
// in the place of what was replaced before. `why`, and `from` whom the copy is: for the story.
// `restored`: what was there is older than what others know of it.
// Errors: kBusy (its gateway runs); kRefused (the copy is damaged, or too old).
Result<Replacement> replace_by_copy(const Config& config, const Datacenter& dc,
                                    const std::filesystem::path& data,
                                    const std::filesystem::path& part, const std::string& why,
                                    const std::string& from, bool restored);

}  // namespace entente
