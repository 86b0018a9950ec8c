#include "adapters/sqlite/adoption.h"

#include <xxhash.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>

#include "adapters/sqlite/catalog.h"
#include "adapters/sqlite/file_copy.h"
#include "adapters/sqlite/numbering.h"
#include "adapters/sqlite/sql_text.h"
#include "adapters/sqlite/sqlite_database.h"
#include "conflict/transaction.h"

namespace entente {
namespace sqlite {
namespace {

constexpr size_t kRecordBytes = 64 << 10;
constexpr size_t kBatchBytes = 4 << 20;

Result<std::string> one_text(Connection& db, std::string_view sql) {
  auto q = db.prepare(sql);
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  return *row ? std::string(q->bytes(0)) : std::string();
}

Result<void> check_file(Connection& db, const std::filesystem::path& path) {
  if (auto sound = check_integrity(path); !sound) return sound;
  const auto ours = one_text(db,
                             "SELECT name FROM sqlite_master WHERE name LIKE '\\_entente\\_%' "
                             "ESCAPE '\\'");
  if (!ours) return tl::unexpected(ours.error());
  if (ours->empty()) return {};
  return fail(Code::kRefused,
              path.string() + " is the database of a gateway already: adopt the application's own",
              "adopted");
}

// What no client could have created here.
Result<void> check_object(const std::string& kind, const std::string& name,
                          const std::string& sql) {
  const auto words = words_of(sql);
  std::string why;
  if (const auto reserved = reserved_name_in(words)) {
    why = "names " + *reserved + ", which belongs to the gateway";
  } else if (rolls_back(words)) {
    why = "says ROLLBACK, which would undo other clients' transactions: say ABORT";
  } else if (const auto called = changing_check_in(words)) {
    why = "has a CHECK that calls " + *called + ", which differs between datacenters";
  } else {
    return {};
  }
  return fail(Code::kRefused, kind + " " + name + " " + why, "unfit_object");
}

// What a file holds, as the changes that make it.
class Content {
 public:
  using Sink = std::function<Result<void>(const Change& change)>;

  Content(Connection& db, const ConflictRules& rules) : db_(db), rules_(rules) {}

  // Finds the tables, and what is beside them.
  Result<void> look(Adoption& adoption);
  // What has to be done to the file first, so that it holds what is told.
  const std::vector<std::string>& edits() const { return edits_; }
  // First the schema, then the rows, table by table in the order of their keys.
  Result<void> tell(const Sink& sink);
  uint64_t epoch() const { return epoch_; }

 private:
  struct Object {
    std::string type, name, table, sql;
    std::string kind;  // of a table: "table", "virtual", "shadow"
  };
  struct Known {
    TableDef def;
    Adoption::Table* report;
  };
  Result<std::vector<Object>> objects();
  Result<TableDef> definition_of(const std::string& table);
  Result<void> refuse_tables(const std::vector<Object>& objects, Adoption& adoption);
  Result<std::string> parent_left(const std::string& table);
  void leave_out(std::vector<Object>& objects, Adoption& adoption);
  Result<void> take_table(const Object& object, Adoption& adoption);
  Result<void> take_beside(const Object& object);
  Result<void> take_user_version();
  void add(SchemaChange change);
  Result<void> tell_rows(const Known& table, const Sink& sink);

