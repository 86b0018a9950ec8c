#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "conflict/row_changes.h"
#include "conflict/row_state.h"
#include "conflict/transaction.h"

namespace entente {

// What was written under an earlier schema, brought to the present one: everything under its
// present name, what is gone forgotten, and where a register holds several columns, those that came
// later filled in. A column that has a register of its own and came later was not written: whoever
// did not know it cannot have meant it.

// A change that was made under the schema of `epoch`, of the table that is now `table`.
void conform(RowChange& change, const TableDef& table, const Layout& layout, uint64_t epoch);

// A row that was kept while its table was `was`.
void conform(RowState& state, const TableDef& was, const TableDef& table, const Layout& layout);

// The same of what is listed as lost: a row of the table while it was `was`, and a register's name.
// What is gone keeps the name it had.
class PresentNames {
 public:
  PresentNames(const TableDef& was, const TableDef& table);
  bool same() const { return names_.empty(); }  // nothing was renamed
  std::string of(const std::string& name) const;
  Row of(Row row) const;

 private:
  std::map<std::string, std::string> names_;  // that differ
};

// What a row of a table that ends holds and `seen` does not cover, as losses: whoever ended the
// table had not seen it, and the table that took over its rows has no place for it.
std::vector<Loss> left_over(const RowState& state, const VersionVector& seen);
// The same of one late write.
std::vector<Loss> left_over(const RowChange& change, const Version& version);

}  // namespace entente
