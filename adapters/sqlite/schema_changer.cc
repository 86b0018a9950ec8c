#include "adapters/sqlite/schema_changer.h"

#include <algorithm>
#include <numeric>

#include "adapters/schema_history.h"
#include "adapters/sqlite/guard.h"
#include "adapters/sqlite/numbering.h"
#include "adapters/sqlite/sql_text.h"
#include "conflict/conform.h"

namespace entente::sqlite {
namespace {

using Object = SchemaStatement::Object;
using Verb = SchemaStatement::Verb;

// What a dropped table is called until its transaction ends. A retired one has its name.
std::string aside_name(const Table& t) {
  return t.retired() ? t.def.name : "_entente_gone_" + std::to_string(t.id);
}

// How many transactions of the leader may lie between the copy of a table's rows into another that
// has its name, and the end of the table, for the two to be one. Later, the other has a life of its
// own: the first was put away, not made anew.
constexpr uint64_t kTransactionsToMakeAnew = 1000;
// After so many more schema changes, nobody takes the place of a retired table any more.
constexpr uint64_t kEpochsRetired = 256;

// What the others are told of the end of a retired table.
std::string end_of_retired(const TableDef& def) { return "DROP TABLE " + quote_name(def.name); }

bool ends_retired(const std::optional<SchemaStatement>& s) {
  return s && s->verb == SchemaStatement::Verb::kDrop && is_reserved(s->name);
}

bool contains(const std::vector<int64_t>& ids, int64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// While it lives, renaming a table changes nothing but its name, no foreign key is enforced, and no
// trigger fires.
class Plainly {
 public:
  explicit Plainly(Connection& db) : quiet_(db), db_(db) {
    sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, -1, &legacy_);
    sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, 1, nullptr);
  }
  ~Plainly() { sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, legacy_, nullptr); }
  Plainly(const Plainly&) = delete;
  Plainly& operator=(const Plainly&) = delete;

 private:
  const Quiet quiet_;
  Connection& db_;
  int legacy_ = 0;  // before
};

// "n"."k" = "o"."k" AND …
std::string same_rows(const Table& t, const Table& was) {
  std::string out;
  for (size_t i = 0; i < t.key.size(); ++i) {
    out += (out.empty() ? "n." : " AND n.") + quote_name(t.columns[t.key[i]].name);
    out += " = o." + quote_name(was.columns[was.key[i]].name);
  }
  return out;
}

// The columns of `t` as a query over `was` AS o gives them. What came later is a parameter.
std::string old_columns(const Table& t, const Table& was, std::vector<Value>& values) {
  std::string out;
  for (const auto& c : t.columns) {
    const Column* old = was.with_id(c.id);
    if (old != nullptr) {
      out += ", o." + quote_name(old->name);
    } else {
      const auto fill = t.layout.fills.find(c.name);
      values.push_back(fill != t.layout.fills.end() ? fill->second : Value{});
      out += ", ?" + std::to_string(values.size());
    }
  }
  return out;
}

std::string new_columns(const Table& t) {
  std::string out;
  for (const auto& c : t.columns) out += ", n." + quote_name(c.name);
  return out;
}

std::string no_columns(const Table& t) {
  std::string out;
  for (size_t i = 0; i < t.columns.size(); ++i) out += ", NULL";
  return out;
}

// A column's register cannot change its policy by changing its name.
Result<void> keeps_policies(const Table& was, const TableDef& def, const TableRules& rules) {
  const Layout layout(def, rules);
  for (const auto& c : def.columns) {
    const Column* old = was.with_id(c.id);
    if (old == nullptr || c.key_part > 0) continue;
    const Group &before = was.layout.groups[old->group], &after = layout.group_of(c.name);
    const bool alone = before.name == old->name && after.name == c.name;
    if (before.policy == after.policy && (alone || before.name == after.name)) continue;
    return fail(Code::kRefused,
                "column " + c.name + " of table " + def.name +
                    " would come under other conflict rules (" + after.policy.describe() +
                    ") than it has (" + before.policy.describe() +
                    "): name it in the topology file under both names first",
                "policy_misfit");
  }
  return {};
}

// The name that a table's rowid goes by is not given to a column of it.
Result<void> keeps_rowid(const Table& was, const TableDef& declared) {
  const ColumnDef &before = *was.def.key().front(), &now = *declared.key().front();
  if (!before.rowid || now.name == before.name) return {};
  return fail(Code::kRefused,
              "a column of table " + declared.name + " cannot be called " + before.name +
                  ": the table has no primary key, and its rows are told apart by their " +
                  before.name + ". Choose another name, or make the table anew with a key",
              "column_name");
}

tl::unexpected<Error> not_as_said(const std::string& table) {
  return fail(Code::kInvalid, "table " + table + " is not what its schema change says");
}

bool fatal(const Error& e) { return e.code == Code::kCorrupt || e.code == Code::kExhausted; }

}  // namespace

// ---- At the leader -----------------------------------------------------------------------------

Result<void> SchemaChanger::run(const std::string& sql, bool enforce, SchemaWork& work,
                                uint64_t now_ms) {
  const auto statement = *schema_statement_of(words_of(sql));
  if (auto done = let_go_of_old(work); !done) return done;
  const Table* t =
      statement.object == Object::kTable ? state_.world->find(statement.name) : nullptr;
  const uint64_t epoch = state_.epoch;
  Result<void> done;
  if (statement.verb == Verb::kCreate && statement.object == Object::kTable) {
    done = create_table(sql, work);
  } else if (statement.verb == Verb::kDrop && t != nullptr) {
    done = drop_table(*t, sql, enforce, work, now_ms);
  } else if (statement.verb == Verb::kAlter && t != nullptr) {
    done = alter_table(statement, sql, work, now_ms);
  } else {
    done = run_other(statement, sql, work);
  }
  if (!done || state_.epoch == epoch) return done;
  return storage_.refresh_schema(state_);
}