  Connection& db_;
  const ConflictRules& rules_;
  std::vector<SchemaChange> schema_;
  std::vector<std::string> edits_;
  std::vector<Known> tables_;
  std::map<std::string, size_t> left_;  // what is left out, in lower case: which table's report
  World world_;                         // of tables_, as far as numbering looks
  uint64_t epoch_ = 0;
};

Result<std::vector<Content::Object>> Content::objects() {
  auto q = db_.prepare(
      "SELECT m.type, m.name, m.tbl_name, m.sql, coalesce(l.type, '') FROM sqlite_master AS m LEFT "
      "JOIN pragma_table_list AS l ON l.schema = 'main' AND l.name = m.name WHERE m.sql IS NOT "
      "NULL "
      "AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
      "ORDER BY m.type <> 'table', m.type = 'trigger', m.name");
  if (!q) return tl::unexpected(q.error());
  std::vector<Object> out;
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    out.push_back({std::string(q->bytes(0)), std::string(q->bytes(1)), std::string(q->bytes(2)),
                   std::string(q->bytes(3)), std::string(q->bytes(4))});
  }
  if (!row) return tl::unexpected(row.error());
  return out;
}

Result<TableDef> Content::definition_of(const std::string& table) {
  auto def = read_definition(db_, table);
  if (!def) return def;
  const auto unfit = misfits(*def, rules_.of(table));
  if (!unfit.empty()) return fail(Code::kRefused, unfit.front(), "policy_misfit");
  return def;
}

// Tables that do not replicate, and those that refer to one: others could not write them.
Result<void> Content::refuse_tables(const std::vector<Object>& objects, Adoption& adoption) {
  const auto refuse = [&](const Object& o, std::string why) {
    left_.emplace(lower(o.name), adoption.tables.size());
    adoption.tables.push_back({o.name, 0, std::move(why)});
  };
  const auto module = [](const std::string& sql) {
    const auto words = words_of(sql);
    const auto use = std::find(words.begin(), words.end(), "USING");
    return use + 1 < words.end() ? lower(*(use + 1)) : std::string("virtual");
  };
  for (const auto& o : objects) {
    if (o.kind == "virtual") {
      refuse(o, "it is a virtual table (" + module(o.sql) +
                    "), whose data would not replicate, and was left out: search with LIKE or "
                    "instr(), or keep the index in a database beside, filled from the change feed");
    } else if (o.kind == "table") {
      auto def = definition_of(o.name);
      if (!def) refuse(o, def.error().text);
    }
  }
  for (bool more = true; more;) {
    more = false;
    for (const auto& o : objects) {
      if (o.kind != "table" || left_.contains(lower(o.name))) continue;
      auto parent = parent_left(o.name);
      if (!parent) return tl::unexpected(parent.error());
      if (parent->empty()) continue;
      refuse(o, "it refers to table " + *parent + ", which does not replicate");
      more = true;
    }
  }
  return {};
}

// A table that does not replicate and that this one refers to; "" for none.
Result<std::string> Content::parent_left(const std::string& table) {
  auto q = db_.prepare("SELECT \"table\" FROM pragma_foreign_key_list(?1)");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{table});
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    if (left_.contains(lower(q->bytes(0)))) return std::string(q->bytes(0));
  }
  return row.map([](bool) { return std::string(); });
}

// Virtual tables, and the views and triggers that need a table which does not replicate: with them,
// a table whose trigger fills one could not be written any more.
void Content::leave_out(std::vector<Object>& objects, Adoption& adoption) {
  std::vector<std::string> drops;
  std::map<size_t, std::string> with;  // by report
  for (const auto& o : objects) {
    if (o.kind == "virtual") drops.push_back("DROP TABLE " + quote_name(o.name));
  }
  const auto needs = [&](const Object& o) {
    const auto words = words_of(o.sql);
    const auto found = std::find_if(words.begin(), words.end(), [&](const auto& word) {
      return left_.contains(lower(unquoted(word)));
    });
    return found == words.end() ? left_.end() : left_.find(lower(unquoted(*found)));
  };
  for (bool more = !left_.empty(); more;) {
    more = false;
    for (const auto& o : objects) {
      if ((o.type != "view" && o.type != "trigger") || left_.contains(lower(o.name))) continue;
      const auto needed = needs(o);
      if (needed == left_.end()) continue;
      std::string& list = with[needed->second];
      list += (list.empty() ? "" : ", ") + o.type + " " + o.name;
      drops.insert(drops.begin(), "DROP " + o.type + " IF EXISTS " + quote_name(o.name));
      left_.emplace(lower(o.name), needed->second);
      more = true;
    }
  }
  for (const auto& [report, list] : with) {
    adoption.tables[report].why_not += ". Left out with it, because they need it: " + list;
  }
  std::erase_if(objects, [&](const Object& o) {
    return o.kind == "virtual" || o.kind == "shadow" || left_.contains(lower(o.name));
  });
  edits_.insert(edits_.end(), drops.begin(), drops.end());
}

void Content::add(SchemaChange change) {
  change.epoch = ++epoch_;
  schema_.push_back(std::move(change));
}

