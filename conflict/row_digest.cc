#include "conflict/row_digest.h"

#include <xxhash.h>

#include <algorithm>

#include "conflict/codec.h"
#include "conflict/counter.h"
#include "conflict/element_set.h"

namespace entente {
namespace {

uint64_t digest(const ByteWriter& bytes) {
  return std::max<uint64_t>(1, XXH3_64bits(bytes.view().data(), bytes.size()));
}

uint64_t digest_of_row(const Row& row) {
  ByteWriter out;
  for (const auto& [name, value] : row) out.string(name), out.value(value);
  return digest(out);
}

// A column that came later and that nobody has written may be there with what it was filled with,
// or not at all.
void append_values(ByteWriter& out, const Row& row, const Group& group, const Layout& layout) {
  for (const auto& column : group.columns) {
    const auto written = row.find(column);
    const auto filled = layout.fills.find(column);
    out.value(written != row.end()           ? written->second
              : filled != layout.fills.end() ? filled->second
                                             : Value{});
  }
  for (const auto& [name, value] : row) {
    const bool listed =
        std::find(group.columns.begin(), group.columns.end(), name) != group.columns.end();
    if (!listed) out.string(name), out.value(value);
  }
}

void append_values(ByteWriter& out, const Sibling& s, const Group& group, const Layout& layout) {
  out.u8(s.row.has_value());
  if (s.addend) {
    out.wide(s.addend->sum), out.wide(s.addend->floor);
  } else if (s.row) {
    append_values(out, *s.row, group, layout);
  }
}

bool is_counter(const Group& group) { return group.policy.is_counter() && !group.name.empty(); }

// A counter's parts by their origins: mending one loses its stamp, and so its place. Not those that
// have counted nothing: no floor speaks of them.
void put_in_order(Register& r, const std::string& column) {
  std::erase_if(r.siblings, [&](const Sibling& s) {
    return std::holds_alternative<Null>(total({{s}}, column));
  });
  std::sort(r.siblings.begin(), r.siblings.end(),
            [](const Sibling& a, const Sibling& b) { return a.version.dot < b.version.dot; });
}

// True if no gateway wrote the row.
bool unversioned(const RowState& state) {
  const auto& siblings = register_of(state, "").siblings;
  return siblings.size() == 1 && siblings[0].version.dot == Dot{};
}

}  // namespace

RowDigest digest_of(RowState state, const Layout& layout, const Ranks& ranks,
                    const VersionVector& applied, const std::optional<Row>& shown, bool lost) {
  RowDigest out;
  out.key = state.key;
  if (shown) out.shown = digest_of_row(*shown);
  if (judge(state, layout, ranks).deleted) return out;
  collapse(state, layout, applied, ranks);
  ByteWriter dots, values;
  for (const auto& group : layout.groups) {
    const auto written = state.registers.find(group.name);
    if (written == state.registers.end()) continue;
    Register& r = written->second;
    if (is_counter(group)) put_in_order(r, group.name);
    if (r.siblings.empty()) continue;
    dots.string(group.name), values.string(group.name);
    // Under which writes a set has its elements depends on when it was collected.
    if (group.policy.is_set() && !group.name.empty()) {
      values.value(set_total(r, group.name));
      continue;
    }
    for (const auto& s : r.siblings) {
      dots.origin(s.version.dot.origin), dots.varint(s.version.dot.seq);
      append_values(values, s, group, layout);
      if (s.keys_set) values.u64(s.keys_set->hlc.bits), values.origin(s.keys_set->dot.origin);
    }
  }
  out.dots = unversioned(state) ? 0 : digest(dots);
  out.values = lost ? 0 : digest(values);
  return out;
}

uint64_t fold(const RowDigest& row) {
  ByteWriter out;
  out.string(row.key);
  out.u64(row.dots), out.u64(row.values), out.u64(row.shown);
  return XXH3_64bits(out.view().data(), out.size());
}

std::optional<RowDifference> difference(const RowDigest& a, const RowDigest& b) {
  if (a.dots == b.dots && a.values == b.values && a.shown == b.shown) return std::nullopt;
  const auto foreign = [](const RowDigest& row) { return row.shown != 0 && row.dots == 0; };
  if (foreign(a) || foreign(b)) return RowDifference::kEdited;
  if (a.dots != b.dots) return RowDifference::kMissing;
  if (a.values == b.values) return RowDifference::kShown;
  return a.values == 0 || b.values == 0 ? RowDifference::kMissing : RowDifference::kEdited;
}

}  // namespace entente
