#pragma once

#include <string>

#include "conflict/reissue.h"
#include "conflict/transaction.h"

namespace entente {

// A line of what a removed datacenter leaves (`unshipped.ndjson`): a transaction that no other
// datacenter has, under the name that reissued_origin() gives it. JSON:
//
//   writes   its row changes, for people: as POST /v1/transactions would say them. Not read again
//   dc       whose it is
//   origin, seq   what it is called from now on
//   of, after     what it was called: the transaction `after` + seq of `of`
//   forked   others have written another history after `after` under that name
//   record   base64: its record (conflict/README.md), with all of its context
//
// Every line stands for itself. Those of one origin are taken in by their seq, without gaps.
struct UnshippedLine {
  std::string dc;
  Renaming name;
  bool forked = false;
  Transaction transaction;  // renamed
};

// `was`: as its writer called what it names. With a newline.
std::string write_unshipped(const UnshippedLine& line, const Transaction& was);
// Errors: kInvalid.
Result<UnshippedLine> parse_unshipped(std::string& json);

}  // namespace entente
