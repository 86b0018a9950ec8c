#include "tests/simulation/user_world/shape.h"

#include <algorithm>
#include <functional>

namespace entente::simulation::user_world {
namespace {

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

std::string replace_names(const std::string& expression,
                          const std::function<std::string(const std::string&)>& name_of) {
  std::string out;
  for (size_t at = 0; at < expression.size(); ++at) {
    if (expression[at] != '{') {
      out += expression[at];
      continue;
    }
    const size_t end = expression.find('}', at);
    out += name_of(expression.substr(at + 1, end - at - 1));
    at = end;
  }
  return out;
}

std::string declaration(const ShapeColumn& c, const Shape& shape) {
  std::string out = c.name + (c.type.empty() ? "" : " " + c.type);
  if (!c.constraints.empty()) out += " " + c.constraints;
  if (c.generated.empty()) return out;
  return out + " GENERATED ALWAYS AS (" + spelled(c.generated, shape) + ") " +
         (c.stored ? "STORED" : "VIRTUAL");
}

std::string terms_of(const ShapeUnique& unique, const Shape& shape) {
  std::vector<std::string> terms;
  for (const auto& term : unique.terms) {
    const std::string text = spelled(term.expression, shape);
    const bool plain = text.find('(') == std::string::npos;
    const ShapeColumn* column = plain ? shape.named(text) : nullptr;
    const bool nocase = column != nullptr && column->nocase();
    const bool usual = nocase == (term.collation == "NOCASE");
    terms.push_back(usual ? text : text + " COLLATE " + term.collation);
  }
  return join(terms);
}

// ---- Drawing -----------------------------------------------------------------------------------

void draw_key(Shape& shape, const Draws& draws, Random& random) {
  const std::string word =
      draws.has(Draw::kNocaseKey) && random.chance(0.7) ? "NOT NULL COLLATE NOCASE" : "NOT NULL";
  if (draws.has(Draw::kCompositeKey) && random.chance(0.7)) {
    shape.columns.push_back({"k1", "k1", "INTEGER", Fill::kKeyNumber, "NOT NULL"});
    shape.columns.push_back({"k2", "k2", "TEXT", Fill::kKeyWord, word});
    shape.columns[0].key_part = random.chance(0.5) ? 1 : 2;
    shape.columns[1].key_part = 3 - shape.columns[0].key_part;
  } else if (draws.has(Draw::kTextKey) || draws.has(Draw::kNocaseKey)) {
    shape.columns.push_back({"k", "k", "TEXT", Fill::kKeyWord, word});
    shape.columns[0].key_part = 1;
  } else {
    shape.columns.push_back({"id", "id", "INTEGER", Fill::kKeyNumber});
    shape.columns[0].key_part = 1;
  }
  // Plain SQLite gives the number of a deleted row again.
  const bool keyless = draws.has(Draw::kKeyless) && !draws.has(Draw::kAlone);
  if (keyless) {
    shape.columns = {{"rowid", "rowid", "INTEGER", Fill::kKeyNumber}};
    shape.columns[0].key_part = 1;
    shape.columns[0].rowid = true;
    return;
  }
  const bool words = std::all_of(shape.columns.begin(), shape.columns.end(), [](const auto& c) {
    return c.constraints.find("NOT NULL") != std::string::npos;
  });
  shape.unique_is_key = draws.has(Draw::kUniqueAsKey) && words;
  if (shape.unique_is_key) return;
  shape.without_rowid = draws.has(Draw::kWithoutRowid) && random.chance(0.7);
}

void shuffle(std::vector<ShapeColumn>& columns, Random& random) {
  for (size_t i = columns.size(); i > 1; --i) std::swap(columns[i - 1], columns[random.below(i)]);
}

// As they are stored, a table without rowid has its key first: unless the seed has columns
// anywhere.
void place_columns(Shape& shape, const Draws& draws, Random& random) {
  shuffle(shape.columns, random);
  if (!shape.without_rowid || draws.has(Draw::kVirtualAnywhere)) return;
  const auto place = [](const ShapeColumn& c) { return c.key_part > 0 ? c.key_part : 10; };
  std::stable_sort(shape.columns.begin(), shape.columns.end(),
                   [&](const auto& x, const auto& y) { return place(x) < place(y); });
}

void draw_uniques(Shape& shape, const Draws& draws, Random& random) {
  const bool has_pair = shape.find("b") != nullptr;
  if (draws.has(Draw::kUnique)) {
    const bool declared = random.chance(0.5);
    shape.uniques.push_back({declared ? "" : shape.id + "_a",
                             {{"{a}", shape.find("a")->nocase() ? "NOCASE" : "BINARY"}},
                             {"a"}});
    if (declared && draws.has(Draw::kUniqueOnConflict)) {
      constexpr const char* kClauses[] = {"REPLACE", "IGNORE", "FAIL", "ABORT"};
      shape.uniques.back().clause = std::string("ON CONFLICT ") + kClauses[random.below(4)];
    }
  }
  if (draws.has(Draw::kUniquePair) && has_pair) {
    const std::string b = shape.find("b")->nocase() ? "NOCASE" : "BINARY";
    shape.uniques.push_back(
        {random.chance(0.5) ? "" : shape.id + "_bn", {{"{b}", b}, {"{n}"}}, {"b", "n"}});
  }
  if (draws.has(Draw::kUniquePartial)) {
    const bool word = random.chance(0.5);
    const std::string column = word ? "a" : "n";
    shape.uniques.push_back(
        {shape.id + "_live", {{"{" + column + "}"}}, {column, "gone"}, "{gone} = 0"});
    if (shape.find(column)->nocase()) shape.uniques.back().terms[0].collation = "NOCASE";
  }
  if (draws.has(Draw::kUniqueExpression)) {
    if (random.chance(0.5)) {
      shape.uniques.push_back({shape.id + "_lower", {{"lower({a})"}}, {"a"}});
    } else {
      shape.uniques.push_back(
          {shape.id + "_sum", {{"({n} + {lo})"}, {"lower({a})"}}, {"n", "lo", "a"}});
    }
  }
  if (draws.has(Draw::kUniqueGenerated) && shape.find("g") != nullptr) {
    shape.uniques.push_back({shape.id + "_g", {{"{g}"}}, {"a", "n"}});
  }
  if (draws.has(Draw::kUniqueCollation)) {
    const bool nocase = shape.find("a")->nocase();
    shape.uniques.push_back({shape.id + "_as", {{"{a}", nocase ? "BINARY" : "NOCASE"}}, {"a"}});
  }
}

void draw_generated(Shape& shape, const Draws& draws, Random& random) {
  if (shape.without_rowid && !draws.has(Draw::kVirtualAnywhere)) return;
  for (const bool stored : {false, true}) {
    if (!draws.has(stored ? Draw::kStoredColumn : Draw::kVirtualColumn)) continue;
    const bool first = shape.find("g") == nullptr;
    const bool word = random.chance(0.5);
    const char* name = first ? "g" : "g2";
    shape.columns.push_back({name, name, word ? "TEXT" : "INTEGER"});
    shape.columns.back().generated =
        word ? "lower({a}) || coalesce({n}, '')" : "coalesce({n}, 0) * 2 + length({a})";
    shape.columns.back().stored = stored;
  }
}

void draw_rules(Shape& shape, const Draws& draws, Random& random) {
  TableRules& rules = shape.rules;
  if (draws.has(Draw::kRowGranularity)) rules.granularity = Granularity::kRow;
  if (draws.has(Draw::kUniqueLast)) rules.unique = UniqueWins::kLast;
  if (draws.has(Draw::kPriority)) rules.policy.kind = PolicyKind::kPriority;
  if (draws.has(Draw::kDeleteRules)) {
    rules.delete_update =
        random.chance(0.5) ? DeleteUpdate::kDeleteWins : DeleteUpdate::kUpdateWins;
  }
  const auto policy = [&](const char* column) -> Policy& { return rules.columns[column]; };
  if (draws.has(Draw::kMinMax)) {
    policy("note").kind = PolicyKind::kMerge;
    policy("note").merge = random.chance(0.5) ? MergeKind::kMin : MergeKind::kMax;
  }
  if (shape.find("hits") != nullptr) policy("hits").kind = PolicyKind::kCounter;
  if (shape.find("tags") != nullptr) {
    policy("tags").kind = PolicyKind::kMerge;
    policy("tags").merge = MergeKind::kUnion;
  }
  if (!draws.has(Draw::kOrphansHide) || shape.references.empty()) return;
  const bool self = std::any_of(shape.references.begin(), shape.references.end(),
                                [&](const auto& r) { return r.parent == shape.id; });
  const bool may = (draws.has(Draw::kHideAndUnique) || shape.uniques.empty()) &&
                   (draws.has(Draw::kHideAndSelf) || !self);
  if (may) rules.orphans = Orphans::kHide;
}

std::string draw_actions(const Draws& draws, Random& random) {
  constexpr const char* kActions[] = {"CASCADE", "SET NULL", "RESTRICT", "NO ACTION",
                                      "SET DEFAULT"};
  std::string out;
  if (draws.has(Draw::kForeignKeyActions)) {
    out += std::string(" ON DELETE ") + kActions[random.below(5)];
    if (random.chance(0.5)) out += std::string(" ON UPDATE ") + kActions[random.below(5)];
  }
  if (draws.has(Draw::kDeferredKey)) out += " DEFERRABLE INITIALLY DEFERRED";
  return out;
}

// A column that refers to the single column of `parent`'s key.
void add_reference(Shape& shape, const Shape& parent, const std::string& column, const Draws& draws,
                   Random& random) {
  const ShapeColumn* to = parent.key().front();
  shape.columns.push_back({column, column, to->type, Fill::kReference});
  shape.references.push_back({column, parent.id, to->id, draw_actions(draws, random)});
}

void draw_columns(Shape& shape, const Draws& draws, Random& random) {
  const std::string nocase = random.chance(0.3) ? "COLLATE NOCASE" : "";
  shape.columns.push_back({"a", "a", "TEXT", Fill::kWord, nocase});
  if (random.chance(0.7)) {
    shape.columns.push_back(
        {"b", "b", "TEXT", Fill::kWord, random.chance(0.3) ? "COLLATE NOCASE" : ""});
  }
  shape.columns.push_back({"n", "n", "INTEGER", Fill::kNumber});
  shape.columns.push_back({"lo", "lo", "INTEGER", Fill::kLow});
  shape.columns.push_back({"hi", "hi", "INTEGER", Fill::kHigh});
  shape.columns.push_back({"gone", "gone", "INTEGER", Fill::kFlag, "NOT NULL DEFAULT 0"});
  const bool any = draws.has(Draw::kUntyped);
  shape.columns.push_back({"note", "note", any ? (shape.strict ? "ANY" : "") : "TEXT",
                           any ? Fill::kAnything : Fill::kWord});
  if (draws.has(Draw::kCounter))
    shape.columns.push_back({"hits", "hits", "INTEGER", Fill::kCounter, "NOT NULL DEFAULT 0"});
  if (draws.has(Draw::kSet) && !draws.has(Draw::kAlone) && !shape.keyless())
    shape.columns.push_back({"tags", "tags", "TEXT", Fill::kElements, "NOT NULL DEFAULT '[]'"});
}

// What no UNIQUE key of a join table says is the same in all its rows.
void make_alike(Shape& shape) {
  for (auto& c : shape.columns) {
    const bool said = c.key_part > 0 || c.id == "a" || c.id == "b";
    if (!said && c.fill != Fill::kReference) c.fill = Fill::kSame;
  }
}

void draw_check(Shape& shape, const Draws& draws) {
  if (draws.has(Draw::kCheck)) shape.checks.push_back("{lo} <= {hi}");
}

// UNIQUE keys, where the rules of the table allow them.
bool may_have_uniques(const Draws& draws) {
  return !draws.has(Draw::kRowGranularity) || draws.has(Draw::kUniqueByRow);
}

Shape empty_shape(const char* name) {
  Shape shape;
  shape.id = shape.name = name;
  return shape;
}

Shape draw_parent(const Draws& draws, Random& random) {
  Shape shape = empty_shape("p");
  const bool words = draws.has(Draw::kTextKey) || draws.has(Draw::kNocaseKey);
  if (words && random.chance(0.5)) {
    shape.columns.push_back({"k", "k", "TEXT", Fill::kKeyWord,
                             draws.has(Draw::kNocaseKey) ? "NOT NULL COLLATE NOCASE" : "NOT NULL"});
  } else {
    shape.columns.push_back({"id", "id", "INTEGER", Fill::kKeyNumber});
  }
  shape.columns[0].key_part = 1;
  shape.columns.push_back({"a", "a", "TEXT", Fill::kWord});
  shape.columns.push_back({"lo", "lo", "INTEGER", Fill::kLow});
  shape.columns.push_back({"hi", "hi", "INTEGER", Fill::kHigh});
  if (draws.has(Draw::kParentHidden) && may_have_uniques(draws)) {
    shape.uniques.push_back({"p_a", {{"{a}"}}, {"a"}});
    draw_check(shape, draws);
  }
  draw_rules(shape, draws, random);
  shape.rules.columns.clear();
  return shape;
}

Shape draw_main(const Draws& draws, const Shapes& parents, Random& random) {
  Shape shape = empty_shape("t");
  shape.strict = draws.has(Draw::kStrict);
  draw_key(shape, draws, random);
  draw_columns(shape, draws, random);
  if (shape.keyless() && draws.has(Draw::kAlike)) make_alike(shape);
  draw_generated(shape, draws, random);
  for (const auto& parent : parents) add_reference(shape, parent, "up", draws, random);
  if (draws.has(Draw::kSelfReference) && shape.key().size() == 1 && !shape.keyless()) {
    add_reference(shape, Shape(shape), "boss", draws, random);
  }
  draw_check(shape, draws);
  if (may_have_uniques(draws)) draw_uniques(shape, draws, random);
  draw_rules(shape, draws, random);
  place_columns(shape, draws, random);
  if (draws.has(Draw::kTrigger)) {
    const std::string key = "{" + shape.key().front()->id + "}";
    shape.triggers.push_back(
        "CREATE TRIGGER t_touched AFTER UPDATE OF {n}, {note} ON t BEGIN UPDATE t SET {lo} = 0 "
        "WHERE " +
        key + " = NEW." + key + " AND {lo} IS NOT 0; END");
  }
  return shape;
}

Shape draw_child(const Draws& draws, const Shape& parent, Random& random) {
  Shape shape = empty_shape("c");
  shape.columns.push_back({"id", "id", "INTEGER", Fill::kKeyNumber});
  shape.columns[0].key_part = 1;
  shape.columns.push_back({"note", "note", "TEXT", Fill::kWord});
  add_reference(shape, parent, "up", draws, random);
  draw_rules(shape, draws, random);
  shape.rules.columns.clear();
  return shape;
}

}  // namespace

std::string spelled(const std::string& expression, const Shape& shape) {
  return replace_names(expression, [&](const std::string& id) { return shape.find(id)->name; });
}

std::string spelled_by_id(const std::string& expression) {
  return replace_names(expression, [](const std::string& id) { return id; });
}

const ShapeColumn* Shape::find(const std::string& column_id) const {
  const auto it = std::find_if(columns.begin(), columns.end(),
                               [&](const auto& c) { return c.id == column_id; });
  return it == columns.end() ? nullptr : &*it;
}

const ShapeColumn* Shape::named(const std::string& column) const {
  const auto it =
      std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.name == column; });
  return it == columns.end() ? nullptr : &*it;
}