Result<TableDef> SchemaChanger::checked(TableDef def) const {
  const auto unfit = misfits(def, storage_.rules_of(def.name));
  if (!unfit.empty()) return fail(Code::kRefused, unfit.front(), "policy_misfit");
  return def;
}

// The ordinary table that is there now and was not before; "" for none.
Result<std::string> SchemaChanger::new_table(const std::vector<std::string>& before) {
  const auto now = storage_.unknown_tables(*state_.world);
  if (!now) return tl::unexpected(now.error());
  for (const auto& name : *now) {
    if (std::find(before.begin(), before.end(), name) == before.end()) return name;
  }
  return std::string();
}

Result<void> SchemaChanger::create_table(const std::string& sql, SchemaWork& work) {
  const auto before = storage_.unknown_tables(*state_.world);
  if (!before) return tl::unexpected(before.error());
  if (auto done = sql_.run_schema(sql); !done) return done;
  const auto name = new_table(*before);
  if (!name || name->empty()) return name.map([](const auto&) {});
  const uint64_t epoch = state_.epoch + 1;
  auto table =
      read_definition(db_, *name)
          .and_then([&](TableDef def) { return checked(first_definition(std::move(def), epoch)); })
          .and_then([&](const TableDef& def) { return storage_.add_table(state_, def); });
  if (!table) return tl::unexpected(table.error());
  work.left_out.push_back((*table)->id);
  work.steps.push_back({{epoch, {sql}, {(*table)->def}, {}}, lower(*name)});
  state_.epoch = epoch;
  return {};
}

Result<void> SchemaChanger::drop_table(const Table& t, const std::string& sql, bool enforce,
                                       SchemaWork& work, uint64_t now_ms) {
  if (enforce && t.referenced) {
    // What DROP TABLE does: foreign keys refuse it, or act.
    auto done = sql_.guarded([&] { return db_.exec("DELETE FROM " + quote_name(t.def.name)); });
    if (!done) return done;
  }
  const auto kept = state_.world->tables.at(lower(t.def.name));
  const auto succession = succession_of(kept);
  if (!succession) return tl::unexpected(succession.error());
  if (*succession) {
    return take_place(**succession, (*succession)->heir->def, sql, work, now_ms);
  }
  const auto copied = storage_.is_copied(t);
  if (!copied) return tl::unexpected(copied.error());
  if (*copied) {
    const uint64_t epoch = state_.epoch + 1;
    auto def = retired_definition(t.def, epoch);
    if (auto done = retire(t, def); !done) return done;
    work.steps.push_back({{epoch, {sql}, {std::move(def)}, {}}, lower(kept->def.name)});
    state_.epoch = epoch;
    return {};
  }
  if (auto done = set_aside(t); !done) return done;
  work.aside.push_back(kept);
  work.steps.push_back({{++state_.epoch, {sql}, {}, {kept->def.name}}, lower(kept->def.name)});
  return {};
}

Result<void> SchemaChanger::alter_table(const SchemaStatement& statement, const std::string& sql,
                                        SchemaWork& work, uint64_t now_ms) {
  const auto was = state_.world->tables.at(lower(statement.name));
  const auto before = storage_.unknown_tables(*state_.world);
  if (!before) return tl::unexpected(before.error());
  if (auto done = sql_.run_schema(sql); !done) return done;
  std::string name = was->def.name;
  if (statement.renames_table) {
    const auto found = new_table(*before);
    if (!found) return tl::unexpected(found.error());
    if (found->empty()) {
      return fail(Code::kRefused, "names that begin with _entente_ belong to the gateway",
                  "SQLITE_AUTH");
    }
    name = *found;
  }
  auto declared = read_definition(db_, name);
  if (!declared) return tl::unexpected(declared.error());
  if (statement.renames_table) {
    const auto succession = succession_to(was, name, work);
    if (!succession) return tl::unexpected(succession.error());
    if (*succession) return take_place(**succession, std::move(*declared), sql, work, now_ms);
  }
  const uint64_t epoch = state_.epoch + 1;
  const ColumnsBy by = statement.renames_column ? ColumnsBy::kPlace : ColumnsBy::kName;
  if (auto same = keeps_rowid(*was, *declared); !same) return same;
  TableDef def = next_definition(was->def, std::move(*declared), by, epoch);
  if (auto done = fill_new_columns(db_, def); !done) return done;
  auto fit = checked(std::move(def));
  if (!fit) return tl::unexpected(fit.error());
  if (auto same = keeps_policies(*was, *fit, storage_.rules_of(name)); !same) return same;
  if (auto done = redefine(*was, *fit, now_ms); !done) return done;
  work.steps.push_back({{epoch, {sql}, {std::move(*fit)}, {}}, lower(name)});
  state_.epoch = epoch;
  return {};
}

// Indexes, views, triggers, the schema's version, and tables that do not replicate.
Result<void> SchemaChanger::run_other(const SchemaStatement& statement, const std::string& sql,
                                      SchemaWork& work) {
  const auto version = storage_.schema_version();
  if (!version) return tl::unexpected(version.error());
  const bool trigger = statement.object == Object::kTrigger && statement.verb == Verb::kCreate;
  const std::string text = trigger ? with_numbered_keys_inside(sql, *state_.world) : sql;
  if (auto done = sql_.run_schema(text); !done) return done;
  const auto version_now = storage_.schema_version();
  if (!version_now) return tl::unexpected(version_now.error());
  const bool same = *version == *version_now && statement.object != Object::kUserVersion;
  if (same) return {};  // IF NOT EXISTS, and it does
  auto table = table_of(statement.name);
  if (!table) return tl::unexpected(table.error());
  work.steps.push_back({{++state_.epoch, {text}, {}, {}}, std::move(*table)});
  return {};
}

// The table of an index or trigger.
Result<std::string> SchemaChanger::table_of(const std::string& object) {
  auto q = db_.prepare(
      "SELECT tbl_name FROM sqlite_master WHERE name = ?1 COLLATE NOCASE AND type IN ('index', "
      "'trigger')");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{object});
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  return *row ? lower(q->bytes(0)) : std::string();
}

