#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "adapters/database.h"

namespace entente {

// What users are shown of a row's state. Pure.
class RowView {
 public:
  // The arguments outlive the view.
  RowView(const TableDef& table, const Layout& layout, const RowState& state, const Ranks& ranks)
      : table_(table),
        layout_(layout),
        state_(state),
        ranks_(ranks),
        verdicts_(judge(state, layout, ranks)) {}

  // The row that SQL shows, with the columns of the table that are not in its key, and those of the
  // key if they are spelled otherwise than its canonical bytes.
  std::optional<Row> shown() const;
  // The same with every column of the table.
  std::optional<Row> whole(const Key& key) const;
  // Names the set of values; "" for a row that never was.
  std::string etag() const;
  // The values that differ, the one that SQL shows first.
  std::vector<RowVersion> values() const;
  size_t count_values() const;
  RowConflict conflict() const;
  // The row as it would be if this sibling were chosen; absent: it erased the row. kNotFound if the
  // row has no such sibling.
  Result<std::optional<Row>> picked(const Dot& dot) const;

 private:
  struct Differing {
    std::map<Dot, Version> others;
    Version shown;  // what the value that SQL shows goes by
  };
  Differing differing() const;
  std::optional<Row> chosen(const Dot& dot) const;
  bool has(const Dot& dot) const;

  const TableDef& table_;
  const Layout& layout_;
  const RowState& state_;
  const Ranks& ranks_;
  const Verdicts verdicts_;
};

}  // namespace entente
