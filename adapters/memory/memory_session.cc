#include "adapters/memory/memory_session.h"

#include <algorithm>
#include <set>

#include "adapters/table_edit.h"
#include "conflict/merge.h"

namespace entente {
namespace {

const RowState kNever;

bool replaces(const VersionVector& context, const std::vector<KeptSibling>& kept,
              std::string_view group, const Dot& d) {
  return context.covers(d) && !keeps(kept, group, d);
}

std::string create_statement(const TableDef& table) {
  const auto quoted = [](const std::string& name) { return "\"" + name + "\""; };
  std::string sql = "CREATE TABLE " + quoted(table.name) + " (";
  for (const auto& c : table.columns) {
    sql += quoted(c.name) + (c.type.empty() ? "" : " " + c.type);
    if (c.collation == Collation::kNocase) sql += " COLLATE NOCASE";
    if (c.collation == Collation::kRtrim) sql += " COLLATE RTRIM";
    sql += c.not_null ? " NOT NULL, " : ", ";
  }
  sql += "PRIMARY KEY (";
  for (const auto* c : table.key()) sql += quoted(c->name) + ", ";
  sql.resize(sql.size() - 2);
  return sql + "))";
}

tl::unexpected<Error> precondition(const char* what) {
  return fail(Code::kPrecondition, what, "precondition");
}

}  // namespace

// Its values are over what its context shows of the counters, not over what is here now.
bool MemorySession::counts_over_context(const RowRequest& request) {
  const bool gives_values =
      request.kind == RowRequest::Kind::kPut || request.kind == RowRequest::Kind::kPatch;
  return gives_values && request.context && request.context->counters && !request.pick;
}

MemorySession::MemorySession(const MemoryDisk& disk, const DatabaseOptions& options,
                             const Ranks& ranks, const Version& version)
    : disk_(disk), options_(options), ranks_(ranks), version_(version), applied_(disk.applied()) {}

Result<StatementResult> MemorySession::execute(const Statement&) {
  return fail(Code::kRefused, "the memory database speaks no SQL: use the row API", "no_sql");
}

Result<void> MemorySession::check_leader() const {
  if (options_.schema_leader) return {};
  return fail(Code::kRefused,
              "schema changes are accepted at datacenter " + options_.schema_leader_name,
              "schema_leader");
}

Result<void> MemorySession::define(const TableDef& table) {
  if (auto ok = check_leader(); !ok) return ok;
  if (table.key().empty()) {
    return fail(Code::kRefused, "table " + table.name + " has no primary key: it cannot replicate",
                "no_primary_key");
  }
  if (this->table(table.name) != nullptr) {
    return fail(Code::kSql, "table " + table.name + " already exists", "table_exists");
  }
  const uint64_t epoch = disk_.epoch + schema_changes_.size() + 1;
  TableDef made = first_definition(table, epoch);
  created_.emplace(table.name, made);
  schema_changes_.push_back({epoch, {create_statement(table)}, {std::move(made)}, {}});
  return {};
}

Result<void> MemorySession::edit(const TableEdit& edit) {
  if (auto ok = check_leader(); !ok) return ok;
  if (edited_ || !touched_.empty() || !created_.empty()) {
    return fail(Code::kRefused, "the memory database edits a table in a transaction of its own",
                "table_edit");
  }
  const TableDef* was = table(edit.table);
  if (was == nullptr) return fail(Code::kSql, "no such table: " + edit.table, "SQLITE_ERROR");
  SchemaChange change{disk_.epoch + 1, {sql_of(edit)}, {}, {}};
  if (edit.kind == TableEdit::Kind::kDrop) {
    change.dropped.push_back(edit.table);
  } else if (edit.kind == TableEdit::Kind::kRename && table(edit.name) != nullptr) {
    return fail(Code::kSql, "there is already another table: " + edit.name, "SQLITE_ERROR");
  } else {
    auto declared = declared_after(*was, edit);
    if (!declared) return tl::unexpected(declared.error());
    const bool renames = edit.kind == TableEdit::Kind::kRenameColumn;
    change.tables.push_back(next_definition(
        *was, std::move(*declared), renames ? ColumnsBy::kPlace : ColumnsBy::kName, change.epoch));
  }
  edited_ = true;
  schema_changes_.push_back(std::move(change));
  return {};
}

Result<RowOutcome> MemorySession::write(const RowRequest& request) {
  if (edited_) {
    return fail(Code::kRefused, "the memory database edits a table in a transaction of its own",
                "table_edit");
  }
  auto target = find(request);
  if (!target) return tl::unexpected(target.error());
  const RowName name{request.table, target->key};
  const RowState before = current(name);
  const RowView view(target->table, target->layout, before, ranks_);
  if (auto ok = check(request, view); !ok) return tl::unexpected(ok.error());
  auto seen = seen_by(request, before, *target);
  if (!seen) return tl::unexpected(seen.error());
  auto columns = columns_of(request, *target, before, view);
  if (!columns) return tl::unexpected(columns.error());

  const bool decides = request.kind == RowRequest::Kind::kResolve || request.context;
  const bool nothing_to_erase = !*columns && !view.shown() && !(decides && view.count_values() > 1);
  if (nothing_to_erase) {
    const bool open = view.conflict() == RowConflict::kOpen;
    return RowOutcome{request.context.value_or(RowContext{applied_, {}}),
                      open ? RowConflict::kOpen : RowConflict::kNone};
  }
  Touched row = touch(name);  // a refusal leaves it as it is
  const Seen as_seen = *seen;
  if (request.resolution || request.pick) {
    row.change.decider = Decider::kOperator;
    row.change.decided_by = request.decided_by;
  }
  if (request.kind == RowRequest::Kind::kResolve) row.change.decider = Decider::kHandler;
  auto merged = merge(row, *target, request, std::move(*seen), std::move(*columns));
  if (!merged) return tl::unexpected(merged.error());
  if (auto fits = check_siblings(before, row.now, target->layout, options_.siblings); !fits) {
    return tl::unexpected(fits.error());
  }
  const Touched& kept = touched_.at(name) = std::move(row);
  return outcome(request, as_seen, before, kept, target->layout);
}

Result<MemorySession::Target> MemorySession::find(const RowRequest& request) const {
  const TableDef* def = table(request.table);
  if (def == nullptr)
    return fail(Code::kNotFound, "there is no table " + request.table, "unknown_table");
  auto key = canonical_key(*def, request.key);
  if (!key) return tl::unexpected(key.error());
  Target target{*def, Layout(*def, options_.rules.of(request.table)), request.key, std::move(*key)};
  const auto columns = def->key();
  for (size_t i = 0; i < columns.size(); ++i) {
    target.spelling[i] = apply_affinity(columns[i]->affinity, std::move(target.spelling[i]));
  }
  return target;
}

const TableDef* MemorySession::table(std::string_view name) const {
  for (const auto* tables : {&created_, &disk_.contents.tables}) {
    const auto it = tables->find(name);
    if (it != tables->end()) return &it->second;
  }
  return nullptr;
}

const RowState& MemorySession::current(const RowName& name) const {
  const auto it = touched_.find(name);
  if (it != touched_.end()) return it->second.now;
  const RowState* stored = disk_.find(name.first, name.second);
  return stored == nullptr ? kNever : *stored;
}

Result<void> MemorySession::check(const RowRequest& request, const RowView& row) const {
  if (request.if_match && *request.if_match != row.etag()) {
    return precondition("the row is not what If-Match says: read it again");
  }
  if (request.if_none_match && row.shown()) return precondition("the row exists already");
  return {};
}

Result<MemorySession::Seen> MemorySession::seen_by(const RowRequest& request, const RowState& row,
                                                   const Target& target) const {
  if (request.kind == RowRequest::Kind::kResolve) return Seen{std::nullopt, {}};
  if (!request.context) {
    switch (options_.rules.of(request.table).blind) {
      case Blind::kSupersede:
        return Seen{std::nullopt, hidden_siblings(row, target.layout, ranks_)};
      case Blind::kSibling:
        return saw_nothing(row, target);
      case Blind::kRequire:
        break;
    }
    return fail(Code::kContextNeeded,
                "table " + request.table + " takes writes with a context only: read the row first",
                "context_needed");
  }
  if (!request.context->covers(disk_.promised)) {
    return fail(Code::kPrecondition,
                "the context is older than limits.context_lifetime: read the row again",
                "context_expired");
  }
  Seen seen{request.context->ceiling(), unseen_siblings(row, target.layout, *request.context)};
  if (!applied_.covers(*seen.context)) {
    return fail(Code::kNotReached, "this gateway has not applied all that the context has seen",
                "context_not_reached");
  }
  if (counts_over_context(request) && !visible(row, target.layout, ranks_)) {
    auto unseen = check_counters_seen(row, target.layout, *request.context);
    if (!unseen) return tl::unexpected(unseen.error());
  }
  return seen;
}

// It counts as having seen what was promised, and keeps what it can of that.
MemorySession::Seen MemorySession::saw_nothing(const RowState& row, const Target& target) const {
  return {disk_.promised, lasting_siblings(row, target.layout, disk_.promised, ranks_)};
}

Result<std::optional<Row>> MemorySession::columns_of(const RowRequest& request,
                                                     const Target& target, const RowState& state,
                                                     const RowView& row) const {
  if (request.kind == RowRequest::Kind::kErase) return std::optional<Row>();
  if (request.pick) return row.picked(*request.pick);
  RowRequest asked = request;
  if (request.kind == RowRequest::Kind::kIncrement) {
    auto sums = incremented(request, target, row);
    if (!sums) return tl::unexpected(sums.error());
    asked.columns = std::move(*sums);
  }
  if (request.kind == RowRequest::Kind::kResolve) {
    auto resolution = resolve(state, target.layout, ranks_);
    if (!resolution) {
      return fail(Code::kNotFound, "nothing of this row can be decided now", "nothing_to_resolve");
    }
    if (resolution->erase) return std::optional<Row>();
    asked.columns = std::move(resolution->columns);
  }
  return written(asked, target, row);
}

// What a write writes: every column of each register that it touches.
Result<std::optional<Row>> MemorySession::written(const RowRequest& request, const Target& target,
                                                  const RowView& row) const {
  auto written = stored(request.columns, target);
  if (!written) return tl::unexpected(written.error());
  if (auto fit = check_values(*written, target); !fit) return tl::unexpected(fit.error());
  const bool patch = request.kind != RowRequest::Kind::kPut &&
                     request.kind != RowRequest::Kind::kRenew &&
                     (request.kind != RowRequest::Kind::kResolve || row.shown());

  const auto shown = row.shown();
  const auto key_columns = target.table.key();
  std::set<std::string_view> groups{""};  // those the write touches
  if (patch) {
    if (!shown) return fail(Code::kNotFound, "there is no such row to change", "no_row");
    for (const auto* c : key_columns) {
      if (const auto it = shown->find(c->name); it != shown->end()) written->insert(*it);
    }
    for (const auto& [name, value] : request.columns) {
      groups.insert(target.layout.group_of(name).name);
    }
  } else if (spelled_otherwise(target.spelling, target.key)) {
    for (size_t i = 0; i < key_columns.size(); ++i) {
      written->emplace(key_columns[i]->name, target.spelling[i]);
    }
  }
  for (const auto& group : target.layout.groups) {
    if (patch && !groups.contains(group.name)) continue;
    for (const auto& name : group.columns) {
      const Row& others = patch ? *shown : target.layout.fills;
      const auto it = others.find(name);
      written->emplace(name, it != others.end() ? it->second : Value{});
    }
  }
  for (const auto& c : target.table.columns) {
    const auto it = written->find(c.name);
    if (c.not_null && it != written->end() && std::holds_alternative<Null>(it->second)) {
      return fail(Code::kConstraint, "column " + c.name + " of " + request.table + " is NOT NULL",
                  "not_null");
    }
  }
  return std::move(*written);
}

Result<Row> MemorySession::incremented(const RowRequest& request, const Target& target,
                                       const RowView& row) const {
  const Row shown = row.shown().value_or(Row{});
  Row sums;
  for (const auto& [name, value] : request.columns) {
    const auto* amount = std::get_if<int64_t>(&value);
    const Group& group = target.layout.group_of(name);
    if (!group.policy.is_counter() || group.name != name) {
      return fail(Code::kConstraint, "column " + name + " of " + request.table + " is no counter",
                  "not_a_counter");
    }
    if (amount == nullptr) {
      return fail(Code::kInvalid, "counters are incremented by 64-bit integers", "amount");
    }
    const auto it = shown.find(name);
    const auto* now = it == shown.end() ? nullptr : std::get_if<int64_t>(&it->second);
    int64_t sum = 0;
    if (__builtin_add_overflow(now == nullptr ? 0 : *now, *amount, &sum)) {
      return fail(Code::kConstraint, "column " + name + " would not fit 64 bits", "counter_value");
    }
    sums.emplace(name, sum);
  }
  return sums;
}

// Counters take integers, sets JSON arrays.
Result<void> MemorySession::check_values(const Row& columns, const Target& target) const {
  for (const auto& [name, value] : columns) {
    const Policy& policy = target.layout.group_of(name).policy;
    if (std::holds_alternative<Null>(value)) continue;
    if (policy.is_counter() && !std::holds_alternative<int64_t>(value)) {
      return fail(Code::kConstraint, "column " + name + " is a counter: it takes 64-bit integers",
                  "counter_value");
    }
    if (policy.is_set() && !set_elements(value)) {
      return fail(Code::kConstraint, "column " + name + " is a set: it takes a JSON array as text",
                  "set_value");
    }
  }
  return {};
}

Result<Row> MemorySession::stored(const Row& columns, const Target& target) const {
  Row out;
  for (const auto& [name, value] : columns) {
    const ColumnDef* column = target.table.find(name);
    if (column == nullptr) {
      return fail(Code::kInvalid, "table " + target.table.name + " has no column " + name,
                  "unknown_column");
    }
    Value v = apply_affinity(column->affinity, value);
    if (column->key_part == 0) {
      out.emplace(name, std::move(v));
    } else if (!identical(v, target.spelling[column->key_part - 1])) {
      return fail(Code::kInvalid, "column " + name + " is part of the key and cannot be changed",
                  "key_column");
    }
  }
  return out;
}

MemorySession::Touched& MemorySession::touch(const RowName& name) {
  const auto it = touched_.find(name);
  if (it != touched_.end()) return it->second;
  order_.push_back(name);
  Touched row;
  if (const RowState* stored = disk_.find(name.first, name.second)) row.before = *stored;
  row.now = row.before;
  row.change.table = name.first;
  row.change.key = name.second;
  row.erased_nothing = true;
  return touched_.emplace(name, std::move(row)).first->second;
}

const VersionVector& MemorySession::effective(const std::optional<VersionVector>& context) const {
  return context ? *context : applied_;
}

// The siblings that neither the change so far nor this write replaces, though one has seen them.
std::vector<KeptSibling> MemorySession::kept_by_both(const Touched& row, const Seen& seen) const {
  VersionVector both = effective(row.change.context);
  both.join(effective(seen.context));
  std::vector<KeptSibling> kept;
  for (const auto& [group, r] : row.before.registers) {
    for (const auto& s : r.siblings) {
      const Dot& d = s.version.dot;
      if (both.covers(d) && !replaces(effective(row.change.context), row.change.kept, group, d) &&
          !replaces(effective(seen.context), seen.kept, group, d)) {
        kept.push_back({group, d});
      }
    }
  }
  return kept;
}

Result<void> MemorySession::merge(Touched& row, const Target& target, const RowRequest& request,
                                  Seen seen, std::optional<Row> columns) {
  const bool local_only = !options_.rules.of(target.table.name).replicate;
  const bool was_there = visible(row.before, target.layout, ranks_).has_value();
  if (row.erased_nothing) {
    row.change.context = std::move(seen.context);
    row.change.kept = std::move(seen.kept);
  } else {
    row.change.kept = kept_by_both(row, seen);
    if (row.change.context && seen.context) {
      row.change.context->join(*seen.context);
    } else {
      row.change.context.reset();
    }
  }
  row.change.erase = !columns;
  if (counts_over_context(request)) row.counters = request.context->counters;
  if (!columns) row.counters.reset();
  row.change.inserted = columns && !was_there;
  if (columns) {
    Row earlier = row.change.columns;
    if (local_only) earlier = visible(row.now, target.layout, ranks_).value_or(Row{});
    columns->merge(earlier);
    row.change.columns = std::move(*columns);
  } else {
    row.change.columns.clear();
  }
  row.change.base.clear();
  row.change.floors.clear();
  if (request.kind == RowRequest::Kind::kRenew) {
    auto done = renew(row.change, row.before, target.layout, request.floors);
    if (!done) return done;
  } else {
    add_bases(row.change, row.before, target.layout, visible(row.before, target.layout, ranks_),
              row.counters);
  }
  if (options_.rules.of(target.table.name).old_values) {
    add_old_values(row.change, target.layout, visible(row.before, target.layout, ranks_));
  }
  row.now = local_only ? RowState{} : row.before;
  row.losses = entente::apply(row.now, target.layout, row.change, version_, applied_, ranks_);
  const bool made_and_erased = !columns && !was_there && row.before.registers.empty();
  row.erased_nothing = made_and_erased;
  if (made_and_erased) row.now = row.before, row.losses.clear();
  return {};
}

// As the transaction has written them, less what the request's context had not seen.
Row MemorySession::counters_after(const RowRequest& request, const Touched& row,
                                  const Layout& layout) const {
  if (row.change.erase) return {};
  Row now = row.change.columns;
  now.merge(visible(row.before, layout, ranks_).value_or(Row{}));
  Row counters = counters_of(now, layout);
  const bool adds = request.kind == RowRequest::Kind::kIncrement;
  const bool patches = adds || request.kind == RowRequest::Kind::kPatch;
  if (!request.context || !request.context->counters || !patches) return counters;
  const Row none;
  return entente::counters_after(std::move(counters), *request.context->counters,
                                 adds ? none : request.columns, adds ? request.columns : none);
}

// What the writer has seen of the row now, without the transaction's own dot.
RowOutcome MemorySession::outcome(const RowRequest& request, const Seen& seen,
                                  const RowState& before, const Touched& row,
                                  const Layout& layout) const {
  RowOutcome out;
  const TableDef& def = *table(request.table);
  out.conflict = RowView(def, layout, row.now, ranks_).conflict();
  const auto had_several = [&] { return RowView(def, layout, before, ranks_).count_values() > 1; };
  if (out.conflict == RowConflict::kNone && had_several()) out.conflict = RowConflict::kResolved;
  const RowContext as_seen =
      request.context ? *request.context : RowContext{effective(seen.context), {}};
  out.context = seen_after(before, as_seen, seen.kept, applied_);
  out.context.counters = counters_after(request, row, layout);
  return out;
}

std::vector<Change> MemorySession::changes() const {
  std::vector<Change> out(schema_changes_.begin(), schema_changes_.end());
  for (const auto& name : order_) {
    const Touched& row = touched_.at(name);
    if (!row.erased_nothing && options_.rules.of(name.first).replicate) out.push_back(row.change);
  }
  return out;
}

}  // namespace entente