// What makes the table as it is, with its indexes and triggers.
Result<std::vector<std::string>> SchemaChanger::texts_of(const std::string& table) {
  auto q = db_.prepare(
      "SELECT sql FROM sqlite_master WHERE tbl_name = ?1 COLLATE NOCASE AND sql IS NOT NULL ORDER "
      "BY type <> 'table', type = 'trigger', rowid");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{table});
  std::vector<std::string> texts;
  auto row = q->step();
  for (; row && *row; row = q->step()) texts.emplace_back(q->bytes(0));
  if (!row) return tl::unexpected(row.error());
  return texts;
}

// ---- Who takes whose place ---------------------------------------------------------------------

Result<bool> SchemaChanger::fills(const CopyStatement& copy) {
  const Table* made = state_.world->find(copy.into);
  const Table* of = state_.world->find(copy.from);
  if (made == nullptr || of == nullptr || made == of) return false;
  auto q = db_.prepare("SELECT 1 FROM " + quote_name(made->def.name));
  if (!q) return tl::unexpected(q.error());
  return q->step().map([](bool some) { return !some; });
}

Result<void> SchemaChanger::copied(const CopyStatement& copy, SchemaWork& work, uint64_t now_ms) {
  const auto made = state_.world->tables.at(lower(copy.into));
  VersionVector seen = state_.applied;
  seen.advance(state_.self, seen.at(state_.self) + 1);  // this transaction's own dot
  auto noted = storage_.note_copy(*made, *state_.world->find(copy.from), {seen, seen});
  if (!noted) return noted;
  const auto succession = succession_to(made, made->def.name, work);
  if (!succession) return tl::unexpected(succession.error());
  if (!*succession) return {};
  const auto done =
      take_place(**succession, made->def, end_of_retired((*succession)->old->def), work, now_ms);
  return done.and_then([&] { return storage_.refresh_schema(state_); });
}

// The table whose place is taken by one that has this name now.
Result<std::optional<SchemaChanger::Succession>> SchemaChanger::succession_to(
    std::shared_ptr<const Table> heir, const std::string& name, const SchemaWork& work) {
  Succession out{nullptr, heir, std::nullopt};
  for (const auto& [_, t] : state_.world->tables) {
    if (!t->retired() || !t->def.was_ever_called(name)) continue;
    if (out.old != nullptr && out.old->def.changed > t->def.changed) continue;
    auto copied = storage_.copy_of(*heir, *t);
    if (!copied) return tl::unexpected(copied.error());
    if (*copied) out.old = t, out.copied = std::move(*copied);
  }
  if (out.old != nullptr) return out;
  if (!contains(work.left_out, heir->id)) return std::nullopt;
  const auto old = std::find_if(work.aside.begin(), work.aside.end(), [&](const auto& t) {
    return same_name(t->def.name, name) && same_key(t->def, heir->def);
  });
  if (old == work.aside.end()) return std::nullopt;
  out.old = *old;
  return out;
}

// Who takes the place of a table that is dropped under another name than it had.
Result<std::optional<SchemaChanger::Succession>> SchemaChanger::succession_of(
    const std::shared_ptr<const Table>& old) {
  for (const auto& [_, heir] : state_.world->tables) {
    const bool named = !heir->retired() && heir != old && old->def.was_ever_called(heir->def.name);
    if (!named) continue;
    auto copied = storage_.copy_of(*heir, *old);
    if (!copied) return tl::unexpected(copied.error());
    if (!*copied) continue;
    const uint64_t now = state_.applied.at(state_.self);
    if (now > (*copied)->filled.at(state_.self) + kTransactionsToMakeAnew) continue;
    return Succession{old, heir, std::move(*copied)};
  }
  return std::nullopt;
}

// The heir is from now on what the old one was.
Result<void> SchemaChanger::take_place(const Succession& s, TableDef declared,
                                       const std::string& sql, SchemaWork& work, uint64_t now_ms) {
  const Table &heir = *s.heir, &old = *s.old;
  if (!same_key(old.def, declared) || old.rowid_key != heir.rowid_key) {
    return take_place_with_another_key(s, std::move(declared), sql, work, now_ms);
  }
  const uint64_t epoch = state_.epoch + 1;
  const bool made_here = contains(work.left_out, heir.id);
  TableDef def = next_definition(old.def, std::move(declared), ColumnsBy::kName, epoch);
  if (!made_here) absorb(def, heir.def, epoch);
  if (auto done = fill_new_columns(db_, def); !done) return done;
  auto fit = checked(std::move(def));
  if (!fit) return tl::unexpected(fit.error());
  const std::string made = lower(heir.def.name), name = fit->name;
  auto late = s.copied ? late_rows(old, s.copied->seen) : std::vector<Key>();
  if (!late) return tl::unexpected(late.error());
  SchemaWork::Both both{s.copied ? s.copied->seen : VersionVector(), {}};
  for (const auto& key : *late) {
    const auto since = made_here ? false : written_since(heir, key, s.copied->filled);
    if (!since) return tl::unexpected(since.error());
    if (*since) both.keys.insert(key);
  }
  if (made_here) {
    std::erase_if(work.steps, [&](const SchemaWork::Step& step) {
      const auto& dropped = step.change.dropped;
      const bool of_heir = step.table == made && step.change.epoch >= heir.def.since;
      return of_heir || (!dropped.empty() && dropped.front() == old.def.name);
    });
    std::replace(work.left_out.begin(), work.left_out.end(), heir.id, old.id);
  } else {
    work.left_out.push_back(old.id);
  }
  if (std::find(work.aside.begin(), work.aside.end(), s.old) == work.aside.end()) {
    auto done = old.retired() ? Result<void>() : set_aside(old);
    if (!done) return done;
    work.aside.push_back(s.old);
  }
  if (auto done = storage_.drop_table(state_, heir, old.id); !done) return done;
  if (auto done = redefine(old, *fit, now_ms); !done) return done;
  std::erase_if(*late, [&](const Key& key) { return both.keys.contains(key); });
  auto kept = keep_late_rows(*state_.world->find(name), old, *late, now_ms);
  if (!kept) return kept;
  both.seen.join(state_.promised);
  if (!both.keys.empty()) work.both.insert_or_assign(old.id, std::move(both));
  auto texts = texts_of(name);
  if (!texts) return tl::unexpected(texts.error());
  std::vector<std::string> dropped;
  if (!made_here) dropped.push_back(heir.def.name);
  work.steps.push_back(
      {{epoch, std::move(*texts), {std::move(*fit)}, std::move(dropped)}, lower(name)});
  state_.epoch = epoch;
  return {};
}

