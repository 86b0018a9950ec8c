#include "tests/simulation/user_world/client.h"

#include <algorithm>

#include "conflict/merge.h"

namespace entente::simulation::user_world {
namespace {

std::string names_of(const std::vector<const ShapeColumn*>& columns) {
  std::string out;
  for (const auto* c : columns) out += (out.empty() ? "" : ", ") + c->name;
  return out;
}

std::string marks(size_t n) {
  std::string out;
  for (size_t i = 0; i < n; ++i) out += i == 0 ? "?" : ", ?";
  return out;
}

std::string where_key(const Shape& shape) {
  std::string out;
  for (const auto* c : shape.key()) out += (out.empty() ? " WHERE " : " AND ") + c->name + " = ?";
  return out;
}

Statement statement(std::string sql, std::vector<Value> args) {
  Statement out;
  out.sql = std::move(sql);
  out.args = std::move(args);
  return out;
}

}  // namespace

std::string describe(const Action& action) {
  std::string out = action.sql ? action.sql->sql + " --" : "row request:";
  if (action.sql) {
    for (const auto& arg : action.sql->args) out += " " + entente::describe(arg);
    return out;
  }
  constexpr const char* kKinds[] = {"put", "patch", "erase", "increment", "resolve", "renew"};
  out += std::string(" ") + kKinds[static_cast<size_t>(action.row->kind)] + " " + action.row->table;
  for (const auto& part : action.row->key) out += " " + entente::describe(part);
  for (const auto& [name, value] : action.row->columns)
    out += " " + name + "=" + entente::describe(value);
  return out + (action.row->context ? " with a context" : "");
}

std::vector<Action> Client::draw_transaction(const Shapes& shapes) {
  const int64_t most = draws_.has(Draw::kSeveralStatements) ? random_.between(1, 3) : 1;
  std::vector<const Shape*> there;
  for (const auto& shape : shapes) {
    if (shape.there) there.push_back(&shape);
  }
  std::vector<Action> out;
  for (int64_t i = 0; i < most && !there.empty(); ++i) out.push_back(draw(there, shapes));
  return out;
}

std::optional<Seen> Client::draw_read(const Shapes& shapes) {
  const Shape& shape = random_.pick(shapes);
  if (!shape.there) return std::nullopt;
  return Seen{shape.id, key_values(shape), {}};
}

Action Client::draw(const std::vector<const Shape*>& there, const Shapes& shapes) {
  const Shape& shape = *random_.pick(there);
  const bool requests = draws_.has(Draw::kRowRequest) && !draws_.has(Draw::kAlone);
  if (requests && random_.chance(0.3)) return draw_row(shape, shapes);
  const auto sql = [](Statement s) { return Action{std::move(s), std::nullopt}; };
  switch (random_.below(12)) {
    case 0:
    case 1:
      return sql(insert(shape, shapes));
    case 2:
      return sql(insert_in_order(shape, shapes));
    case 3:
      return sql(draws_.has(Draw::kUpsert) ? upsert(shape, shapes) : insert(shape, shapes));
    case 4:
      return sql(draws_.has(Draw::kMoveKey) ? move_key(shape) : update(shape, shapes));
    case 5:
      return sql(draws_.has(Draw::kRespellKey) ? respell_key(shape) : update(shape, shapes));
    case 6:
      return sql(draws_.has(Draw::kUpdateFrom) ? update_from(shape, shapes)
                                               : update(shape, shapes));
    case 7:
      return sql(erase(shape));
    case 8:
      return sql(count_up(shape));
    case 9:
      return sql(update_some(shape, shapes));
    default:
      return sql(update(shape, shapes));
  }
}

// ---- Statements --------------------------------------------------------------------------------

Statement Client::insert(const Shape& shape, const Shapes& shapes) {
  const auto columns = shape.written();
  std::string verb = "INSERT INTO ";
  if (draws_.has(Draw::kReplace) && random_.chance(0.4)) verb = "INSERT OR REPLACE INTO ";
  if (draws_.has(Draw::kUpsert) && random_.chance(0.2)) verb = "INSERT OR IGNORE INTO ";
  const size_t rows = draws_.has(Draw::kSeveralRows) && random_.chance(0.3) ? 3 : 1;
  std::string sql = verb + shape.name + " (" + names_of(columns) + ") VALUES ";
  std::vector<Value> args;
  for (size_t i = 0; i < rows; ++i) {
    sql += (i == 0 ? "(" : ", (") + marks(columns.size()) + ")";
    for (const auto* c : columns) args.push_back(value(shape, *c, shapes));
  }
  return statement(sql + (random_.chance(0.3) ? " RETURNING *" : ""), std::move(args));
}

// Names no column: SQLite takes those that there are now.
Statement Client::insert_in_order(const Shape& shape, const Shapes& shapes) {
  auto columns = shape.written();
  std::erase_if(columns, [](const auto* c) { return c->rowid; });
  std::vector<Value> args;
  for (const auto* c : columns) args.push_back(value(shape, *c, shapes));
  return statement("INSERT INTO " + shape.name + " VALUES (" + marks(columns.size()) + ")",
                   std::move(args));
}

Statement Client::upsert(const Shape& shape, const Shapes& shapes) {
  Statement out = insert(shape, shapes);
  if (out.sql.find(" OR ") != std::string::npos) return out;
  const size_t returning = std::min(out.sql.find(" RETURNING"), out.sql.size());
  const std::string tail = out.sql.substr(returning);
  out.sql.resize(returning);
  if (random_.chance(0.3)) {
    out.sql += " ON CONFLICT DO NOTHING" + tail;
    return out;
  }
  const ShapeColumn& c = pick_column(shape);
  out.sql += " ON CONFLICT (" + names_of(shape.key()) + ") DO UPDATE SET " + c.name +
             " = excluded." + c.name + tail;
  return out;
}

Statement Client::update(const Shape& shape, const Shapes& shapes) {
  const ShapeColumn& c = pick_column(shape);
  std::vector<Value> args{value(shape, c, shapes)};
  for (auto& part : key_values(shape)) args.push_back(std::move(part));
  const std::string verb =
      draws_.has(Draw::kReplace) && random_.chance(0.2) ? "UPDATE OR REPLACE " : "UPDATE ";
  return statement(verb + shape.name + " SET " + c.name + " = ?" + where_key(shape) +
                       (random_.chance(0.2) ? " RETURNING *" : ""),
                   std::move(args));
}

// Several columns of several rows.
Statement Client::update_some(const Shape& shape, const Shapes& shapes) {
  const ShapeColumn &c = pick_column(shape), &other = pick_column(shape);
  const std::string key = shape.key().front()->name;
  if (&c == &other) return update(shape, shapes);
  return statement(
      "UPDATE OR IGNORE " + shape.name + " SET " + c.name + " = ?, " + other.name + " = ? WHERE " +
          key + " < ?",
      {value(shape, c, shapes), value(shape, other, shapes), key_value(shape.key().front()->fill)});
}

Statement Client::move_key(const Shape& shape) {
  const ShapeColumn* key = shape.key().front();
  std::vector<Value> args{key_value(key->fill)};
  for (auto& part : key_values(shape)) args.push_back(std::move(part));
  const std::string verb =
      draws_.has(Draw::kReplace) && random_.chance(0.3) ? "UPDATE OR REPLACE " : "UPDATE ";
  return statement(verb + shape.name + " SET " + key->name + " = ?" + where_key(shape),
                   std::move(args));
}

Statement Client::respell_key(const Shape& shape) {
  const auto key = shape.key();
  const auto word = std::find_if(key.begin(), key.end(), [](const auto* c) { return c->nocase(); });
  if (word == key.end()) return move_key(shape);
  const std::string how = random_.chance(0.5) ? "upper(" : "lower(";
  return statement("UPDATE " + shape.name + " SET " + (*word)->name + " = " + how + (*word)->name +
                       ")" + where_key(shape),
                   key_values(shape));
}

Statement Client::update_from(const Shape& shape, const Shapes& shapes) {
  const Shape* parent =
      shape.references.empty() ? nullptr : find(shapes, shape.references[0].parent);
  const ShapeColumn* from = parent == nullptr ? nullptr : parent->find("a");
  const ShapeColumn* to = shape.find("b");
  if (from == nullptr || to == nullptr || parent == &shape) return update(shape, shapes);
  return statement("UPDATE OR IGNORE " + shape.name + " SET " + to->name + " = q." + from->name +
                       " FROM " + parent->name + " AS q WHERE q." + parent->key().front()->name +
                       " = " + shape.name + "." + shape.find(shape.references[0].column)->name,
                   {});
}

Statement Client::count_up(const Shape& shape) {
  const ShapeColumn* c = shape.find("hits");
  if (c == nullptr) c = shape.find("lo");
  if (c == nullptr) return erase(shape);
  std::vector<Value> args{random_.between(-3, 3)};
  for (auto& part : key_values(shape)) args.push_back(std::move(part));
  return statement(
      "UPDATE " + shape.name + " SET " + c->name + " = " + c->name + " + ?" + where_key(shape),
      std::move(args));
}

Statement Client::erase(const Shape& shape) {
  if (shape.find("gone") != nullptr && random_.chance(0.1)) {
    return statement("DELETE FROM " + shape.name + " WHERE " + shape.find("gone")->name + " = 1",
                     {});
  }
  return statement(
      "DELETE FROM " + shape.name + where_key(shape) + (random_.chance(0.3) ? " RETURNING *" : ""),
      key_values(shape));
}

// ---- Row requests ------------------------------------------------------------------------------

Action Client::draw_row(const Shape& shape, const Shapes& shapes) {
  RowRequest request;
  request.table = shape.name;
  request.key = key_values(shape);
  const auto drawn = random_.below(10);
  request.kind = drawn < 3   ? RowRequest::Kind::kPut
                 : drawn < 7 ? RowRequest::Kind::kPatch
                 : drawn < 8 ? RowRequest::Kind::kErase
                             : RowRequest::Kind::kIncrement;
  const bool has_counter = shape.find("hits") != nullptr;
  if (!has_counter && request.kind == RowRequest::Kind::kIncrement)
    request.kind = RowRequest::Kind::kPatch;
  if (!shape.uniques.empty() && !draws_.has(Draw::kPutUnchanged) &&
      request.kind == RowRequest::Kind::kPut) {
    request.kind = RowRequest::Kind::kPatch;
  }
  if (request.kind == RowRequest::Kind::kIncrement) {
    request.columns[shape.find("hits")->name] = random_.between(-3, 3);
  } else if (request.kind != RowRequest::Kind::kErase) {
    for (const auto* c : shape.written()) {
      const bool named = request.kind == RowRequest::Kind::kPut || random_.chance(0.3);
      if (c->key_part == 0 && named) request.columns[c->name] = value(shape, *c, shapes);
    }
  }
  const bool may = draws_.has(Draw::kOldContext) && !seen_.empty() &&
                   (!has_counter || draws_.has(Draw::kOldContextOfCounter));
  const Seen* seen = may && random_.chance(0.5) ? &random_.pick(seen_) : nullptr;
  if (seen != nullptr && seen->table == shape.id && seen->key.size() == request.key.size()) {
    request.key = seen->key;
    request.context = seen->context;
  }
  return {std::nullopt, std::move(request)};
}

// ---- Values ------------------------------------------------------------------------------------

// One that is not in the key.
const ShapeColumn& Client::pick_column(const Shape& shape) {
  std::vector<const ShapeColumn*> columns = shape.written();
  std::erase_if(columns, [](const auto* c) { return c->key_part > 0; });
  return *random_.pick(columns);
}

std::vector<Value> Client::key_values(const Shape& shape) {
  std::vector<Value> out;
  for (const auto* c : shape.key()) out.push_back(key_value(c->fill));
  return out;
}

Value Client::key_value(Fill fill) {
  if (fill == Fill::kKeyNumber) return random_.between(1, 5);
  constexpr const char* kKeys[] = {"ab", "cd", "e", "AB", "Ab", "CD"};
  return std::string(kKeys[random_.below(draws_.has(Draw::kRespellKey) ? 6 : 3)]);
}

Value Client::value(const Shape& shape, const ShapeColumn& column, const Shapes& shapes) {
  switch (column.fill) {
    case Fill::kKeyNumber:
    case Fill::kKeyWord:
      return key_value(column.fill);
    case Fill::kNumber:
      if (random_.chance(0.2)) return Null{};
      return random_.between(0, 4);
    case Fill::kLow:
      return random_.between(0, 5);
    case Fill::kHigh:
      return random_.between(4, 9);
    case Fill::kWord: {
      if (random_.chance(0.2)) return Null{};
      return std::string(1, "pPqQrR"[random_.below(6)]);
    }
    case Fill::kFlag:
      return random_.chance(0.3) ? int64_t{1} : int64_t{0};
    case Fill::kAnything:
      switch (random_.below(5)) {
        case 0:
          return random_.between(0, 3);
        case 1:
          return static_cast<double>(random_.between(0, 3)) / 2;
        case 2:
          return Blob{std::string(1, static_cast<char>(random_.below(3)))};
        case 3:
          return std::string("7");
        default:
          return Null{};
      }
    case Fill::kSame:
      if (column.type != "INTEGER") return std::string("p");
      return column.id == "gone" ? int64_t{0} : int64_t{4};
    case Fill::kCounter:
      return random_.between(0, 20);
    case Fill::kElements: {
      std::vector<std::string> elements;
      for (const char* e : {"\"x\"", "\"y\"", "\"z\""}) {
        if (random_.chance(0.5)) elements.emplace_back(e);
      }
      return set_value(elements);
    }
    case Fill::kReference:
      break;
  }
  if (random_.chance(0.3)) return Null{};
  const auto it = std::find_if(shape.references.begin(), shape.references.end(),
                               [&](const auto& r) { return r.column == column.id; });
  const Shape* parent = it == shape.references.end() ? nullptr : find(shapes, it->parent);
  return parent == nullptr ? Value{} : key_value(parent->key().front()->fill);
}

}  // namespace entente::simulation::user_world
