#include "adapters/sqlite/row_reading.h"

#include <algorithm>
#include <set>

#include "adapters/sqlite/conflict_log.h"

namespace entente::sqlite {
namespace {

// How many different values a register has. A counter and a set are one, whatever they are made of.
size_t different_values(const Group& group, const RowState& state) {
  const auto& siblings = register_of(state, group.name).siblings;
  if (group.policy.commutes()) return siblings.empty() ? 0 : 1;
  size_t different = 0;
  for (size_t i = 0; i < siblings.size(); ++i) {
    different += std::none_of(siblings.begin(), siblings.begin() + static_cast<ptrdiff_t>(i),
                              [&](const Sibling& s) { return same_content(s, siblings[i]); });
  }
  return different;
}

// Of the most contested register.
size_t different_values(const Layout& layout, const RowState& state) {
  size_t most = 0;
  for (const auto& group : layout.groups) most = std::max(most, different_values(group, state));
  return most;
}

bool erased_by(const RowState& state, const Dot& dot) {
  const auto& siblings = register_of(state, "").siblings;
  return std::any_of(siblings.begin(), siblings.end(),
                     [&](const Sibling& s) { return s.version.dot == dot && !s.row; });
}

// The versions whose values differ from another's; without any, the newest.
std::set<Version> versions_to_list(const Layout& layout, const RowState& state) {
  std::set<Version> differing, all;
  for (const auto& group : layout.groups) {
    const bool contested = different_values(group, state) > 1;
    for (const auto& s : register_of(state, group.name).siblings) {
      all.insert(s.version);
      if (contested) differing.insert(s.version);
    }
  }
  if (differing.empty() && !all.empty()) return {*all.rbegin()};
  return differing;
}

// The row's values as wholes: what was written under each version, over what the registers show,
// whether or not there is a row.
std::vector<RowVersion> versions_of(const World& world, const Table& t, const RowState& state) {
  const Verdicts verdicts = judge(state, t.layout, world.ranks);
  const Row shown = shown_columns(state, t.layout, verdicts);
  const auto versions = versions_to_list(t.layout, state);
  std::vector<RowVersion> out;
  for (const auto& version : versions) {
    RowVersion v{version, std::string(world.ranks.dc(version.dot.origin)), std::nullopt};
    if (versions.size() == 1) {
      v.row = visible(state, t.layout, verdicts);
    } else if (!erased_by(state, version.dot)) {
      v.row = columns_written_by(state, t.layout, version.dot);
      v.row->insert(shown.begin(), shown.end());
    }
    for (const size_t i : t.key) {
      if (v.row) v.row->erase(t.columns[i].name);
    }
    out.push_back(std::move(v));
  }
  return out;
}

}  // namespace

Result<RowRead> read_row(RowStore& rows, const World& world, const Table& t, const Key& key,
                         bool all_siblings) {
  auto loaded = rows.load(world, t, key);
  if (!loaded) return tl::unexpected(loaded.error());
  auto noted = conflict_of(rows, t, key);
  if (!noted) return tl::unexpected(noted.error());
  RowRead out;
  out.row = std::move(loaded->shown);
  out.etag = etag_of(loaded->state);
  out.siblings = different_values(t.layout, loaded->state);
  out.conflict = *noted;
  out.policy = t.rules.policy.kind;
  out.decides_on_read = out.conflict == RowConflict::kOpen &&
                        resolve(loaded->state, t.layout, world.ranks).has_value();
  if (!all_siblings) return out;
  out.values = versions_of(world, t, loaded->state);
  out.parts = parts_of(loaded->state, t.layout, world.ranks);
  return out;
}

}  // namespace entente::sqlite