// Rows of the old one are told apart by something else: the heir stays what it is, and what is
// written to the old one from now on is listed as lost.
Result<void> SchemaChanger::take_place_with_another_key(const Succession& s, TableDef declared,
                                                        const std::string& sql, SchemaWork& work,
                                                        uint64_t now_ms) {
  const uint64_t epoch = state_.epoch + 1;
  TableDef def = next_definition(s.heir->def, std::move(declared), ColumnsBy::kName, epoch);
  absorb(def, s.old->def, epoch);
  auto fit = checked(std::move(def));
  if (!fit) return tl::unexpected(fit.error());
  auto done = s.old->retired() ? Result<void>() : set_aside(*s.old);
  done = done.and_then([&] { return drop_aside(*s.old); })
             .and_then([&] { return storage_.drop_table(state_, *s.old, s.heir->id); })
             .and_then([&] { return redefine(*s.heir, *fit, now_ms); });
  if (!done) return done;
  const std::string name = lower(fit->name);
  work.steps.push_back({{epoch, {sql}, {std::move(*fit)}, {s.old->def.name}}, name});
  state_.epoch = epoch;
  return {};
}

// Rows whose registers were written by somebody that `seen` does not cover.
Result<std::vector<Key>> SchemaChanger::late_rows(const Table& t, const VersionVector& seen) {
  std::string columns;
  for (size_t i = 1; i <= t.key.size(); ++i) {
    columns += t.rowid_key ? "k, " : "k" + std::to_string(i) + ", ";
  }
  auto q = db_.prepare("SELECT " + columns + "o, s, h, x IS NULL FROM _entente_v_" +
                       std::to_string(t.id));
  if (!q) return tl::unexpected(q.error());
  const int n = static_cast<int>(t.key.size());
  std::vector<Key> late;
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    const Stamp stamp{q->integer(n), q->natural(n + 1), q->natural(n + 2)};
    const bool steady = q->integer(n + 3) != 0;
    if (steady && covered(*state_.world, stamp, seen)) continue;
    std::vector<Value> parts;
    for (int i = 0; i < n; ++i) parts.push_back(q->value(i));
    auto key = canonical_key(t.def, parts);
    if (!key) return tl::unexpected(key.error());
    const auto since = written_since(t, *key, seen);
    if (!since) return tl::unexpected(since.error());
    if (*since) late.push_back(std::move(*key));
  }
  if (!row) return tl::unexpected(row.error());
  return late;
}

Result<bool> SchemaChanger::written_since(const Table& t, const Key& key,
                                          const VersionVector& seen) {
  const auto loaded = rows_.load(*state_.world, t, key, std::nullopt);
  if (!loaded) return tl::unexpected(loaded.error());
  const auto& registers = loaded->state.registers;
  return std::any_of(registers.begin(), registers.end(), [&](const auto& named) {
    const auto& siblings = named.second.siblings;
    return std::any_of(siblings.begin(), siblings.end(),
                       [&](const Sibling& s) { return !seen.covers(s.version.dot); });
  });
}

// The heir shows these rows as they are in the old one, which was written after they were copied.
// What the old one has no column for is as it was copied.
Result<void> SchemaChanger::keep_late_rows(const Table& now, const Table& old,
                                           const std::vector<Key>& late, uint64_t now_ms) {
  if (late.empty()) return {};
  std::map<Key, std::optional<Row>> rows;
  for (const auto& key : late) rows.emplace(key, std::nullopt);
  std::vector<Value> values;
  auto q = db_.prepare("SELECT " + old_columns(now, old, values).substr(2) + " FROM " +
                       aside_name(old) + " AS o");
  if (!q) return tl::unexpected(q.error());
  int at = 0;
  for (const auto& v : values) q->bind(++at, v);
  auto next = q->step();
  for (; next && *next; next = q->step()) {
    std::vector<Value> parts;
    for (const size_t i : now.key) parts.push_back(q->value(static_cast<int>(i)));
    auto key = canonical_key(now.def, parts);
    const auto it = key ? rows.find(*key) : rows.end();
    if (it == rows.end()) continue;
    it->second.emplace();
    for (size_t i = 0; i < now.columns.size(); ++i) {
      it->second->emplace(now.columns[i].name, q->value(static_cast<int>(i)));
    }
  }
  if (!next) return tl::unexpected(next.error());
  const Plainly plainly(db_);
  for (auto& [key, row] : rows) {
    auto here = rows_.shown(now, key);
    if (!here) return tl::unexpected(here.error());
    for (const auto& c : now.columns) {
      const bool of_heir = row && *here && old.with_id(c.id) == nullptr;
      if (of_heir) (*row)[c.name] = (**here)[c.name];
    }
    auto loaded = rows_.load(*state_.world, now, key, std::move(row));
    if (!loaded) return tl::unexpected(loaded.error());
    loaded->shown = std::move(*here);
    auto done = rows_.store(*state_.world, now, key, *loaded, now_ms);
    if (!done) return done;
  }
  return {};
}

