#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conflict/codec.h"
#include "conflict/handler.h"

namespace entente {

// A conflict that owns what it says.
struct OwnedConflict {
  struct Sibling {
    std::string dc;
    Hlc hlc;
    std::optional<Row> row;  // nothing: it erased the row
  };

  std::string kind, table, group;
  std::vector<std::pair<std::string, Value>> key;
  std::optional<Row> base;
  std::vector<Sibling> siblings;

  // Points into this object.
  Conflict view() const;
};

// Conflicts and decisions in bytes, between the gateway and the processes of its handlers. Equal
// bytes mean equal conflicts. Both sides are of one version: the form is stored nowhere.
void encode(ByteWriter& out, const Conflict& conflict);
void encode(ByteWriter& out, const Decision& decision);
Result<OwnedConflict> decode_conflict(std::string_view bytes);
Result<Decision> decode_decision(std::string_view bytes);

}  // namespace entente
