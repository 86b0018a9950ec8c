#pragma once

#include "adapters/sqlite/connection.h"

namespace entente::sqlite {

// Notices that another process wrote to the file, by SQLite's data_version: a connection's number
// changes when any other connection has committed, and not by its own commits. Of the two that
// write here, each must know which of the other's commits are ours: after a commit of one, the
// other's number is read anew; the first's is read after that, and if it changed, somebody else was
// in between. Under full load the moment after our commit is the only one at which another process
// gets at the file.
//
// Threads: the writer's.
class ForeignWrites {
 public:
  ForeignWrites(Connection& a, Connection& b) : a_{a}, b_{b} {}

  // What was committed so far is ours.
  Result<void> begin();
  // `committed`, one of the two, has committed, or may have. True: so did somebody else.
  Result<bool> after(const Connection& committed);

 private:
  struct Seen {
    Connection& db;
    Stmt version = {};
    int64_t last = 0;
  };
  // Whether it changed since it was last read.
  static Result<bool> changed(Seen& seen);

  Seen a_, b_;
};

}  // namespace entente::sqlite
