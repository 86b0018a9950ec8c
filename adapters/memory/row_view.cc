#include "adapters/memory/row_view.h"

#include <xxhash.h>

#include <algorithm>

namespace entente {
namespace {

// The siblings of a register that say something else than what is shown.
std::vector<const Sibling*> others(const Register& r, const Verdict& verdict) {
  std::vector<const Sibling*> out;
  for (const auto& s : r.siblings) {
    if (!says_the_same(s, r, verdict)) out.push_back(&s);
  }
  return out;
}

std::string hex64(uint64_t v) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text.push_back(kDigits[v >> shift & 15]);
  return text;
}

}  // namespace

std::optional<Row> RowView::shown() const { return visible(state_, layout_, verdicts_); }

std::optional<Row> RowView::whole(const Key& key) const {
  auto row = shown();
  if (!row) return std::nullopt;
  const auto parts = key_parts(key);
  const auto key_columns = table_.key();
  for (size_t i = 0; parts && i < key_columns.size() && i < parts->size(); ++i) {
    row->emplace(key_columns[i]->name, (*parts)[i]);
  }
  Row out;
  for (const auto& column : table_.columns) {
    const auto it = row->find(column.name);
    out.emplace(column.name, it == row->end() ? Value{} : it->second);
  }
  return out;
}

std::string RowView::etag() const {
  ByteWriter out;
  for (const auto& [group, r] : state_.registers) {
    std::vector<Dot> dots;
    for (const auto& s : r.siblings) dots.push_back(s.version.dot);
    std::sort(dots.begin(), dots.end());
    for (const auto& d : dots) out.string(group), out.origin(d.origin), out.varint(d.seq);
  }
  return out.size() == 0 ? "" : hex64(XXH3_64bits(out.view().data(), out.size()));
}

Result<std::optional<Row>> RowView::picked(const Dot& dot) const {
  if (!has(dot)) {
    return fail(Code::kNotFound, "this row has no value " + to_string(dot) + " here",
                "no_such_value");
  }
  return chosen(dot);
}

std::optional<Row> RowView::chosen(const Dot& dot) const {
  for (const auto& s : register_of(state_, "").siblings) {
    if (s.version.dot == dot && !s.row) return std::nullopt;
  }
  Row row = columns_written_by(state_, layout_, dot);
  row.merge(shown_columns(state_, layout_, verdicts_));
  return row;
}

RowView::Differing RowView::differing() const {
  Differing out;
  Version newest, newest_contested;
  for (size_t g = 0; g < layout_.groups.size(); ++g) {
    const Register& r = register_of(state_, layout_.groups[g].name);
    if (r.siblings.empty()) continue;
    const Sibling& winner = r.siblings[verdicts_.of[g].winner];
    newest = std::max(newest, winner.version);
    if (layout_.groups[g].policy.commutes()) continue;  // parts of one value, not several
    const auto rest = others(r, verdicts_.of[g]);
    for (const auto* s : rest) out.others.emplace(s->version.dot, s->version);
    if (!rest.empty()) newest_contested = std::max(newest_contested, winner.version);
  }
  // Where values differ, the one that SQL shows goes by the name of a winner over the others.
  out.shown = out.others.empty() ? newest : newest_contested;
  return out;
}

std::vector<RowVersion> RowView::values() const {
  if (state_.registers.empty()) return {};
  const auto [others, name] = differing();
  std::vector<RowVersion> out{{name, std::string(ranks_.dc(name.dot.origin)), shown()}};
  for (const auto& [dot, v] : others) {
    out.push_back({v, std::string(ranks_.dc(dot.origin)), chosen(dot)});
  }
  return out;
}

size_t RowView::count_values() const {
  return state_.registers.empty() ? 0 : 1 + differing().others.size();
}

RowConflict RowView::conflict() const {
  if (!open_groups(layout_, verdicts_).empty()) return RowConflict::kOpen;
  return count_values() > 1 ? RowConflict::kResolved : RowConflict::kNone;
}

bool RowView::has(const Dot& dot) const {
  return std::any_of(state_.registers.begin(), state_.registers.end(),
                     [&](const auto& named) { return find(named.second, dot) != nullptr; });
}

}  // namespace entente
