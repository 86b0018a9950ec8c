#include "adapters/table_edit.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "conflict/hex.h"

namespace entente {
namespace {

std::string quoted_text(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out.push_back(quote);
    out.push_back(c);
  }
  return out + quote;
}

std::string name_of(std::string_view name) { return quoted_text(name, '"'); }

struct Literal {
  std::string operator()(Null) const { return "NULL"; }
  std::string operator()(int64_t i) const { return std::to_string(i); }
  std::string operator()(double d) const {
    std::array<char, 32> text{};
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), d, std::chars_format::scientific);
    return {text.data(), end.ptr};
  }
  std::string operator()(const std::string& text) const { return quoted_text(text, '\''); }
  std::string operator()(const Blob& blob) const { return "x'" + to_hex(blob.bytes) + "'"; }
};

std::string declaration(const ColumnDef& c) {
  std::string sql = name_of(c.name) + (c.type.empty() ? "" : " " + c.type);
  if (c.not_null) sql += " NOT NULL";
  if (c.collation == Collation::kNocase) sql += " COLLATE NOCASE";
  if (c.collation == Collation::kRtrim) sql += " COLLATE RTRIM";
  if (c.fill) sql += " DEFAULT " + std::visit(Literal{}, *c.fill);
  return sql;
}

}  // namespace

std::string sql_of(const TableEdit& edit) {
  const std::string alter = "ALTER TABLE " + name_of(edit.table);
  const std::string column = name_of(edit.column.name);
  switch (edit.kind) {
    case TableEdit::Kind::kAddColumn:
      return alter + " ADD COLUMN " + declaration(edit.column);
    case TableEdit::Kind::kDropColumn:
      return alter + " DROP COLUMN " + column;
    case TableEdit::Kind::kRenameColumn:
      return alter + " RENAME COLUMN " + column + " TO " + name_of(edit.name);
    case TableEdit::Kind::kRename:
      return alter + " RENAME TO " + name_of(edit.name);
    case TableEdit::Kind::kDrop:
      break;
  }
  return "DROP TABLE " + name_of(edit.table);
}

Result<TableDef> declared_after(const TableDef& table, const TableEdit& edit) {
  TableDef after = table;
  const auto column = std::find_if(after.columns.begin(), after.columns.end(),
                                   [&](const ColumnDef& c) { return c.name == edit.column.name; });
  const bool adds = edit.kind == TableEdit::Kind::kAddColumn;
  if (edit.kind == TableEdit::Kind::kRename) {
    after.name = edit.name;
    return after;
  }
  const std::string& fresh = adds ? edit.column.name : edit.name;
  const bool taken = edit.kind != TableEdit::Kind::kDropColumn && after.find(fresh) != nullptr;
  if (taken) return fail(Code::kSql, "duplicate column name: " + fresh, "SQLITE_ERROR");
  if (adds) {
    after.columns.push_back(edit.column);
    return after;
  }
  if (column == after.columns.end() || column->key_part > 0) {
    return fail(Code::kSql, "table " + table.name + " has no column to change: " + edit.column.name,
                "SQLITE_ERROR");
  }
  if (edit.kind == TableEdit::Kind::kDropColumn) {
    after.columns.erase(column);
  } else {
    column->name = edit.name;
  }
  return after;
}

}  // namespace entente
