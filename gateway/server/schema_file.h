#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace entente {

// The statements of an SQL script, without their semicolons; comments stay with the statement they
// are in, those between statements are dropped. Respects quotes of all four kinds, both kinds of
// comments, and the bodies of triggers, which end with `; END;`.
std::vector<std::string> split_statements(std::string_view script);

}  // namespace entente
