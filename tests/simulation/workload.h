#pragma once

#include <map>
#include <memory>
#include <vector>

#include "tests/simulation/node.h"
#include "tests/simulation/random.h"
#include "tests/simulation/world.h"

namespace entente::simulation {

// What clients do: transactions of row writes at random nodes, with contexts they got somewhere,
// some time. Checks that what was acknowledged is what was asked for.
class Workload {
 public:
  Workload(World& world, std::vector<Node*> nodes);

  // Creates the tables, at the schema leader.
  void define_tables();
  // One client commit, of one or several transactions.
  void commit_something();
  // Somebody reads a row, and keeps the context.
  void read_something();

  uint64_t acknowledged() const { return acknowledged_; }

 private:
  // A context, and where and when somebody got it.
  struct Shown {
    RowContext context;
    const Node* from = nullptr;
    int64_t since = 0;
  };
  // One transaction: what was asked, and what each write answered.
  struct Asked {
    const Node* node = nullptr;
    std::vector<RowRequest> requests;
    std::vector<std::optional<Shown>> shown;  // each request's context
    std::vector<RowOutcome> outcomes;
    int64_t ran_at = 0;
    VersionVector promised;  // when it ran
  };

  RowRequest draw_request(Node& node, std::optional<Shown>& shown);
  RowRequest::Kind draw_kind(bool& resolve);
  void draw_columns(RowRequest& request, const TableDef& table);
  Value draw_set();
  std::optional<Shown> draw_context(const RowRequest& request, Node& node);
  void draw_resolution(RowRequest& request, std::optional<Shown>& shown, Node& node);
  std::shared_ptr<Asked> draw_transaction(Node& node);
  void replied(const Asked& asked, const Result<Committed>& result);
  void refused(const Asked& asked, const Error& error);
  void check(const Asked& asked, const Transaction& t);
  void check_row(const RowRequest& request, const Transaction& t, const RowChange* change);
  void check_context(const RowRequest& request, const VersionVector& promised, const Transaction& t,
                     const RowChange& change);
  RowName name_of(const RowRequest& request) const;
  std::optional<RowRead> read(Node& node, const RowRequest& request) const;

  World& world_;
  std::vector<Node*> nodes_;
  Random random_;
  std::map<RowName, std::vector<Shown>> contexts_;
  int64_t next_value_ = 0;
  uint64_t acknowledged_ = 0;
};

}  // namespace entente::simulation