std::vector<const ShapeColumn*> Shape::key() const {
  std::vector<const ShapeColumn*> out;
  for (size_t part = 1;; ++part) {
    const auto it = std::find_if(columns.begin(), columns.end(),
                                 [&](const auto& c) { return c.key_part == part; });
    if (it == columns.end()) return out;
    out.push_back(&*it);
  }
}

std::vector<const ShapeColumn*> Shape::declared() const {
  std::vector<const ShapeColumn*> out;
  for (const auto& c : columns) {
    if (!c.rowid) out.push_back(&c);
  }
  return out;
}

std::vector<const ShapeColumn*> Shape::written() const {
  std::vector<const ShapeColumn*> out;
  for (const auto& c : columns) {
    if (c.generated.empty()) out.push_back(&c);
  }
  return out;
}

TableDef Shape::definition() const {
  TableDef def{id, {}};
  for (const auto* c : written()) {
    const bool any = c->type.empty() || c->type == "ANY";
    def.columns.push_back({c->id, c->type, any ? Affinity::kBlob : affinity_of(c->type),
                           c->nocase() ? Collation::kNocase : Collation::kBinary, false,
                           static_cast<uint16_t>(c->key_part)});
    def.columns.back().rowid = c->rowid;
  }
  return def;
}

const Shape* find(const Shapes& shapes, const std::string& id) {
  const auto it =
      std::find_if(shapes.begin(), shapes.end(), [&](const auto& s) { return s.id == id; });
  return it == shapes.end() ? nullptr : &*it;
}