// Out of sight, but for those who write to it without knowing.
Result<void> SchemaChanger::retire(const Table& t, const TableDef& def) {
  return set_aside(t, def.name)
      .and_then([&] { return let_go_of_parents(t, def.name); })
      .and_then([&] { return storage_.redefine_table(state_, t, def).map([](const auto&) {}); });
}

// What nobody sees holds no row of a parent: SQLite looks at every table that refers to one.
Result<void> SchemaChanger::let_go_of_parents(const Table& t, const std::string& name) {
  auto q = db_.prepare("SELECT 1 FROM pragma_foreign_key_list(?1)");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{name});
  const auto refers = q->step();
  q->reset();
  if (!refers || !*refers) return refers.map([](bool) {});
  const std::string old = aside_name(t);
  std::string columns;
  for (const auto& c : t.columns) columns += (columns.empty() ? "" : ", ") + quote_name(c.name);
  const Plainly plainly(db_);
  return db_.exec("ALTER TABLE " + name + " RENAME TO " + old)
      .and_then([&] { return db_.exec(plain_table_sql(t, name)); })
      .and_then([&] {
        return db_.exec("INSERT INTO " + name + " (" + columns + ") SELECT " + columns + " FROM " +
                        old);
      })
      .and_then([&] { return db_.exec("DROP TABLE " + old); });
}

Result<void> SchemaChanger::let_go_of_old(SchemaWork& work) {
  std::vector<std::shared_ptr<const Table>> old;
  for (const auto& [_, t] : state_.world->tables) {
    if (t->retired() && t->def.changed + kEpochsRetired < state_.epoch) old.push_back(t);
  }
  for (const auto& t : old) {
    auto done = drop_aside(*t).and_then([&] { return storage_.drop_table(state_, *t); });
    if (!done) return done;
    work.steps.push_back({{++state_.epoch, {end_of_retired(t->def)}, {}, {t->def.name}}, ""});
  }
  return {};
}

Result<void> SchemaChanger::redefine(const Table& was, const TableDef& def, uint64_t now_ms) {
  auto now = storage_.redefine_table(state_, was, def);
  if (!now) return tl::unexpected(now.error());
  return rows_.conform(*state_.world, was, **now, now_ms);
}

// Under another name, without its indexes and triggers, whose names may be wanted.
Result<void> SchemaChanger::set_aside(const Table& t) { return set_aside(t, aside_name(t)); }

Result<void> SchemaChanger::set_aside(const Table& t, const std::string& name) {
  std::vector<std::string> drops;
  {
    auto q = db_.prepare(
        "SELECT type, name FROM sqlite_master WHERE tbl_name = ?1 COLLATE NOCASE AND type IN "
        "('index', 'trigger') AND sql IS NOT NULL");
    if (!q) return tl::unexpected(q.error());
    q->bind(1, Text{t.def.name});
    auto row = q->step();
    for (; row && *row; row = q->step()) {
      drops.push_back("DROP " + std::string(q->bytes(0)) + " " + quote_name(q->bytes(1)));
    }
    if (!row) return tl::unexpected(row.error());
  }
  const Plainly plainly(db_);
  for (const auto& sql : drops) {
    if (auto done = db_.exec(sql); !done) return done;
  }
  auto done = db_.exec("ALTER TABLE " + quote_name(t.def.name) + " RENAME TO " + name);
  return done.and_then([&] { return storage_.set_aside(state_, t, name); });
}

Result<void> SchemaChanger::drop_aside(const Table& t) {
  const Plainly plainly(db_);
  return db_.exec("DROP TABLE " + aside_name(t));
}

// ---- At the end of the leader's transaction ----------------------------------------------------

Result<void> SchemaChanger::finish(const SchemaWork& work, Capture& capture) {
  for (const int64_t id : work.left_out) {
    const Table* t = state_.world->by_id(id);
    if (t == nullptr || !t->rules.replicate) continue;
    const auto was = std::find_if(work.aside.rbegin(), work.aside.rend(),
                                  [&](const auto& old) { return old->id == id; });
    auto done = was == work.aside.rend() ? tell_contents(*t, capture)
                                         : tell_difference(*t, **was, work, capture);
    if (!done) return done;
  }
  for (const auto& t : work.aside) {
    if (auto done = drop_aside(*t); !done) return done;
    if (state_.world->by_id(t->id) != nullptr) continue;  // made anew
    if (auto done = storage_.drop_table(state_, *t); !done) return done;
  }
  return {};
}

Result<void> SchemaChanger::tell(const Table& t, const std::string& query,
                                 const std::vector<Value>& values, const SchemaWork::Both* both,
                                 Capture& capture) {
  auto q = db_.prepare(query);
  if (!q) return tl::unexpected(q.error());
  int at = 0;
  for (const auto& v : values) q->bind(++at, v);
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    const auto had_seen = [&](const Key& key) {
      return both != nullptr && both->keys.contains(key) ? &both->seen : nullptr;
    };
    if (auto done = capture.add(t, *q, had_seen); !done) return done;
  }
  return row.map([](bool) {});
}

Result<void> SchemaChanger::tell_contents(const Table& t, Capture& capture) {
  return tell(t,
              "SELECT NULL" + no_columns(t) + ", 1" + new_columns(t) + " FROM " +
                  quote_name(t.def.name) + " AS n",
              {}, nullptr, capture);
}

Result<void> SchemaChanger::tell_difference(const Table& now, const Table& was,
                                            const SchemaWork& work, Capture& capture) {
  const auto found = work.both.find(now.id);
  const auto* both = found != work.both.end() ? &found->second : nullptr;
  std::vector<Value> values;
  const std::string old =
      "o." + quote_name(was.columns[was.key[0]].name) + old_columns(now, was, values);
  const std::string here = quote_name(now.def.name) + " AS n", gone = aside_name(was) + " AS o";
  auto done = tell(now,
                   "SELECT " + old + ", 1" + new_columns(now) + " FROM " + here + " LEFT JOIN " +
                       gone + " ON " + same_rows(now, was),
                   values, both, capture);
  if (!done) return done;
  return tell(now,
              "SELECT " + old + ", NULL" + no_columns(now) + " FROM " + gone +
                  " WHERE NOT EXISTS (SELECT 1 FROM " + here + " WHERE " + same_rows(now, was) +
                  ")",
              values, both, capture);
}

