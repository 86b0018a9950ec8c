#pragma once

#include <vector>

#include "gateway/api/sql/hrana_values.h"

namespace entente {

// What a transaction wrote so far, so that it can be done again elsewhere, and told whether it came
// out the same. It leaves out statements that only read.
//
// Bounds: kStatementsMax and kBytesMax; past them it forgets all, and is not complete() any more.
class TransactionRecord {
 public:
  static constexpr size_t kStatementsMax = 1'000;
  static constexpr size_t kBytesMax = 1 << 20;

  void add(const Statement& statement, const Result<StatementResult>& outcome);
  bool complete() const { return complete_; }
  const std::vector<Statement>& statements() const { return statements_; }
  // Whether `results`, from the one at `first` on, are what the statements answered here.
  bool same(const StepResults& results, size_t first) const;

 private:
  struct Told {
    std::string text;       // as JSON, errors by their codes
    bool numbered = false;  // it says which number a row got
  };
  std::vector<Statement> statements_;
  std::vector<Told> outcomes_;
  size_t bytes_ = 0;
  bool complete_ = true;
};

}  // namespace entente
