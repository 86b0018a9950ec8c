#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/handlers/owned_conflict.h"

namespace entente {

// A column of made-up conflicts, and what it holds besides NULL.
struct MadeColumn {
  enum class Type { kInteger, kReal, kText, kBlob, kJson, kArray, kAny };
  std::string name;
  Type type = Type::kAny;
};

// "bid:integer,bidder:text"; a column without a type holds any.
Result<std::vector<MadeColumn>> parse_columns(std::string_view text);

// Makes up conflicts, the same ones from the same seed: two to five siblings that differ, mostly
// made from one base, or without one; whole rows or, of a single column, that register; values at
// the edges of their types, NULLs, erased rows, equal stamps.
//
// Threads: one.
class ConflictMaker {
 public:
  ConflictMaker(std::vector<MadeColumn> columns, uint64_t seed)
      : columns_(std::move(columns)), random_(seed) {}
  OwnedConflict next();

 private:
  size_t below(size_t n) { return random_() % n; }
  bool one_in(size_t n) { return below(n) == 0; }
  template <class T>
  T one_of(std::initializer_list<T> items) {
    return items.begin()[below(items.size())];
  }
  int64_t integer();
  double real();
  std::string text();
  std::string array();
  std::string object();
  Value value(MadeColumn::Type type);
  Row row();
  Row changed(const Row& base);
  OwnedConflict::Sibling sibling(const OwnedConflict& conflict);

  std::vector<MadeColumn> columns_;
  std::mt19937_64 random_;
  uint64_t time_ms_ = 1'700'000'000'000;
};

}  // namespace entente