// ---- Elsewhere ---------------------------------------------------------------------------------

Result<void> SchemaChanger::run_here(const std::string& sql, uint64_t now_ms) {
  if (!schema_statement_of(words_of(sql))) {
    return fail(Code::kInvalid, "a schema change holds another statement");
  }
  auto done = sql_.run_schema(sql);
  if (done || rows_.refusal(done.error()) == RowStore::Hidden::kNo) return done;
  auto room = make_room(sql, now_ms);
  if (!room) return tl::unexpected(room.error());
  return *room ? sql_.run_schema(sql) : done;
}

// A peer may say anything. What it says a table is must be there, or its rows have no place.
Result<void> SchemaChanger::is_as_said(const TableDef& def) {
  const auto here =
      is_reserved(def.name) ? Result<TableDef>(TableDef{}) : read_definition(db_, def.name);
  if (!here) return tl::unexpected(here.error());
  const bool has_all = std::all_of(def.columns.begin(), def.columns.end(),
                                   [&](const auto& c) { return here->find(c.name) != nullptr; });
  if (has_all && same_key(*here, def)) return {};
  return not_as_said(def.name);
}

// Its rows' versions are found by the key that it had.
Result<void> SchemaChanger::keeps_key(const Table& was, const TableDef& def) {
  const auto before = was.def.key(), after = def.key();
  const auto alike = [](const ColumnDef* a, const ColumnDef* b) {
    return a->affinity == b->affinity && a->collation == b->collation;
  };
  if (std::equal(before.begin(), before.end(), after.begin(), after.end(), alike)) return {};
  return fail(Code::kInvalid, "table " + def.name + " cannot change the columns of its key");
}

// An index cannot be made while rows that other datacenters wrote meanwhile hold the same key, or
// break an expression of it. They are taken out, and UniqueKeys puts back those that win.
Result<bool> SchemaChanger::make_room(const std::string& sql, uint64_t now_ms) {
  const Table* t = state_.world->find(indexed_table(words_of(sql)));
  if (t == nullptr) return false;
  auto refused = refused_by(*t, sql);
  if (!refused) return tl::unexpected(refused.error());
  for (const auto& [key, why] : *refused) {
    auto loaded = rows_.load(*state_.world, *t, key);
    if (!loaded) return tl::unexpected(loaded.error());
    auto done = rows_.hide(*state_.world, *t, key, *loaded, why, now_ms);
    if (!done) return tl::unexpected(done.error());
  }
  return !refused->empty();
}

// The rows that this index does not take, if it takes them one after the other: tried out on the
// table itself, and undone.
Result<std::map<Key, RowStore::Hidden>> SchemaChanger::refused_by(const Table& t,
                                                                  const std::string& index) {
  std::map<Key, RowStore::Hidden> refused;
  const std::string copy = "_entente_copy_" + std::to_string(t.id);
  auto done = db_.exec("SAVEPOINT _entente_room; CREATE TABLE " + copy + " AS SELECT " +
                       new_columns(t).substr(2) + " FROM " + quote_name(t.def.name) +
                       " AS n; DELETE FROM " + quote_name(t.def.name));
  if (!done) return tl::unexpected(done.error());
  if (sql_.run_schema(index)) {
    auto tried = put_back(t, copy, refused);
    if (!tried) return tl::unexpected(tried.error());
  }
  done = db_.exec("ROLLBACK TO _entente_room; RELEASE _entente_room");
  if (!done) return tl::unexpected(done.error());
  return refused;
}

Result<void> SchemaChanger::put_back(const Table& t, const std::string& copy,
                                     std::map<Key, RowStore::Hidden>& refused) {
  std::vector<size_t> all(t.columns.size());
  std::iota(all.begin(), all.end(), size_t{0});
  auto insert = db_.prepare(t.insert_sql(all));
  if (!insert) return tl::unexpected(insert.error());
  auto q = db_.prepare("SELECT * FROM " + copy);
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    for (size_t i = 0; i < all.size(); ++i) {
      const int at = static_cast<int>(i);
      sqlite3_bind_value(insert->get(), at + 1, sqlite3_column_value(q->get(), at));
    }
    auto done = insert->run();
    if (done) continue;
    const auto why = rows_.refusal(done.error());
    if (why == RowStore::Hidden::kNo) return done;
    std::vector<Value> parts;
    for (const size_t i : t.key) parts.push_back(q->value(static_cast<int>(i)));
    if (auto key = canonical_key(t.def, parts)) refused.emplace(std::move(*key), why);
  }
  return row.map([](bool) {});
}

Result<void> SchemaChanger::apply(const SchemaChange& change, const VersionVector& seen,
                                  uint64_t now_ms) {
  if (change.epoch <= state_.epoch) {
    auto known = knows(change);
    if (!known || *known) return known.map([](bool) {});
  }
  auto failure = attempt(change, seen, now_ms);
  if (!failure) return tl::unexpected(failure.error());
  state_.epoch = std::max(state_.epoch, change.epoch);
  if (!*failure) {
    return forget_left_out_of(change).and_then([&] { return retry_left_out(now_ms); });
  }
  auto gone = was_never_made(change);
  if (!gone) return tl::unexpected(gone.error());
  return *gone ? Result<void>() : storage_.leave_out(state_, change, (*failure)->text);
}