const Shape* named(const Shapes& shapes, const std::string& name) {
  const auto it = std::find_if(shapes.begin(), shapes.end(),
                               [&](const auto& s) { return s.name == name && s.there; });
  return it == shapes.end() ? nullptr : &*it;
}

std::string create_table(const Shape& shape, const Shapes& all, const std::string& as) {
  std::vector<std::string> parts, key;
  for (const auto* c : shape.declared()) parts.push_back(declaration(*c, shape));
  for (const auto* c : shape.key()) key.push_back(c->name);
  const std::string demanded = shape.unique_is_key ? "UNIQUE" : "PRIMARY KEY";
  if (!shape.keyless()) parts.push_back(demanded + " (" + join(key) + ")");
  for (const auto& u : shape.uniques) {
    if (u.name.empty()) parts.push_back("UNIQUE (" + terms_of(u, shape) + ") " + u.clause);
  }
  for (const auto& check : shape.checks) parts.push_back("CHECK (" + spelled(check, shape) + ")");
  for (const auto& r : shape.references) {
    const Shape& parent = r.parent == shape.id ? shape : *find(all, r.parent);
    const std::string to = parent.name + " (" + parent.find(r.to)->name + ")";
    parts.push_back("FOREIGN KEY (" + shape.find(r.column)->name + ") REFERENCES " + to +
                    r.actions);
  }
  std::vector<std::string> options;
  if (shape.without_rowid) options.emplace_back("WITHOUT ROWID");
  if (shape.strict) options.emplace_back("STRICT");
  return "CREATE TABLE " + as + " (" + join(parts) + ") " + join(options);
}