Result<void> Content::take_table(const Object& object, Adoption& adoption) {
  auto& report = adoption.tables.emplace_back(Adoption::Table{object.name, 0, {}});
  auto def = definition_of(object.name);
  if (!def) return tl::unexpected(def.error());
  const TableDef made = first_definition(std::move(*def), epoch_ + 1);
  auto table = make_table(db_, static_cast<int64_t>(tables_.size()), made, {}, rules_);
  if (!table) return tl::unexpected(table.error());
  world_.tables.emplace(lower(made.name), std::move(*table));
  add({0, {object.sql}, {made}, {}});
  tables_.push_back({made, &report});
  return {};
}

// Triggers number the rows that they insert as clients do.
Result<void> Content::take_beside(const Object& object) {
  const bool beside = object.type == "view" || world_.named(object.table) != nullptr;
  if (!beside) return {};
  std::string text = object.sql;
  if (object.type == "trigger") {
    text = with_numbered_keys_inside(object.sql, world_);
    if (text != object.sql) {
      edits_.push_back("DROP TRIGGER " + quote_name(object.name));
      edits_.push_back(text);
    }
  }
  add({0, {std::move(text)}, {}, {}});
  return {};
}

Result<void> Content::take_user_version() {
  const auto version = one_text(db_, "PRAGMA user_version");
  if (!version) return tl::unexpected(version.error());
  if (*version != "0") add({0, {"PRAGMA user_version = " + *version}, {}, {}});
  return {};
}

Result<void> Content::look(Adoption& adoption) {
  auto all = objects();
  if (!all) return tl::unexpected(all.error());
  adoption.tables.reserve(all->size());
  if (auto done = refuse_tables(*all, adoption); !done) return done;
  leave_out(*all, adoption);
  for (const auto& object : *all) {
    if (auto fit = check_object(object.type, object.name, object.sql); !fit) return fit;
    auto done = object.type == "table" ? take_table(object, adoption) : take_beside(object);
    if (!done) return done;
  }
  return take_user_version();
}

Result<void> Content::tell(const Sink& sink) {
  for (const auto& change : schema_) {
    if (auto done = sink(change); !done) return done;
  }
  for (const auto& table : tables_) {
    table.report->rows = 0;
    if (!rules_.of(table.def.name).replicate) continue;
    if (auto done = tell_rows(table, sink); !done) return done;
  }
  return {};
}

Result<void> Content::tell_rows(const Known& table, const Sink& sink) {
  const TableDef& def = table.def;
  std::string columns, order;
  for (const auto& c : def.columns) {
    columns += (columns.empty() ? "" : ", ") + quote_name(c.name);
  }
  for (const auto* c : def.key()) order += (order.empty() ? "" : ", ") + quote_name(c->name);
  auto q =
      db_.prepare("SELECT " + columns + " FROM " + quote_name(def.name) + " ORDER BY " + order);
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    std::vector<Value> parts(def.key().size());
    RowChange change;
    change.table = def.name;
    change.inserted = true;
    for (size_t i = 0; i < def.columns.size(); ++i) {
      const ColumnDef& c = def.columns[i];
      Value v = q->value(static_cast<int>(i));
      if (c.key_part > 0) {
        parts[c.key_part - 1u] = std::move(v);
      } else {
        change.columns.emplace(c.name, std::move(v));
      }
    }
    auto key = canonical_key(def, parts);
    if (!key) {
      return fail(Code::kRefused,
                  "table " + def.name + " has a row without a usable key (" + key.error().text +
                      "): give it one",
                  "no_key");
    }
    change.key = std::move(*key);
    if (spelled_otherwise(parts, change.key)) {
      const auto names = def.key();
      for (size_t i = 0; i < parts.size(); ++i) change.columns.emplace(names[i]->name, parts[i]);
    }
    ++table.report->rows;
    if (auto done = sink(change); !done) return done;
  }
  return row.map([](bool) {});
}

// Changes as records of one origin, applied in batches.
class Records {
 public:
  Records(Database& database, const Origin& origin, std::string dc, uint64_t epoch)
      : database_(database), run_{origin, 1, 0, {}}, dc_(std::move(dc)), epoch_(epoch) {}

  Result<void> add(const Change& change) {
    append_change(changes_, change);
    ++count_;
    return changes_.size() < kRecordBytes ? Result<void>() : seal();
  }
  Result<void> finish() {
    return seal().and_then([&] { return apply(); });
  }