// What went wrong, with nothing done.
Result<std::optional<Error>> SchemaChanger::attempt(const SchemaChange& change,
                                                    const VersionVector& seen, uint64_t now_ms) {
  auto begun = rows_.flush().and_then([&] { return db_.exec("SAVEPOINT _entente_schema"); });
  if (!begun) return tl::unexpected(begun.error());
  const SchemaState before(state_);
  auto done = try_apply(change, seen, now_ms);
  if (!done && fatal(done.error())) return tl::unexpected(done.error());
  if (!done) {
    auto undone = db_.exec("ROLLBACK TO _entente_schema");
    if (!undone) return tl::unexpected(undone.error());
    before.restore(state_);
    rows_.forget();
  }
  auto released = db_.exec("RELEASE _entente_schema");
  if (!released) return tl::unexpected(released.error());
  return done ? std::nullopt : std::optional(done.error());
}

Result<void> SchemaChanger::retry_left_out(uint64_t now_ms) {
  for (const auto& left : std::vector<LeftOut>(state_.left_out)) {
    auto change = storage_.left_out(left.epoch);
    if (!change) return tl::unexpected(change.error());
    auto failure = attempt(*change, state_.applied, now_ms);  // what came since is no news
    if (!failure) return tl::unexpected(failure.error());
    auto done = *failure ? storage_.leave_out(state_, *change, (*failure)->text)
                         : storage_.forget_left_out(state_, left.epoch);
    if (!done) return done;
  }
  return {};
}

// True if this drops what was left out, which is forgotten then.
Result<bool> SchemaChanger::was_never_made(const SchemaChange& change) {
  const auto drops = schema_statement_of(words_of(change.sql.front()));
  if (!drops || drops->verb != Verb::kDrop) return false;
  for (const auto& left : std::vector<LeftOut>(state_.left_out)) {
    const auto makes = schema_statement_of(words_of(left.sql));
    const bool same = makes && makes->verb == Verb::kCreate && makes->object == drops->object &&
                      lower(makes->name) == lower(drops->name);
    if (same) return storage_.forget_left_out(state_, left.epoch).map([] { return true; });
  }
  return false;
}

// What was left out of a table that is gone.
Result<void> SchemaChanger::forget_left_out_of(const SchemaChange& change) {
  for (const auto& left : std::vector<LeftOut>(state_.left_out)) {
    const auto words = words_of(left.sql);
    const auto statement = schema_statement_of(words);
    auto table = indexed_table(words);
    if (statement && statement->verb == Verb::kAlter) table = statement->name;
    const bool gone = std::any_of(change.dropped.begin(), change.dropped.end(),
                                  [&](const auto& t) { return same_name(t, table); });
    if (!gone) continue;
    if (auto done = storage_.forget_left_out(state_, left.epoch); !done) return done;
  }
  return {};
}

Result<bool> SchemaChanger::knows(const SchemaChange& change) const {
  const auto definition = [](const Table* t) { return t != nullptr ? &t->def : nullptr; };
  return entente::knows(
      change, {[&](const TableDef& def) { return definition(state_.world->same(def)); },
               [&](std::string_view name) { return definition(state_.world->named(name)); }});
}

Result<void> SchemaChanger::try_apply(const SchemaChange& change, const VersionVector& seen,
                                      uint64_t now_ms) {
  const auto statement = schema_statement_of(words_of(change.sql.front()));
  const bool creates = statement && statement->verb == Verb::kCreate;
  if (auto done = take_over(change, seen, creates, now_ms); !done) return done;
  for (const auto& def : change.tables) {
    const Table* was = state_.world->same(def);
    Result<void> done;
    if (was != nullptr && creates) {
      done = make_anew(*was, def, change, now_ms);
    } else if (was != nullptr && is_retired(def)) {
      done = def == retired_definition(was->def, change.epoch) ? retire(*was, def)
                                                               : not_as_said(def.name);
    } else if (was != nullptr) {
      done = ends_retired(statement) ? Result<void>() : run_here(change.sql.front(), now_ms);
      if (!done && blame_of(done.error()) == Blame::kRow) {
        done = take_rows_out(*was, change.sql.front(), def, now_ms);
      } else if (done) {
        done = is_as_said(def).and_then([&] { return keeps_key(*was, def); }).and_then([&] {
          return redefine(*was, def, now_ms);
        });
      }
    } else {
      const auto here = read_definition(db_, def.name);
      const bool adopts = here && declared_alike(*here, def);
      done = (adopts ? Result<void>() : run_here(change.sql.front(), now_ms))
                 .and_then([&] { return is_as_said(def); })
                 .and_then([&] { return storage_.add_table(state_, def); })
                 .map([](const auto&) {});
    }
    if (!done) return done;
  }
  if (change.tables.empty() && !ends_retired(statement)) {
    if (auto done = run_other_here(change.sql.front(), now_ms); !done) return done;
  }
  for (const auto& name : change.dropped) {
    const Table* t = state_.world->named(name);
    const bool taken = std::any_of(change.tables.begin(), change.tables.end(),
                                   [&](const TableDef& def) { return same_name(def.name, name); });
    if (t == nullptr || taken) continue;
    auto done = t->retired() ? drop_aside(*t) : Result<void>();
    done = done.and_then([&] { return storage_.drop_table(state_, *t); });
    if (!done) return done;
  }
  return storage_.refresh_schema(state_);
}

// Tables that end here because another has taken over their rows. What the leader had not seen of
// them has no place in it.
Result<void> SchemaChanger::take_over(const SchemaChange& change, const VersionVector& seen,
                                      bool creates, uint64_t now_ms) {
  const Table* heir = change.tables.empty() ? nullptr : state_.world->same(change.tables.front());
  if (heir == nullptr) return {};
  for (const auto& name : change.dropped) {
    const Table* t = state_.world->named(name);
    if (t == nullptr || t->id == heir->id) continue;
    const bool by_us = creates || t->retired();  // otherwise the statement drops it
    const auto sql = "DROP TABLE " + quote_name(t->def.name);
    auto done = list_late_rows(*t, *heir, seen, now_ms);
    if (done && by_us) {
      const Plainly plainly(db_);
      done = db_.exec(sql);
    }
    const auto kept = state_.world->tables.at(lower(t->def.name));
    done = done.and_then([&] { return storage_.drop_table(state_, *kept, heir->id); });
    if (!done) return done;
  }
  return {};
}

