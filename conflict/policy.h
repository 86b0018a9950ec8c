#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "conflict/dot.h"
#include "conflict/schema.h"

namespace entente {

// How several concurrent values become one. The others of the design join this enum.
enum class PolicyKind : uint8_t {
  kLww,       // greatest (HLC, origin)
  kPriority,  // the sibling whose datacenter ranks highest; then (HLC, origin)
  kSiblings,  // nothing is decided: all values stay until somebody resolves them; SQL shows the
              // greatest (HLC, origin)
};

std::string_view to_string(PolicyKind kind);

enum class Granularity : uint8_t { kRow, kColumn };

// What a write that shows no context does to a row with several values.
enum class Blind : uint8_t {
  kSupersede,  // it saw what SQL shows
  kSibling,    // it saw nothing of the row
  kRequire,    // it is refused
};

// The rules of one table, the same at every gateway.
struct TableRules {
  bool replicate = true;
  PolicyKind policy = PolicyKind::kLww;
  Granularity granularity = Granularity::kColumn;
  Blind blind = Blind::kSupersede;
  std::map<std::string, PolicyKind, std::less<>> columns;  // columns with a policy of their own
  friend bool operator==(const TableRules&, const TableRules&) = default;
};

struct ConflictRules {
  TableRules defaults;
  std::map<std::string, TableRules, std::less<>> tables;  // complete: defaults already merged in
  std::map<std::string, int, std::less<>> priorities;     // by datacenter; higher ranks first

  const TableRules& of(std::string_view table) const;
};

// Which datacenter an origin is a life of, and so its rank. Every replica knows the label of every
// origin it has applied anything of, from that origin's first record.
class Ranks {
 public:
  Ranks() = default;
  explicit Ranks(std::map<std::string, int, std::less<>> priorities)
      : priorities_(std::move(priorities)) {}

  void declare(const Origin& origin, std::string dc) { dcs_[origin] = std::move(dc); }
  // "" for an origin nobody declared.
  std::string_view dc(const Origin& origin) const;
  int rank(const Origin& origin) const;  // 0 unless the file says otherwise

 private:
  std::map<std::string, int, std::less<>> priorities_;
  std::map<Origin, std::string> dcs_;
};

// One register of a row: a group of columns that conflict together.
struct Group {
  std::string name;                  // "" decides whether the row exists; "*"; or the column's
  std::vector<std::string> columns;  // may be empty for ""
  PolicyKind policy = PolicyKind::kLww;
};

// Which register each column of a table belongs to. groups[0] is always "", the row's existence.
// Granularity row: it holds all columns; but when some columns have a policy of their own, it holds
// none, and the remaining columns are the group "*". Granularity column: one group per column.
// Key columns are in no group, except that "" carries them when spelled_otherwise().
// A change carries every column of each group it touches.
struct Layout {
  std::vector<Group> groups;

  Layout() = default;
  Layout(const TableDef& table, const TableRules& rules);
  // The group that holds this column; "" for one this layout does not know.
  const Group& group_of(std::string_view column) const;
  bool resolved_on_read() const;  // some group keeps its siblings open
};

}  // namespace entente
