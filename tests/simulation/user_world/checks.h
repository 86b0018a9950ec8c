#pragma once

#include <optional>
#include <string>

#include "tests/simulation/user_world/reached.h"
#include "tests/simulation/user_world/site.h"
#include "tests/simulation/user_world/user_oracle.h"

namespace entente::simulation::user_world {

// A complaint is a sentence; none means that all is well.
using Complaint = std::optional<std::string>;

// P1, P4, P5: what SQL shows and what waits is what the oracle says of what this site has applied.
Complaint check_contents(Site& site, UserOracle& oracle, Reached& reached);
// The row API shows what SQL shows. REQUIRES: as above.
Complaint check_row_api(Site& site, const UserOracle& oracle);
// P2: every value that lost is in its conflict log.
Complaint check_losers(Site& site, UserOracle& oracle, Reached& reached);
// Indexes hold what their tables hold, and what foreign keys demand is there but for listed
// orphans.
Complaint check_file(Site& site, const UserOracle& oracle);

// Everything that users can see of rows and open conflicts.
std::string shown_by(Site& site, const UserOracle& oracle);

}  // namespace entente::simulation::user_world
