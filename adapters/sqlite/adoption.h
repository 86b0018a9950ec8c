#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "adapters/database.h"

namespace entente {

// What was taken in of a file.
struct Adoption {
  struct Table {
    std::string name;
    uint64_t rows = 0;
    std::string why_not;  // it does not replicate; "" if it does
  };
  Origin
      origin;  // whose changes its rows are: the same for whoever adopts a file with the same rows
  std::vector<Table> tables;
};

// Makes a SQLite file the first state of a new database at `destination`: its tables, indexes,
// views and triggers, and its rows, are the first changes there are, by an origin whose id is a
// digest of them. So other datacenters get them as they get any change, and identical copies that
// are adopted at several sites are the same changes. Stamped at the beginning of time: any other
// write is newer.
//
// `source` is only read; its pages are copied. `destination` comes whole, or not at all.
// Errors: kRefused (a database of a gateway, one that fails its integrity check, a destination that
// is there), and those of opening one.
Result<Adoption> adopt_sqlite(const std::filesystem::path& source,
                              const std::filesystem::path& destination,
                              const DatabaseOptions& options);

}  // namespace entente
