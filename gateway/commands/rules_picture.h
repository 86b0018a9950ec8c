#pragma once

#include <string>

#include "conflict/policy.h"

namespace entente {

// What the conflict rules of a topology file mean: tables for people, JSON for programs.

std::string rules_table(const ConflictRules& rules);
std::string handlers_table(const ConflictRules& rules);  // "" if there are none
std::string rules_json(const TableRules& rules);
std::string handlers_json(const ConflictRules& rules);

}  // namespace entente