 private:
  Result<void> seal() {
    if (count_ == 0) return {};
    const uint64_t seq = stream_.seq + 1;
    Transaction head{{run_.origin, seq}, Hlc{seq}, {}, epoch_, seq == 1 ? dc_ : "", {}};
    if (seq > 1) head.context.advance(run_.origin, seq - 1);
    const std::string record = seal_record(head, count_, changes_.view(), stream_);
    auto decoded = decode_head(run_.origin, record, stream_);
    if (!decoded) return tl::unexpected(decoded.error());
    stream_ = advance(stream_, *decoded, record);
    ByteWriter framed;
    framed.string(record);
    run_.records += framed.view();
    ++run_.count;
    changes_.clear();
    count_ = 0;
    return run_.records.size() < kBatchBytes ? Result<void>() : apply();
  }

  Result<void> apply() {
    if (run_.count == 0) return {};
    auto done = database_.apply(std::span(&run_, 1), 0);
    if (!done) return tl::unexpected(done.error());
    run_ = Run{run_.origin, stream_.seq + 1, 0, {}};
    return {};
  }

  Database& database_;
  Run run_;
  const std::string dc_;
  const uint64_t epoch_;
  StreamState stream_;
  ByteWriter changes_;
  size_t count_ = 0;
};

Result<Origin> digest(Content& content) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  ByteWriter bytes;
  auto told = content.tell([&](const Change& change) -> Result<void> {
    bytes.clear();
    append_change(bytes, change);
    XXH3_128bits_update(state.get(), bytes.view().data(), bytes.size());
    return {};
  });
  if (!told) return tl::unexpected(told.error());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state.get()));
  Origin origin;
  std::copy(std::begin(canonical.digest), std::end(canonical.digest), origin.id.begin());
  return origin;
}

Result<void> edit(const std::filesystem::path& copy, const std::vector<std::string>& edits) {
  if (edits.empty()) return {};
  auto db = Connection::open(copy, Connection::Kind::kWrite);
  if (!db) return tl::unexpected(db.error());
  for (const auto& sql : edits) {
    if (auto done = db->exec(sql); !done) return done;
  }
  return {};
}

// Takes the copy's content in, in place.
Result<Adoption> take_in(const std::filesystem::path& copy, const DatabaseOptions& options) {
  Adoption adoption;
  auto db = Connection::open(copy, Connection::Kind::kRead);
  if (!db) return tl::unexpected(db.error());
  if (auto sound = check_file(*db, copy); !sound) return tl::unexpected(sound.error());
  Content content(*db, options.rules);
  if (auto done = content.look(adoption); !done) return tl::unexpected(done.error());
  if (auto done = edit(copy, content.edits()); !done) return tl::unexpected(done.error());
  auto origin = digest(content);
  if (!origin) return tl::unexpected(origin.error());
  adoption.origin = *origin;
  auto database = open_sqlite(copy, options, {.leave_tables = true});
  if (!database) return tl::unexpected(database.error());
  Records records(**database, *origin, options.schema_leader_name, content.epoch());
  auto done = content.tell([&](const Change& change) { return records.add(change); }).and_then([&] {
    return records.finish();
  });
  if (!done) return tl::unexpected(done.error());
  return adoption;
}

}  // namespace
}  // namespace sqlite

Result<Adoption> adopt_sqlite(const std::filesystem::path& source,
                              const std::filesystem::path& destination,
                              const DatabaseOptions& options) {
  namespace fs = std::filesystem;
  std::error_code ec;
  if (fs::exists(destination, ec)) {
    return fail(Code::kRefused,
                destination.string() +
                    " is there already: a file is adopted as a new database, move that one away",
                "database_exists");
  }
  if (!fs::exists(source, ec)) {
    return fail(Code::kNotFound, "there is no file " + source.string(), "no_file");
  }
  const fs::path copy = destination.string() + ".adopting";
  auto done =
      sqlite::copy_database(source, copy).and_then([&] { return sqlite::take_in(copy, options); });
  if (done) {
    if (auto named = sqlite::rename_durably(copy, destination); !named) {
      done = tl::unexpected(named.error());
    }
  }
  if (!done) sqlite::remove_database(copy);
  return done;
}

}  // namespace entente
