#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

namespace entente {

// The tag of the refusal of somebody who lacks a right.
inline constexpr const char* kNotPermitted = "SQLITE_AUTH";

// What a client may do in tables, where that is less than everything: the schema he cannot change.
// Tables' names are as SQLite compares them: ASCII letters count in any case.
struct TableRights {
  struct Of {
    bool read = false, write = false;
    friend bool operator==(const Of&, const Of&) = default;
  };
  Of others;                        // tables that `named` does not have
  std::map<std::string, Of> named;  // in lower case

  Of of(std::string_view table) const {
    const auto at = named.find(in_lower_case(table));
    return at == named.end() ? others : at->second;
  }
  bool may_read(std::string_view table) const { return of(table).read; }
  bool may_write(std::string_view table) const { return of(table).write; }

  static std::string in_lower_case(std::string_view name) {
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return lower;
  }
};

}  // namespace entente
