#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
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
  // the world still has was made anew.
  std::vector<std::shared_ptr<const Table>> aside;
  // Rows of a table that was made anew, by its id, that were written both to it and to the table
  // that took its place: the latter's writer had seen no more than this of the former.
  struct Both {
    VersionVector seen;
    std::set<Key> keys;
  };
  std::map<int64_t, Both> both;
};

// Changes the schema of the file on one connection, and keeps what the gateway knows of its tables
// in step.
//
// SQLite's users change what ALTER cannot by making a table anew, in several orders:
//   CREATE new; INSERT INTO new SELECT … FROM t; DROP t; ALTER new RENAME TO t
//   ALTER t RENAME TO old; CREATE t; INSERT INTO t SELECT … FROM old; DROP old
//   CREATE away; INSERT INTO away …; DROP t; CREATE t; INSERT INTO t SELECT … FROM away; DROP away
// in one transaction or in several. It means the same table: rows keep their versions, and what
// other datacenters wrote meanwhile keeps its place. A table is another's heir if its rows were
// copied from the other's when it was empty, the other is gone, and it has a name that the other
// had. A table that is dropped while another holds a copy of its rows is retired until then.
//
// Threads: the connection's. Transactions: the caller's; after an error it rolls back to where it
// was, and restores `state` (SchemaState).
class SchemaChanger {
 public:
  SchemaChanger(Connection& db, ClientSql& sql, Storage& storage, RowStore& rows, ConflictLog& log,
                FileState& state)
      : db_(db), sql_(sql), storage_(storage), rows_(rows), log_(log), state_(state) {}

  // At the schema leader: one statement of a client. `enforce`: it wants foreign keys enforced.
  Result<void> run(const std::string& sql, bool enforce, SchemaWork& work, uint64_t now_ms);
  // True if a statement that copies rows must be told to copied() when it has succeeded: it fills
  // a table that is empty.
  Result<bool> fills(const CopyStatement& copy);
  Result<void> copied(const CopyStatement& copy, SchemaWork& work, uint64_t now_ms);
  // At the end of its transaction: says in rows what it did to the tables that were left out, and
  // drops what it dropped.
  Result<void> finish(const SchemaWork& work, Capture& capture);

  // Elsewhere: what the leader did, who had seen `seen` of everything, the change included. What
  // cannot be done here is left out, unless the file is broken. kFork: it was made by somebody who
  // did not know the schema that is here, and goes against it.
  Result<void> apply(const SchemaChange& change, const VersionVector& seen, uint64_t now_ms);
  // Tries what was left out.
  Result<void> retry_left_out(uint64_t now_ms);

 private:
  Result<void> create_table(const std::string& sql, SchemaWork& work);
  Result<void> drop_table(const Table& t, const std::string& sql, bool enforce, SchemaWork& work,
                          uint64_t now_ms);
  Result<void> alter_table(const SchemaStatement& statement, const std::string& sql,
                           SchemaWork& work, uint64_t now_ms);
  Result<void> run_other(const SchemaStatement& statement, const std::string& sql,
                         SchemaWork& work);
  // A table that is gone, or that is going, and the one that takes its place.
  struct Succession {
    std::shared_ptr<const Table> old;
    std::shared_ptr<const Table> heir;
    std::optional<RowsCopied> copied;  // absent: the rows were not copied by a statement
  };
  Result<std::optional<Succession>> succession_to(std::shared_ptr<const Table> heir,
                                                  const std::string& name, const SchemaWork& work);
  Result<std::optional<Succession>> succession_of(const std::shared_ptr<const Table>& old);
  Result<void> take_place(const Succession& s, TableDef declared, const std::string& sql,
                          SchemaWork& work, uint64_t now_ms);
  Result<void> take_place_with_another_key(const Succession& s, TableDef declared,
                                           const std::string& sql, SchemaWork& work,
                                           uint64_t now_ms);
  Result<void> keep_late_rows(const Table& now, const Table& old, const std::vector<Key>& late,
                              uint64_t now_ms);
  Result<std::vector<Key>> late_rows(const Table& t, const VersionVector& seen);
  Result<bool> written_since(const Table& t, const Key& key, const VersionVector& seen);
  Result<void> retire(const Table& t, const TableDef& def);
  Result<void> let_go_of_parents(const Table& t, const std::string& name);
  Result<void> let_go_of_old(SchemaWork& work);
  Result<TableDef> checked(TableDef def) const;
  Result<std::string> new_table(const std::vector<std::string>& before);
  Result<std::vector<std::string>> texts_of(const std::string& table);
  Result<std::string> table_of(const std::string& object);

  Result<void> tell_contents(const Table& t, Capture& capture);
  Result<void> tell_difference(const Table& now, const Table& was, const SchemaWork& work,
                               Capture& capture);
  Result<void> tell(const Table& t, const std::string& query, const std::vector<Value>& values,
                    const SchemaWork::Both* both, Capture& capture);

  Result<void> redefine(const Table& was, const TableDef& def, uint64_t now_ms);
  Result<void> set_aside(const Table& t);
  Result<void> set_aside(const Table& t, const std::string& name);
  Result<void> drop_aside(const Table& t);
  Result<void> make_anew(const Table& was, const TableDef& def, const SchemaChange& change,
                         uint64_t now_ms);
  Result<void> is_as_said(const TableDef& def);
  static Result<void> keeps_key(const Table& was, const TableDef& def);
  Result<void> take_rows_out(const Table& t, const std::string& sql, const TableDef& def,
                             uint64_t now_ms);
  Result<void> copy_rows(const Table& now, const Table& was, uint64_t now_ms);
  Result<bool> knows(const SchemaChange& change) const;
  Result<void> take_over(const SchemaChange& change, const VersionVector& seen, bool creates,
                         uint64_t now_ms);
  Result<void> list_late_rows(const Table& t, const Table& heir, const VersionVector& seen,
                              uint64_t now_ms);
  Result<void> try_apply(const SchemaChange& change, const VersionVector& seen, uint64_t now_ms);
  Result<std::optional<Error>> attempt(const SchemaChange& change, const VersionVector& seen,
                                       uint64_t now_ms);
  Result<bool> was_never_made(const SchemaChange& change);
  Result<void> forget_left_out_of(const SchemaChange& change);
  Result<void> run_here(const std::string& sql, uint64_t now_ms);
  Result<void> run_other_here(const std::string& sql, uint64_t now_ms);
  Result<bool> make_room(const std::string& sql, uint64_t now_ms);
  Result<std::map<Key, RowStore::Hidden>> refused_by(const Table& t, const std::string& index);
  Result<void> put_back(const Table& t, const std::string& copy,
                        std::map<Key, RowStore::Hidden>& refused);

  Connection& db_;
  ClientSql& sql_;
  Storage& storage_;
  RowStore& rows_;
  ConflictLog& log_;
  FileState& state_;
};

}  // namespace entente::sqlite