Result<void> SchemaChanger::list_late_rows(const Table& t, const Table& heir,
                                           const VersionVector& seen, uint64_t now_ms) {
  auto late = late_rows(t, seen);
  if (!late) return tl::unexpected(late.error());
  for (const auto& key : *late) {
    auto loaded = rows_.load(*state_.world, t, key);
    if (!loaded) return tl::unexpected(loaded.error());
    auto done = log_.add(*state_.world, heir, key, left_over(loaded->state, seen), now_ms);
    if (!done) return done;
  }
  return log_.flush();
}

Result<void> SchemaChanger::make_anew(const Table& was, const TableDef& def,
                                      const SchemaChange& change, uint64_t now_ms) {
  const auto old = state_.world->tables.at(lower(was.def.name));
  if (auto done = old->retired() ? Result<void>() : set_aside(*old); !done) return done;
  auto done = sql_.run_schema(change.sql.front())
                  .and_then([&] { return is_as_said(def); })
                  .and_then([&] { return keeps_key(*old, def); })
                  .and_then([&] { return storage_.redefine_table(state_, *old, def); });
  if (!done) return tl::unexpected(done.error());
  const auto& now = *done;
  if (auto copied = copy_rows(*now, *old, now_ms); !copied) return copied;
  if (auto gone = drop_aside(*old); !gone) return gone;
  for (size_t i = 1; i < change.sql.size(); ++i) {
    auto made = run_here(change.sql[i], now_ms);
    if (!made && fatal(made.error())) return made;
  }
  return rows_.conform(*state_.world, *old, *now, now_ms);
}

// An index, a view, a trigger.
Result<void> SchemaChanger::run_other_here(const std::string& sql, uint64_t now_ms) {
  auto done = run_here(sql, now_ms);
  if (done || blame_of(done.error()) != Blame::kRow) return done;
  const Table* t = state_.world->find(indexed_table(words_of(sql)));
  return t != nullptr ? take_rows_out(*t, sql, t->def, now_ms) : done;
}

// A statement that fails for the rows of a table is run while it is empty: the table is made anew
// as it is, then it runs, then the rows are put back, but for those that it does not let in.
Result<void> SchemaChanger::take_rows_out(const Table& t, const std::string& sql,
                                          const TableDef& def, uint64_t now_ms) {
  const auto old = state_.world->tables.at(lower(t.def.name));
  auto texts = texts_of(old->def.name);
  if (!texts) return tl::unexpected(texts.error());
  if (auto done = set_aside(*old); !done) return done;
  texts->push_back(sql);
  for (const auto& text : *texts) {
    if (auto done = sql_.run_schema(text); !done) return done;
  }
  auto now = is_as_said(def).and_then([&] { return keeps_key(*old, def); }).and_then([&] {
    return storage_.redefine_table(state_, *old, def);
  });
  if (!now) return tl::unexpected(now.error());
  return copy_rows(**now, *old, now_ms).and_then([&] { return drop_aside(*old); }).and_then([&] {
    return rows_.conform(*state_.world, *old, **now, now_ms);
  });
}

// Rows that the new table's constraints refuse are in quarantine then.
Result<void> SchemaChanger::copy_rows(const Table& now, const Table& was, uint64_t now_ms) {
  std::string columns;
  for (const auto& c : now.columns) {
    columns += (columns.empty() ? "" : ", ") + quote_name(c.name);
  }
  std::vector<Value> values;
  const std::string old =
      "SELECT " + old_columns(now, was, values).substr(2) + " FROM " + aside_name(was) + " AS o";
  const std::string here = quote_name(now.def.name);
  const auto bind = [&](Stmt& q) {
    int at = 0;
    for (const auto& v : values) q.bind(++at, v);
  };
  auto copy = db_.prepare("INSERT OR IGNORE INTO " + here + " (" + columns + ") " + old);
  if (!copy) return tl::unexpected(copy.error());
  bind(*copy);
  // A row that makes an expression raise stops the statement: then each is tried.
  auto copied = copy->run();
  if (!copied && blame_of(copied.error()) != Blame::kRow) return copied;
  std::vector<size_t> all(now.columns.size());
  std::iota(all.begin(), all.end(), size_t{0});
  auto insert = db_.prepare(now.insert_sql(all));
  if (!insert) return tl::unexpected(insert.error());
  std::map<Key, Row> refused;
  auto q = db_.prepare(old + " WHERE NOT EXISTS (SELECT 1 FROM " + here + " AS n WHERE " +
                       same_rows(now, was) + ")");
  if (!q) return tl::unexpected(q.error());
  bind(*q);
  auto next = q->step();
  for (; next && *next; next = q->step()) {
    Row row;
    std::vector<Value> parts;
    for (size_t i = 0; i < now.columns.size(); ++i) {
      row.emplace(now.columns[i].name, q->value(static_cast<int>(i)));
    }
    for (size_t i = 0; i < now.columns.size() && !copied; ++i) {
      insert->bind(static_cast<int>(i + 1), row.find(now.columns[i].name)->second);
    }
    auto tried = copied ? Result<void>() : insert->run();
    if (!copied && tried) continue;
    if (!tried && blame_of(tried.error()) != Blame::kRow) return tried;
    for (const size_t i : now.key) parts.push_back(row[now.columns[i].name]);
    auto key = canonical_key(now.def, parts);
    if (key) refused.emplace(std::move(*key), std::move(row));
  }
  if (!next) return tl::unexpected(next.error());
  for (auto& [key, row] : refused) {
    auto loaded = rows_.load(*state_.world, now, key, std::move(row));
    if (!loaded) return tl::unexpected(loaded.error());
    loaded->shown.reset();
    rows_.note(now, key, true, false);
    if (auto done = rows_.store(*state_.world, now, key, *loaded, now_ms); !done) return done;
  }
  return {};
}

}  // namespace entente::sqlite
