#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "adapters/sqlite/conflict_log.h"
#include "adapters/sqlite/row_store.h"
#include "adapters/sqlite/unique_keys.h"

namespace entente::sqlite {

// Which live rows are shown, and which are listed, because of what they refer to or what refers to
// their keys. Nothing enforces foreign keys on what peers wrote: a parent may have been deleted
// where nobody knew of the child.
//
// Invariant, at the end of every apply: the tables and the list of open conflicts are a function of
// the rows' states alone. Four steps, none of which looks at a later one (README.md says why):
//   fit       live, and no constraint of its own refuses the row.
//   possible  the greatest set of fit rows in which every row of a table that hides orphans has all
//             its parents: rows that refer to themselves or in a circle hold each other.
//   winner    possible, and no earlier winner holds one of its UNIQUE keys (unique_keys.h).
//   shown     the greatest set of winners in which every row of such a table has all its parents.
// A live row is listed, kind "foreign-key", if a parent other than itself is not shown.
//
// Threads: the connection's; inside the transaction that changed the rows. What changed is what its
// RowStore noted.
class Visibility {
 public:
  Visibility(RowStore& rows, ConflictLog& log, UniqueKeys& unique, ExtrasByTable& extras)
      : rows_(rows), log_(log), unique_(unique), extras_(extras) {}

  // Rows of this table that are hidden or listed may be so no longer.
  void look_again(const Table& t) { to_open_.insert(t.id); }
  // The same, and nobody may have looked yet at what refers to those that are hidden.
  Result<void> look_at_children(const Table& t);
  // Its foreign keys were not checked yet.
  Result<void> look_for_orphans(const Table& t);
  Result<void> settle(const World& world, uint64_t now_ms);
  void forget();

 private:
  using RowName = std::pair<int64_t, Key>;  // table, key

  // A foreign key of a row that has no NULL in it.
  struct Reference {
    const ForeignKey* fk = nullptr;
    const Table* parent = nullptr;  // null: one that does not replicate
    std::vector<Value> values;
    std::string target;   // what a parent provides
    size_t supports = 0;  // possible parents
  };
  // A row whose being shown or listed is in question.
  struct Node {
    const Table* table = nullptr;
    Loaded loaded;
    std::optional<Row> row;  // whole, as it would be shown; absent: not live
    bool refused = false;    // by a constraint of its own
    bool possible = false;
    std::vector<Reference> references;
    bool shown() const { return loaded.shown.has_value(); }
    bool hides() const { return table->rules.orphans == Orphans::kHide; }
  };
  using Nodes = std::map<RowName, Node>;

  // Which rows are in question.
  Result<void> absorb();
  Result<void> add(const Table& t, const Key& key);
  Result<void> load(const Key& key, Node& node);
  Result<void> open(const Table& t);
  Result<void> open_children(const Table& parent);
  Result<std::vector<RowName>> add_children(const Table& parent, const Key& key);
  Result<void> add_found(const Table& t, Stmt& q, std::vector<RowName>& found);
  Result<bool> is_settled(const Table& t, const Key& key);

  // The steps.
  Result<void> find_possible();
  void register_fresh();
  Result<void> resolve(const RowName& name, Node& node);
  void support(const RowName& parent, const RowName& child, size_t reference);
  Result<void> count_down(const RowName& parent);
  Result<void> take_out_impossible();
  Result<void> choose_winners();
  Result<void> take_out_children();
  Result<void> list();
  Result<void> settle_equals();
  Result<bool> equal_is_shown(const Table& t, const Row& row);

  Result<void> hide(const Key& key, Node& node, RowStore::Hidden why);
  const Table* table(int64_t id);
  std::vector<Reference> references_of(const Table& t, const Row& row) const;
  std::vector<std::string> provided_by(const Table& t, const Row& row) const;
  Result<std::optional<Key>> shown_parent(const Reference& r);
  Result<bool> has_parents(const std::vector<Reference>& references);

  RowStore& rows_;
  ConflictLog& log_;
  UniqueKeys& unique_;
  ExtrasByTable& extras_;
  std::set<int64_t> to_open_;
  // Of one settle().
  const World* world_ = nullptr;
  uint64_t now_ms_ = 0;
  std::map<int64_t, const Table*> tables_;
  std::set<int64_t> opened_;
  Nodes nodes_;
  bool grown_ = false;  // more is in question than the steps have seen
  // Of one find_possible(). A possible parent supports references: child, number.
  std::map<RowName, std::vector<std::pair<RowName, size_t>>> supported_;
  std::map<std::string, std::vector<std::pair<RowName, size_t>>> references_;  // by target
  std::map<std::string, std::vector<RowName>> providers_;  // rows that are not shown, by target
  std::vector<RowName> fresh_;                             // not seen yet
  std::vector<RowName> unresolved_;                        // what supports them is not known yet
  std::vector<RowName> impossible_;  // what they supported is not counted down yet
};

}  // namespace entente::sqlite
