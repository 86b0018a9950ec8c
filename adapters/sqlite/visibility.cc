#include "adapters/sqlite/visibility.h"

#include <algorithm>
#include <deque>

#include "adapters/sqlite/sql_text.h"

namespace entente::sqlite {
namespace {

bool refers_to(const ForeignKey& fk, const Table& parent) {
  return lower(fk.parent) == lower(parent.def.name);
}

// Names the columns of a parent that a foreign key refers to, with their values: equal when SQLite
// says that the one is the other's parent. "" if nothing can be.
std::string target_of(const Table& parent, const ForeignKey& fk, const std::vector<Value>& values) {
  const auto key = canonical_key(fk.as_parent, values);
  if (!key) return "";
  std::string out = std::to_string(parent.id);
  for (const auto& c : fk.as_parent.columns) out += ":" + c.name;
  return out + ":" + *key;
}

bool among(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

void Visibility::forget() {
  to_open_.clear();
  tables_.clear();
  opened_.clear();
  nodes_.clear();
  fresh_.clear();
  rows_.news() = {};
}

// ---- Which rows are in question ----------------------------------------------------------------

const Table* Visibility::table(int64_t id) {
  const auto [it, fresh] = tables_.try_emplace(id, nullptr);
  if (fresh) it->second = world_->by_id(id);
  return it->second;
}

Result<void> Visibility::look_at_children(const Table& t) {
  look_again(t);
  if (!t.referenced) return {};
  for (const auto kind : {kConstraintKind, kUniqueKind, kOrphanKind}) {
    auto keys = log_.waiting(t, kind);
    if (!keys) return tl::unexpected(keys.error());
    for (auto& key : *keys) rows_.news().gone.emplace(t.id, std::move(key));
  }
  return {};
}

Result<void> Visibility::look_for_orphans(const Table& t) {
  look_again(t);
  std::vector<RowName> found;
  for (const auto& fk : t.foreign_keys) {
    auto q = rows_.plan(fk.find_orphans);
    if (!q) return tl::unexpected(q.error());
    if (auto done = add_found(t, **q, found); !done) return done;
  }
  rows_.news().changed.insert(found.begin(), found.end());
  return {};
}

// Takes in what was noted, until nothing more is.
Result<void> Visibility::absorb() {
  RowNews news = std::exchange(rows_.news(), {});
  for (const auto& [id, key] : news.changed) {
    const Table* t = table(id);
    if (t == nullptr) continue;
    auto settled = is_settled(*t, key);
    if (!settled) return tl::unexpected(settled.error());
    if (*settled) continue;
    if (auto done = add(*t, key); !done) return done;
  }
  for (const auto& [id, key] : news.gone) {
    const Table* t = table(id);
    if (t == nullptr) continue;
    if (auto done = add_children(*t, key); !done) return tl::unexpected(done.error());
    if (auto done = open_children(*t); !done) return done;
  }
  for (const int64_t id : news.came) {
    const Table* t = table(id);
    if (t == nullptr) continue;
    if (auto done = open_children(*t); !done) return done;
  }
  for (const int64_t id : std::exchange(to_open_, {})) {
    const Table* t = table(id);
    if (t == nullptr) continue;
    if (auto done = open(*t); !done) return done;
  }
  return {};
}

// The usual case: a row that is shown, has all its parents, and is not listed.
Result<bool> Visibility::is_settled(const Table& t, const Key& key) {
  const Extras& extras = extras_[t.id];
  auto row = rows_.shown(t, key);
  if (!row) return tl::unexpected(row.error());
  if (!*row) return extras.quarantined == 0 && extras.orphans == 0;
  if (extras.orphans > 0) {
    auto listed = log_.is_open(t, key, kOrphanKind);
    if (!listed) return tl::unexpected(listed.error());
    if (*listed) return false;
  }
  return has_parents(references_of(t, **row));
}

Result<void> Visibility::add(const Table& t, const Key& key) {
  const auto [it, fresh] = nodes_.try_emplace({t.id, key});
  if (!fresh) return {};
  it->second.table = &t;
  fresh_.push_back(it->first);
  grown_ = true;
  if (auto done = load(key, it->second); !done) return done;
  return open(t);
}

Result<void> Visibility::load(const Key& key, Node& node) {
  const Table& t = *node.table;
  auto loaded = rows_.load(*world_, t, key);
  if (!loaded) return tl::unexpected(loaded.error());
  node.loaded = std::move(*loaded);
  node.row = visible(node.loaded.state, t.layout, world_->ranks);
  if (node.row) {
    auto whole = with_key(t, key, std::move(*node.row));
    if (!whole) return tl::unexpected(whole.error());
    node.row = std::move(*whole);
    node.references = references_of(t, *node.row);
  }
  Result<bool> refused = false;
  if (node.row && !node.shown()) refused = log_.is_open(t, key, kConstraintKind);
  if (!refused) return tl::unexpected(refused.error());
  grown_ |= node.refused != *refused;
  node.refused = *refused;
  return {};
}

// All of its rows that are hidden or listed are in question.
Result<void> Visibility::open(const Table& t) {
  if (!opened_.insert(t.id).second) return {};
  const Extras& extras = extras_[t.id];
  if (extras.quarantined == 0 && extras.orphans == 0) return {};
  for (const auto kind : {kConstraintKind, kUniqueKind, kOrphanKind}) {
    auto keys = log_.waiting(t, kind);
    if (!keys) return tl::unexpected(keys.error());
    for (const auto& key : *keys) {
      if (auto done = add(t, key); !done) return done;
    }
  }
  return {};
}

Result<void> Visibility::open_children(const Table& parent) {
  for (const auto& [name, child] : world_->tables) {
    const bool refers = std::any_of(child->foreign_keys.begin(), child->foreign_keys.end(),
                                    [&](const ForeignKey& fk) { return refers_to(fk, parent); });
    if (!refers) continue;
    if (auto done = open(*child); !done) return done;
  }
  return {};
}

// The rows that are shown and had this one as a parent. Found by its key; where they refer to other
// columns of it, or compare otherwise than it does, all whose parent cannot be found.
Result<std::vector<Visibility::RowName>> Visibility::add_children(const Table& parent,
                                                                  const Key& key) {
  std::vector<RowName> found;
  for (const auto& [name, child] : world_->tables) {
    for (const auto& fk : child->foreign_keys) {
      if (!refers_to(fk, parent)) continue;
      auto q = rows_.plan(fk.find_children);
      if (!q) return tl::unexpected(q.error());
      auto done = fk.by_key ? bind_key(**q, 1, fk.columns.size(), key) : Result<void>();
      if (done) done = add_found(*child, **q, found);
      if (!done) return tl::unexpected(done.error());
    }
  }
  for (const auto& [id, child] : found) {
    if (auto done = add(*table(id), child); !done) return tl::unexpected(done.error());
  }
  return found;
}

Result<void> Visibility::add_found(const Table& t, Stmt& q, std::vector<RowName>& found) {
  Rows rows(q);
  auto row = rows.next();
  for (; row && *row; row = rows.next()) {
    std::vector<Value> parts;
    for (size_t i = 0; i < t.key.size(); ++i) parts.push_back(q.value(static_cast<int>(i)));
    auto key = canonical_key(t.def, parts);
    if (key) found.emplace_back(t.id, std::move(*key));
  }
  return row.map([](bool) {});
}

std::vector<Visibility::Reference> Visibility::references_of(const Table& t, const Row& row) const {
  std::vector<Reference> out;
  for (const auto& fk : t.foreign_keys) {
    Reference r{&fk, world_->find(fk.parent), {}, {}, 0};
    for (const size_t column : fk.columns) {
      const auto it = row.find(t.columns[column].name);
      if (it == row.end() || std::holds_alternative<Null>(it->second)) break;
      r.values.push_back(it->second);
    }
    if (r.values.size() < fk.columns.size()) continue;
    if (r.parent != nullptr) r.target = target_of(*r.parent, fk, r.values);
    out.push_back(std::move(r));
  }
  return out;
}

std::vector<std::string> Visibility::provided_by(const Table& t, const Row& row) const {
  std::vector<std::string> out;
  if (!t.referenced) return out;
  for (const auto& [name, child] : world_->tables) {
    for (const auto& fk : child->foreign_keys) {
      if (!refers_to(fk, t)) continue;
      std::vector<Value> values;
      for (const auto& c : fk.as_parent.columns) {
        const auto it = row.find(c.name);
        values.push_back(it != row.end() ? it->second : Value{});
      }
      std::string target = target_of(t, fk, values);
      if (!target.empty() && !among(out, target)) out.push_back(std::move(target));
    }
  }
  return out;
}

Result<std::optional<Key>> Visibility::shown_parent(const Reference& r) {
  auto q = rows_.plan(r.fk->find_parent);
  if (!q) return tl::unexpected(q.error());
  int at = 0;
  for (const auto& v : r.values) (*q)->bind(++at, v);
  Rows found(**q);
  auto row = found.next();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  if (r.parent == nullptr) return Key();
  std::vector<Value> parts;
  for (size_t i = 0; i < r.parent->key.size(); ++i) {
    parts.push_back((*q)->value(static_cast<int>(i)));
  }
  return canonical_key(r.parent->def, parts).map([](Key key) { return std::optional(key); });
}

Result<bool> Visibility::has_parents(const std::vector<Reference>& references) {
  for (const auto& r : references) {
    auto parent = shown_parent(r);
    if (!parent) return tl::unexpected(parent.error());
    if (!*parent) return false;
  }
  return true;
}

// ---- The steps ---------------------------------------------------------------------------------

Result<void> Visibility::settle(const World& world, uint64_t now_ms) {
  world_ = &world;
  now_ms_ = now_ms;
  auto done = absorb();
  while (done && std::exchange(grown_, false)) {
    done = find_possible()
               .and_then([&] { return take_out_impossible(); })
               .and_then([&] { return choose_winners(); })
               .and_then([&] { return take_out_children(); })
               .and_then([&] { return absorb(); });
  }
  if (done) done = list();
  if (done) done = settle_equals();
  forget();
  return done;
}

// From above: all that are fit, less those that lack a parent among them, until none does.
Result<void> Visibility::find_possible() {
  supported_.clear(), references_.clear(), providers_.clear();
  fresh_.clear(), unresolved_.clear(), impossible_.clear();
  for (auto& [name, node] : nodes_) fresh_.push_back(name);
  while (!fresh_.empty() || !unresolved_.empty() || !impossible_.empty()) {
    register_fresh();
    auto& next = unresolved_.empty() ? impossible_ : unresolved_;
    if (next.empty()) continue;
    const bool resolves = &next == &unresolved_;
    const RowName name = std::move(next.back());
    next.pop_back();
    auto done = resolves ? resolve(name, nodes_.at(name)) : count_down(name);
    if (!done) return done;
  }
  grown_ = false;
  return {};
}

void Visibility::register_fresh() {
  for (const auto& name : std::exchange(fresh_, {})) {
    Node& node = nodes_.at(name);
    node.possible = node.row && !node.refused;
    unresolved_.push_back(name);
    if (!node.possible || node.shown()) continue;
    for (const auto& target : provided_by(*node.table, *node.row)) {
      providers_[target].push_back(name);
      for (const auto& [child, number] : references_[target]) support(name, child, number);
    }
  }
}

void Visibility::support(const RowName& parent, const RowName& child, size_t reference) {
  supported_[parent].emplace_back(child, reference);
  ++nodes_.at(child).references[reference].supports;
}

// What may be its parents: the row that is shown, and those that are not.
Result<void> Visibility::resolve(const RowName& name, Node& node) {
  if (!node.possible || !node.hides()) return {};
  for (size_t i = 0; i < node.references.size(); ++i) {
    Reference& r = node.references[i];
    r.supports = 0;
    auto parent = shown_parent(r);
    if (!parent) return tl::unexpected(parent.error());
    if (!*parent && r.parent != nullptr) {
      if (auto done = open(*r.parent); !done) return done;
      register_fresh();
    }
    if (*parent) {
      const RowName shown(r.parent != nullptr ? r.parent->id : 0, **parent);
      const auto it = nodes_.find(shown);
      if (it == nodes_.end() || it->second.possible) support(shown, name, i);
    }
    references_[r.target].emplace_back(name, i);
    for (const auto& hidden : providers_[r.target]) {
      if (nodes_.at(hidden).possible) support(hidden, name, i);
    }
    if (r.supports > 0 || !node.possible) continue;
    node.possible = false;
    impossible_.push_back(name);
  }
  return {};
}

Result<void> Visibility::count_down(const RowName& name) {
  const Node& gone = nodes_.at(name);
  if (gone.shown() && gone.table->referenced) {
    auto done = add_children(*gone.table, name.second);
    if (!done) return tl::unexpected(done.error());
  }
  for (const auto& [child, number] : supported_[name]) {
    Node& node = nodes_.at(child);
    if (--node.references[number].supports > 0 || !node.possible) continue;
    node.possible = false;
    impossible_.push_back(child);
  }
  return {};
}

// They hold no UNIQUE key then, and are not listed as if they wanted one.
Result<void> Visibility::take_out_impossible() {
  for (auto& [name, node] : nodes_) {
    if (node.possible || !node.row || node.refused) continue;
    Result<bool> listed = node.shown();
    if (!node.shown()) listed = log_.is_open(*node.table, name.second, kUniqueKind);
    if (!listed) return tl::unexpected(listed.error());
    if (!*listed) continue;
    if (auto done = hide(name.second, node, RowStore::Hidden::kOrphan); !done) return done;
  }
  return {};
}

// Winners are shown, though a parent of theirs may have lost.
Result<void> Visibility::choose_winners() {
  std::map<int64_t, std::vector<Key>> waiting;
  for (const auto& [name, node] : nodes_) {
    if (node.possible && !node.shown()) waiting[name.first].push_back(name.second);
  }
  for (const auto& [id, keys] : waiting) {
    auto done = unique_.settle(*world_, *table(id), keys, now_ms_);
    if (!done) return done;
    for (auto it = nodes_.lower_bound({id, Key()}); it != nodes_.end() && it->first.first == id;
         ++it) {
      if (auto again = load(it->first.second, it->second); !again) return again;
    }
  }
  for (auto& [name, node] : nodes_) {
    if (!node.possible || node.shown() || node.refused) continue;
    auto listed = log_.is_open(*node.table, name.second, kUniqueKind);
    if (!listed) return tl::unexpected(listed.error());
    if (*listed) continue;  // it was hidden as an orphan before
    if (auto done = hide(name.second, node, RowStore::Hidden::kUnique); !done) return done;
  }
  return {};
}

// From above again: winners, less those that lack a parent among them.
Result<void> Visibility::take_out_children() {
  std::deque<RowName> queue;
  for (const auto& [name, node] : nodes_) queue.push_back(name);
  for (const auto& [id, key] : std::set<RowName>(rows_.news().gone)) {
    if (auto done = add(*table(id), key); !done) return done;  // it is possible still
    auto children = add_children(*table(id), key);
    if (!children) return tl::unexpected(children.error());
    queue.insert(queue.end(), children->begin(), children->end());
  }
  for (; !queue.empty(); queue.pop_front()) {
    const auto& [id, key] = queue.front();
    Node& node = nodes_.at(queue.front());
    if (!node.hides() || !node.shown()) continue;
    auto has = has_parents(node.references);
    if (!has) return tl::unexpected(has.error());
    if (*has) continue;
    if (auto done = hide(key, node, RowStore::Hidden::kOrphan); !done) return done;
    if (!node.table->referenced) continue;
    auto children = add_children(*node.table, key);
    if (!children) return tl::unexpected(children.error());
    queue.insert(queue.end(), children->begin(), children->end());
  }
  return {};
}

Result<void> Visibility::hide(const Key& key, Node& node, RowStore::Hidden why) {
  return rows_.hide(*world_, *node.table, key, node.loaded, why, now_ms_).and_then([&] {
    return load(key, node);
  });
}

Result<void> Visibility::list() {
  for (const auto& [name, node] : nodes_) {
    const auto& [id, key] = name;
    bool orphan = false;
    const auto own = node.row ? provided_by(*node.table, *node.row) : std::vector<std::string>();
    for (size_t i = 0; node.row && i < node.references.size() && !orphan; ++i) {
      const Reference& r = node.references[i];
      if (!r.target.empty() && among(own, r.target)) continue;
      auto parent = shown_parent(r);
      if (!parent) return tl::unexpected(parent.error());
      orphan = !parent->has_value();
    }
    Extras& extras = extras_[id];
    Result<bool> listed = false;
    if (extras.orphans > 0) listed = log_.is_open(*node.table, key, kOrphanKind);
    if (!listed) return tl::unexpected(listed.error());
    if (orphan == *listed) continue;
    extras.orphans += orphan ? 1 : -1;
    auto done = log_.set_open(*node.table, key, "", kOrphanKind, orphan, "", now_ms_);
    if (!done) return done;
  }
  return {};
}

// A row of a table without a key that lost to its equal has lost nothing: to users they are one.
Result<void> Visibility::settle_equals() {
  std::set<const Table*> keyless;
  for (const auto& [name, node] : nodes_) {
    if (node.table->def.keyless() && extras_[name.first].quarantined > 0)
      keyless.insert(node.table);
  }
  for (const Table* t : keyless) {
    auto hidden = log_.waiting(*t, kUniqueKind);
    if (!hidden) return tl::unexpected(hidden.error());
    for (const auto& key : *hidden) {
      auto loaded = rows_.load(*world_, *t, key);
      if (!loaded) return tl::unexpected(loaded.error());
      const auto row = visible(loaded->state, t->layout, world_->ranks);
      auto equal = row ? equal_is_shown(*t, *row) : Result<bool>(false);
      if (!equal) return tl::unexpected(equal.error());
      if (auto done = log_.set_equal(*t, key, *equal); !done) return done;
    }
  }
  return {};
}

Result<bool> Visibility::equal_is_shown(const Table& t, const Row& row) {
  std::string names = "SELECT 1", where;
  std::vector<const Value*> values;
  for (const size_t i : t.by_name) {
    const auto it = row.find(t.columns[i].name);
    if (it == row.end()) return false;
    values.push_back(&it->second);
    const std::string name = quote_name(t.columns[i].name);
    names += ", " + name;
    where += (where.empty() ? " WHERE " : " AND ") + name + " IS ?" + std::to_string(values.size());
  }
  auto q = rows_.plan(names + " FROM " + quote_name(t.def.name) + where);
  if (!q) return tl::unexpected(q.error());
  for (size_t i = 0; i < values.size(); ++i) (*q)->bind(static_cast<int>(i + 1), *values[i]);
  Rows found(**q);
  auto next = found.next();
  for (; next && *next; next = found.next()) {
    bool same = true;  // a collation may call values alike that are not
    for (size_t i = 0; i < values.size(); ++i) {
      same &= (*q)->value(static_cast<int>(i + 1)) == *values[i];
    }
    if (same) return true;
  }
  return next.map([](bool) { return false; });
}

}  // namespace entente::sqlite
