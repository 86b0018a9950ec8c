// Definitions of tables, as schema changes carry them: one encoding each.

#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

void run(std::string_view bytes) {
  ByteReader in(bytes);
  const auto table = decode_table(in);
  if (!table) return;
  ByteWriter out;
  encode(out, *table);
  MUST(out.view() == bytes.substr(0, bytes.size() - in.left()));
  ByteReader again(out.view());
  const auto same = decode_table(again);
  MUST(same && *same == *table && again.done());
  // Looked up under any epoch, and joined with what it was.
  for (const auto& c : table->columns) {
    MUST(table->find(c.name) != nullptr);
    for (const uint64_t epoch : {uint64_t{0}, c.since, UINT64_MAX}) table->find(c.name, epoch);
  }
  const auto next = next_definition(old_table(), *table, ColumnsBy::kPlace, 9);
  MUST(next.columns.size() == table->columns.size());
}

std::vector<std::string> seeds() {
  ByteWriter out;
  encode(out, old_table());
  return {out.take()};
}

const Registration registered({"schema", run, seeds});

}  // namespace
}  // namespace entente::fuzz
