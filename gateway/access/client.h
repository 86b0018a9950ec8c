#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "adapters/table_rights.h"
#include "conflict/result.h"

namespace entente {

// What a request needs. Each right includes those before it.
enum class Right : uint8_t {
  kOpen,     // none: anybody may ask
  kRead,     // rows, SELECT, changes, conflicts, status
  kWrite,    // rows, increments, transactions; conflicts of one's own tables
  kSchema,   // CREATE, ALTER, DROP
  kOperate,  // verify, repair, any conflict, what a removed datacenter has left
  kAdmin,    // the topology
};

constexpr std::string_view to_string(Right right) {
  constexpr std::string_view kWords[] = {"open", "read", "write", "schema", "operate", "admin"};
  return kWords[static_cast<size_t>(right)];
}

// Who asks, and what he may do: what a good token says.
struct Client {
  std::string sub;  // who; "" if his token does not say
  std::string jti;  // his token; ""
  std::string key;  // the id of the key that signed it
  // What he begins belongs to him, whatever token he goes on with. No two clients have the same.
  std::string owner;
  Right role = Right::kOpen;
  std::shared_ptr<const TableRights> tables = std::make_shared<TableRights>();  // absent: all
  int64_t ends = std::numeric_limits<int64_t>::max();  // Unix seconds, leeway included

  bool may(Right right) const { return right <= role; }
  bool may_read_all() const { return !tables || (tables->others.read && tables->named.empty()); }
  bool may_read(std::string_view table) const { return !tables || tables->may_read(table); }
  bool may_write(std::string_view table) const { return !tables || tables->may_write(table); }
};
using ClientPtr = std::shared_ptr<const Client>;

// For what answers about one table: kRefused, "forbidden", without the right to it.
Result<void> permit_read(const Client& client, std::string_view table);
Result<void> permit_write(const Client& client, std::string_view table);

}  // namespace entente