std::string create_index(const Shape& shape, const ShapeUnique& unique) {
  std::string out = "CREATE UNIQUE INDEX " + unique.name + " ON " + shape.name + " (" +
                    terms_of(unique, shape) + ")";
  if (!unique.where.empty()) out += " WHERE " + spelled(unique.where, shape);
  return out;
}

std::vector<std::string> statements_of(const Shape& shape, const Shapes& all) {
  std::vector<std::string> out{create_table(shape, all, shape.name)};
  for (const auto& u : shape.uniques) {
    if (!u.name.empty()) out.push_back(create_index(shape, u));
  }
  for (const auto& index : shape.indexes) out.push_back(spelled(index, shape));
  for (const auto& trigger : shape.triggers) out.push_back(spelled(trigger, shape));
  return out;
}

Shapes draw_shapes(const Draws& draws, Random& random) {
  Shapes shapes;
  if (draws.has(Draw::kForeignKey)) shapes.push_back(draw_parent(draws, random));
  shapes.push_back(draw_main(draws, Shapes(shapes), random));
  if (draws.has(Draw::kForeignKey) && draws.has(Draw::kChildTable) &&
      shapes.back().key().size() == 1 && !shapes.back().keyless()) {
    shapes.push_back(draw_child(draws, Shape(shapes.back()), random));
  }
  return shapes;
}

ConflictRules rules_of(const Shapes& shapes, const std::vector<std::string>& datacenters) {
  ConflictRules rules;
  for (const auto& shape : shapes) {
    rules.tables[shape.id] = shape.rules;
    for (const char* before : {"new_", "old_"}) rules.tables[before + shape.id] = shape.rules;
  }
  int rank = 10;
  for (const auto& dc : datacenters) rules.priorities[dc] = rank += 10;
  return rules;
}

}  // namespace entente::simulation::user_world
