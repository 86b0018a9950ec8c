#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapters/sqlite/capture.h"
#include "adapters/sqlite/client_sql.h"
#include "adapters/sqlite/sql_text.h"
#include "adapters/sqlite/storage.h"

namespace entente::sqlite {

// What one transaction of a client has done to the schema.
struct SchemaWork {
  // A change, and the table that it is about: in lower case, "" for views.
  struct Step {
    SchemaChange change;
    std::string table;
  };
  std::vector<Step> steps;
  // Tables by id that it made, or made anew: what it wrote there is told at the end.
  std::vector<int64_t> left_out;
  // Tables that it dropped, as they were. In the file they have other names until the end. One that
  // the world still has was made anew: CREATE new; INSERT … SELECT; DROP old; ALTER new RENAME TO
  // old. That is how SQLite's users change what ALTER cannot, and it means the same table: rows
  // keep their versions, and what other datacenters wrote meanwhile keeps its place.
  std::vector<std::shared_ptr<const Table>> aside;
};

// Changes the schema of the file on one connection, and keeps what the gateway knows of its tables
// in step.
//
// Threads: the connection's. Transactions: the caller's; after an error it rolls back to where it
// was, and restores `state` (SchemaState).
class SchemaChanger {
 public:
  SchemaChanger(Connection& db, ClientSql& sql, Storage& storage, RowStore& rows, FileState& state)
      : db_(db), sql_(sql), storage_(storage), rows_(rows), state_(state) {}

  // At the schema leader: one statement of a client. `enforce`: it wants foreign keys enforced.
  Result<void> run(const std::string& sql, bool enforce, SchemaWork& work, uint64_t now_ms);
  // At the end of its transaction: says in rows what it did to the tables that were left out, and
  // drops what it dropped.
  Result<void> finish(const SchemaWork& work, Capture& capture);

  // Elsewhere: what the leader did. What cannot be done here is left out, unless the file is
  // broken.
  Result<void> apply(const SchemaChange& change, uint64_t now_ms);
  // Tries what was left out.
  Result<void> retry_left_out(uint64_t now_ms);

 private:
  Result<void> create_table(const std::string& sql, SchemaWork& work);
  Result<void> drop_table(const Table& t, const std::string& sql, bool enforce, SchemaWork& work);
  Result<void> alter_table(const SchemaStatement& statement, const std::string& sql,
                           SchemaWork& work, uint64_t now_ms);
  Result<void> run_other(const SchemaStatement& statement, const std::string& sql,
                         SchemaWork& work);
  Result<void> take_place(const Table& fresh, std::shared_ptr<const Table> old, TableDef declared,
                          SchemaWork& work, uint64_t now_ms);
  Result<TableDef> checked(TableDef def) const;
  Result<std::string> new_table(const std::vector<std::string>& before);
  Result<std::vector<std::string>> texts_of(const std::string& table);
  Result<std::string> table_of(const std::string& object);

  Result<void> tell_contents(const Table& t, Capture& capture);
  Result<void> tell_difference(const Table& now, const Table& was, Capture& capture);
  Result<void> tell(const Table& t, const std::string& query, const std::vector<Value>& values,
                    Capture& capture);

  Result<void> redefine(const Table& was, const TableDef& def, uint64_t now_ms);
  Result<void> set_aside(const Table& t);
  Result<void> drop_aside(const Table& t);
  Result<void> make_anew(const Table& was, const TableDef& def, const SchemaChange& change,
                         uint64_t now_ms);
  Result<void> is_as_said(const TableDef& def);
  static Result<void> keeps_key(const Table& was, const TableDef& def);
  Result<void> take_rows_out(const Table& t, const std::string& sql, const TableDef& def,
                             uint64_t now_ms);
  Result<void> copy_rows(const Table& now, const Table& was, uint64_t now_ms);
  Result<void> try_apply(const SchemaChange& change, uint64_t now_ms);
  Result<std::optional<Error>> attempt(const SchemaChange& change, uint64_t now_ms);
  Result<bool> was_never_made(const SchemaChange& change);
  Result<void> forget_left_out_of(const SchemaChange& change);
  Result<void> run_here(const std::string& sql, uint64_t now_ms);
  Result<void> run_other_here(const std::string& sql, uint64_t now_ms);
  Result<bool> make_room(const std::string& sql, uint64_t now_ms);

  Connection& db_;
  ClientSql& sql_;
  Storage& storage_;
  RowStore& rows_;
  FileState& state_;
};

}  // namespace entente::sqlite
