#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/database.h"

namespace entente::contract {

// One adapter under test: how to open database number `n` of a test, anew or again after close.
struct Adapter {
  std::string name;
  bool sql = true;
  // A place where databases live for the length of one test.
  std::function<std::shared_ptr<void>()> make_place;
  std::function<Result<std::unique_ptr<Database>>(std::shared_ptr<void> place, int n,
                                                  const DatabaseOptions& options)>
      open;
  // Makes database `to` a copy of database `from`, in a new life.
  std::function<Result<void>(std::shared_ptr<void> place, int from, int to,
                             const DatabaseOptions& as)>
      copy;
};

std::vector<Adapter> adapters();
std::vector<Adapter> sql_adapters();

// A datacenter in a test: its database, and the log it has produced.
struct Site {
  std::unique_ptr<Database> db;
  std::unique_ptr<Reader> reader;
  DatabaseOptions options;
  uint64_t now = 1'700'000'000'000;
};

Origin origin_of(uint8_t n);
TableDef account_table(std::string name = "account");
Row account(const char* owner, int64_t balance);
// One policy and granularity for every table, and ranks for dc1 to dc3.
ConflictRules rules(PolicyKind policy, Granularity granularity);
// Of a row of `account`.
RowRequest request(RowRequest::Kind kind, int64_t key, Row columns = {});
ClientTransaction write(const RowRequest& r, RowOutcome* outcome = nullptr);
Statement sql(std::string text, std::vector<Value> args = {});
ClientTransaction run(std::vector<Statement> statements);
// NULL if there is no such row.
Value column(const RowRead& r, const char* name);

class DatabaseContract : public testing::TestWithParam<Adapter> {
 protected:
  void SetUp() override { place_ = GetParam().make_place(); }

  // Opens site `n`, datacenter "dc<n>", the schema leader if n is 1.
  Site open(int n, ConflictRules rules = {});
  void reopen(Site& site, int n);
  // Site `n` as a copy of site `from`.
  Site copy(const Site& of, int from, int n);

  // Runs one transaction that must succeed.
  Committed commit(Site& site, const ClientTransaction& work);
  Result<Committed> try_commit(Site& site, const ClientTransaction& work);
  Committed put(Site& site, const std::string& table, Value key, Row columns);
  Committed erase(Site& site, const std::string& table, Value key);
  RowRead read(Site& site, const std::string& table, Value key, bool all = false);
  // Everything of `from` that `to` has not applied.
  void ship(Site& from, Site& to);
  // Every site gets everything.
  void settle(std::vector<Site*> sites);
  void define(Site& leader, const TableDef& table, std::vector<Site*> others);
  std::map<Key, Row> table(Site& site, const std::string& name);

  std::shared_ptr<void> place_;
};

}  // namespace entente::contract
