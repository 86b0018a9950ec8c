#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "conflict/dot.h"
#include "conflict/schema.h"

namespace entente {

// How several concurrent values become one. The numbers are stored: append only.
enum class PolicyKind : uint8_t {
  kLww,       // greatest (HLC, origin)
  kPriority,  // the sibling whose datacenter ranks highest; then (HLC, origin)
  kSiblings,  // nothing is decided: all values stay until somebody resolves them; SQL shows the
              // greatest (HLC, origin)
  kMerge,     // one value is made of all: see MergeKind
  kCounter,   // the sum of what everybody added: a write of x over y counts as x - y
  kHandler,   // what the user's handler says
};

enum class MergeKind : uint8_t {
  kConcat,  // the distinct values, sorted, joined by a separator
  kUnion,   // JSON arrays as sets: add-wins, removals survive (observed-remove)
  kJson,    // three-way deep merge of objects; scalars by (HLC, origin)
  kText,    // three-way merge by line; what clashes by (HLC, origin), or between markers
  kMin,     // by value; NULL only if all are
  kMax,
};

enum class RunWhen : uint8_t {
  kWrite,  // decided as changes arrive; the user's table shows the result
  kRead,   // all values stay, SQL shows the greatest (HLC, origin); the next read of the row API
           // decides and writes the result back
};

class Handler;

// One policy with its options.
struct Policy {
  PolicyKind kind = PolicyKind::kLww;
  MergeKind merge = MergeKind::kConcat;          // kMerge
  std::string separator = "/";                   // kConcat
  bool markers = false;                          // kText: keep both sides of what clashes
  std::string handler = {};                      // kHandler: its name in ConflictRules::handlers
  std::shared_ptr<const Handler> run_this = {};  // the handler itself, once it is loaded
  RunWhen run = RunWhen::kWrite;

  // The two whose state is not "the writes that nobody replaced": each write adds to it.
  bool is_counter() const { return kind == PolicyKind::kCounter; }
  bool is_set() const { return kind == PolicyKind::kMerge && merge == MergeKind::kUnion; }
  bool commutes() const { return is_counter() || is_set(); }
  // Writes carry what they replaced, so that both sides' changes can be told apart.
  bool wants_base() const;
  // Nobody decides when a change arrives.
  bool leaves_open() const { return kind == PolicyKind::kSiblings || run == RunWhen::kRead; }
  // "merge: text", "handler cart", …
  std::string describe() const;
  // What was asked for; loaded or not makes no difference.
  friend bool operator==(const Policy& a, const Policy& b) {
    return std::tie(a.kind, a.merge, a.separator, a.markers, a.handler, a.run) ==
           std::tie(b.kind, b.merge, b.separator, b.markers, b.handler, b.run);
  }
};

std::string_view to_string(PolicyKind kind);
std::string_view to_string(MergeKind kind);

// An erase and a put of a row that had not seen each other.
enum class DeleteUpdate : uint8_t {
  kPolicy,  // the row's policy decides, as between two puts
  kDeleteWins,
  kUpdateWins,
};

// Which of two rows with the same UNIQUE key is shown: the one that took the key first, or last.
enum class UniqueWins : uint8_t { kFirst, kLast };

// A row whose foreign key names a row that is not here.
enum class Orphans : uint8_t {
  kKeep,  // shown, and listed as an open conflict
  kHide,  // not shown until its parent is here
};

// What a database numbers rows with whose key nobody names (new_key.h).
enum class Numbering : uint8_t { kTime, kInterleaved };

enum class Granularity : uint8_t { kRow, kColumn };

// What a write that shows no context does to a row with several values.
enum class Blind : uint8_t {
  kSupersede,  // it saw what SQL shows
  kSibling,    // it saw nothing of the row
  kRequire,    // it is refused
};

// Columns that conflict together, with a policy of their own.
struct ColumnGroup {
  std::vector<std::string> columns;
  Policy policy;
  friend bool operator==(const ColumnGroup&, const ColumnGroup&) = default;
};

// The rules of one table, the same at every gateway.
struct TableRules {
  bool replicate = true;
  bool old_values = false;  // changes carry what they replaced, for readers of the change feed
  Policy policy;
  Granularity granularity = Granularity::kColumn;
  Blind blind = Blind::kSupersede;
  DeleteUpdate delete_update = DeleteUpdate::kPolicy;
  UniqueWins unique = UniqueWins::kFirst;
  Orphans orphans = Orphans::kKeep;
  Numbering numbering = Numbering::kTime;
  std::map<std::string, Policy, std::less<>> columns;  // columns with a policy of their own
  std::map<std::string, ColumnGroup, std::less<>> groups;
  friend bool operator==(const TableRules&, const TableRules&) = default;
};

// Where a handler comes from, as the file says it.
struct HandlerSource {
  enum class Kind { kLua, kPlugin } kind = Kind::kLua;
  std::string path;                   // resolved against the file's folder
  std::string sha256;                 // plug-in: what the file must hash to; "" not checked
  std::string config;                 // plug-in: JSON text it is given when it starts
  bool trusted = false;               // plug-in: run inside the gateway
  uint64_t instructions = 1'000'000;  // Lua: per call
  uint64_t memory = 8ull << 20;       // bytes, per call
  uint64_t time_ms = 1'000;           // isolated plug-in: per call, then it is killed
  friend bool operator==(const HandlerSource&, const HandlerSource&) = default;
};

struct ConflictRules {
  TableRules defaults;
  std::map<std::string, TableRules, std::less<>> tables;  // complete: defaults already merged in
  std::map<std::string, int, std::less<>> priorities;     // by datacenter; higher ranks first
  std::map<std::string, HandlerSource, std::less<>> handlers;

  // The case of a table's name makes no difference, as in SQL.
  const TableRules& of(std::string_view table) const;
  // Every policy named here, to be changed: where loaded handlers are put.
  void for_each_policy(const std::function<void(Policy&)>& visit);
};

// Says which rule does not suit the table (a counter on TEXT, a column that is not there), and why;
// nothing if all do.
std::vector<std::string> misfits(const TableDef& table, const TableRules& rules);

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
  Policy policy;
};

// Which register each column of a table belongs to. groups[0] is always "", the row's existence.
// Granularity row: it holds all columns; but when some columns have a group or policy of their own,
// it holds none, and the remaining columns are the group "*". Granularity column: one group per
// column. Counters and sets are always one register per column.
// Key columns are in no group, except that "" carries them when spelled_otherwise().
// A change carries every column of each group it touches.
struct Layout {
  std::string table;
  std::vector<ColumnDef> columns;  // of the table
  std::vector<Group> groups;
  Row fills;  // what rows show of columns that were added later, until they are written
  DeleteUpdate delete_update = DeleteUpdate::kPolicy;

  Layout() = default;
  Layout(const TableDef& table, const TableRules& rules);
  // The group that holds this column; "" for one this layout does not know.
  const Group& group_of(std::string_view column) const;
  // By its name; "" for one this layout does not have.
  const Group& group_named(std::string_view name) const;
  bool resolved_on_read() const;  // some group leaves its siblings open
  bool has_sets() const;          // some register is a set
};

}  // namespace entente
