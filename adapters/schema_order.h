#pragma once

#include <string>

#include "conflict/result.h"
#include "conflict/transaction.h"

namespace entente {

// Schema changes come one after the other: none leaves an epoch out, which would make all that the
// leader does next look older. kInvalid for one that does.
inline Result<void> follows_epoch(const SchemaChange& change, uint64_t epoch) {
  if (change.epoch == 0 || change.epoch - 1 <= epoch) return {};
  return fail(Code::kInvalid, "a schema change of epoch " + std::to_string(change.epoch) +
                                  " comes after epoch " + std::to_string(epoch) +
                                  ": those in between are missing");
}

}  // namespace entente
