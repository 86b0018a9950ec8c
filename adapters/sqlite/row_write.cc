// The row API's writes: the rest of SqliteWriteSession.

#include <algorithm>
#include <cstdio>

#include "adapters/sqlite/write_session.h"
#include "conflict/row_changes.h"

namespace entente::sqlite {
namespace {

tl::unexpected<Error> unknown_table(const std::string& name) {
  return fail(Code::kNotFound, "there is no table " + name, "unknown_table");
}

const Sibling* find_dot(const Register& r, const Dot& dot) {
  const auto it = std::find_if(r.siblings.begin(), r.siblings.end(),
                               [&](const Sibling& s) { return s.version.dot == dot; });
  return it == r.siblings.end() ? nullptr : &*it;
}

bool several(const RowState& state) {
  return std::any_of(state.registers.begin(), state.registers.end(),
                     [](const auto& r) { return r.second.siblings.size() > 1; });
}

}  // namespace

// SQLite writes a number that goes into a TEXT key as text of its own making.
std::vector<Value> spelled_parts(const Table& t, const std::vector<Value>& parts) {
  std::vector<Value> out = parts;
  for (size_t i = 0; i < out.size() && i < t.key.size(); ++i) {
    const auto* d = std::get_if<double>(&out[i]);
    if (d == nullptr || t.columns[t.key[i]].affinity != Affinity::kText) continue;
    char text[40];
    sqlite3_snprintf(sizeof text, text, "%!.15g", *d);
    out[i] = std::string(text);
  }
  return out;
}

Result<RowOutcome> SqliteWriteSession::write(const RowRequest& request) {
  auto w = admit(request);
  if (!w) return tl::unexpected(w.error());
  if (auto done = check_preconditions(*w); !done) return tl::unexpected(done.error());
  if (auto done = take_pick(*w); !done) return tl::unexpected(done.error());
  if (auto done = open_savepoint(); !done) return tl::unexpected(done.error());
  side_.capture.begin_statement();
  side_.capture.for_request(true);
  auto done = side_.sql.guarded([&] { return run_write(*w); });
  side_.capture.for_request(false);
  if (!done) {
    side_.capture.undo_statement();
    return tl::unexpected(done.error());
  }
  wrote_ = true;
  if (auto ok = side_.capture.check(); !ok) {
    doom_ = ok.error();
    return tl::unexpected(ok.error());
  }
  const bool was_written = side_.capture.touched(w->table, w->key);
  const bool supersedes = w->erase && w->before && w->before->meta.has_value();
  if (w->table.rules.replicate && (was_written || supersedes)) side_.capture.note(intent_of(*w));
  auto outcome = outcome_of(*w);
  if (!outcome) doom_ = outcome.error();
  return outcome;
}

Result<SqliteWriteSession::Writing> SqliteWriteSession::admit(const RowRequest& request) {
  const Table* t = side_.state.world->find(request.table);
  if (t == nullptr) return unknown_table(request.table);
  Writing w{request, *t, {}, spelled_parts(*t, request.key), request.columns, false, {}, {}, {}};
  if (request.kind == RowRequest::Kind::kIncrement) {
    if (auto done = check_counters(*t, request); !done) return tl::unexpected(done.error());
  }
  w.erase = request.kind == RowRequest::Kind::kErase;
  auto key = canonical_key(t->def, w.parts);
  if (!key) return tl::unexpected(key.error());
  w.key = std::move(*key);
  if (auto done = check_columns(*t, request); !done) return tl::unexpected(done.error());
  w.context = request.context;
  if (!w.context && t->rules.replicate && !request.pick) {
    if (t->rules.blind == Blind::kRequire) {
      return fail(Code::kContextNeeded,
                  "table " + t->def.name +
                      " wants a context with every write: read the row first and send its context",
                  "context_needed");
    }
    // It saw nothing; but nobody may have seen less than was promised.
    if (t->rules.blind == Blind::kSibling) w.context = RowContext{side_.state.promised, {}};
  }
  if (!w.context && request.pick) w.context = RowContext{side_.state.applied, {}};
  if (w.context && !w.context->covers(side_.state.promised)) {
    return fail(Code::kPrecondition,
                "the context is older than limits.context_lifetime: read the row again",
                "context_expired");
  }
  if (w.context && !side_.state.applied.covers(w.context->ceiling())) {
    return fail(Code::kNotReached, "this gateway has not applied yet what the context has seen",
                "context_not_reached");
  }
  const auto extras = side_.state.extras.find(t->id);
  const bool plain = extras == side_.state.extras.end() || extras->second.none();
  const bool looks = w.context || request.if_match || request.if_none_match ||
                     request.kind == RowRequest::Kind::kResolve || t->any_keeps_more;
  if (looks || !plain || w.erase) {
    auto before = side_.rows.load(*side_.state.world, *t, w.key);
    if (!before) return tl::unexpected(before.error());
    w.before = std::move(*before);
    if (w.context && saw_nothing(w)) {
      w.kept = lasting_siblings(w.before->state, t->layout, side_.state.promised,
                                side_.state.world->ranks);
    } else if (w.context) {
      w.kept = unseen_siblings(w.before->state, t->layout, *w.context);
    }
    if (counts_over_context(w) && !w.before->shown && !w.erase) {
      auto seen = check_counters_seen(w.before->state, t->layout, *w.context);
      if (!seen) return tl::unexpected(seen.error());
    }
  }
  return w;
}

bool SqliteWriteSession::saw_nothing(const Writing& w) {
  return !w.request.context && !w.request.pick && w.request.kind != RowRequest::Kind::kResolve;
}

// Its values are over what its context shows of the counters, not over what is here now.
bool SqliteWriteSession::counts_over_context(const Writing& w) {
  const bool gives_values =
      w.request.kind == RowRequest::Kind::kPut || w.request.kind == RowRequest::Kind::kPatch;
  return gives_values && w.context && w.context->counters && !w.request.pick;
}

Result<void> SqliteWriteSession::check_counters(const Table& t, const RowRequest& request) const {
  for (const auto& [name, amount] : request.columns) {
    const Column* c = t.find(name);
    if (c == nullptr || c->key_part > 0 || !t.layout.groups[c->group].policy.is_counter()) {
      return fail(Code::kConstraint,
                  "column " + name + " of " + t.def.name +
                      " is no counter: give it `policy: counter`, or write its value",
                  "not_a_counter");
    }
    if (!std::holds_alternative<int64_t>(amount)) {
      return fail(Code::kInvalid, "counters are incremented by 64-bit integers", "amount");
    }
  }
  return {};
}

Result<void> SqliteWriteSession::check_columns(const Table& t, const RowRequest& request) const {
  std::vector<Value> parts = request.key;
  for (const auto& [name, value] : request.columns) {
    const Column* c = t.find(name);
    if (c == nullptr) {
      return fail(Code::kInvalid, "table " + t.def.name + " has no column " + name,
                  "unknown_column");
    }
    if (c->key_part > 0 && c->key_part <= parts.size()) parts[c->key_part - 1u] = value;
  }
  auto key = canonical_key(t.def, spelled_parts(t, request.key));
  auto named = canonical_key(t.def, spelled_parts(t, parts));
  if (!named) return tl::unexpected(named.error());
  if (key && *key != *named) {
    return fail(Code::kInvalid, "the row's key columns name another row than the request does",
                "key_mismatch");
  }
  const bool patches =
      request.kind == RowRequest::Kind::kPatch || request.kind == RowRequest::Kind::kIncrement;
  if (patches && request.columns.empty()) {
    return fail(Code::kInvalid, "the request names no column to change", "no_columns");
  }
  return {};
}

Result<void> SqliteWriteSession::check_preconditions(const Writing& w) {
  if (!w.request.if_match && !w.request.if_none_match) return {};
  const bool touched = side_.capture.touched(w.table, w.key);
  if (w.request.if_match && (touched || etag_of(w.before->state) != *w.request.if_match)) {
    return fail(Code::kPrecondition, "the row changed here since its ETag was read", "etag");
  }
  if (w.request.if_none_match && w.before->shown) {
    return fail(Code::kPrecondition, "the row exists here already", "exists");
  }
  return {};
}

// What the policies that decide on reading make of the row as it is now.
Result<void> SqliteWriteSession::take_resolution(Writing& w) {
  const World& world = *side_.state.world;
  const auto resolution = resolve(w.before->state, w.table.layout, world.ranks);
  if (!resolution) {
    return fail(Code::kNotFound, "nothing of this row can be decided now", "nothing_to_resolve");
  }
  w.erase = resolution->erase;
  w.columns = resolution->columns;
  w.context = RowContext{side_.state.applied, {}};
  return {};
}

// Replaces the request's columns by those of the picked sibling, over what the others show, also if
// it is the row that SQL does not show.
Result<void> SqliteWriteSession::take_pick(Writing& w) {
  if (w.request.kind == RowRequest::Kind::kResolve) return take_resolution(w);
  if (!w.request.pick) return {};
  const RowState& state = w.before->state;
  const Layout& layout = w.table.layout;
  bool found = false;
  for (const auto& [group, r] : state.registers) {
    const Sibling* s = find_dot(r, *w.request.pick);
    found |= s != nullptr;
    w.erase |= s != nullptr && !s->row;
  }
  if (!found) {
    return fail(Code::kNotFound, "the row has no value " + to_string(*w.request.pick),
                "unknown_dot");
  }
  w.columns = columns_written_by(state, layout, *w.request.pick);
  w.columns.merge(shown_columns(state, layout, judge(state, layout, side_.state.world->ranks)));
  return {};
}

// True if the columns that it does not name stay as they are.
bool SqliteWriteSession::patches(const Writing& w) {
  if (w.request.kind == RowRequest::Kind::kResolve) return w.before->shown.has_value();
  return w.request.kind != RowRequest::Kind::kPut && w.request.kind != RowRequest::Kind::kRenew &&
         !w.request.pick;
}

Result<void> SqliteWriteSession::run_write(const Writing& w) {
  if (w.erase) return side_.rows.delete_row(w.table, w.key);
  auto found = patches(w) ? run_patch(w) : run_put(w);
  if (!found) return tl::unexpected(found.error());
  if (!*found) return fail(Code::kNotFound, "there is no such row to change", "unknown_row");
  return {};
}

Result<bool> SqliteWriteSession::run_put(const Writing& w) {
  const Table& t = w.table;
  std::vector<size_t> which;
  std::vector<const Value*> values;
  for (size_t i = 0; i < t.columns.size(); ++i) {
    const auto it = w.columns.find(t.columns[i].name);
    if (it == w.columns.end() && t.columns[i].key_part == 0) continue;
    which.push_back(i);
    values.push_back(it != w.columns.end() ? &it->second : &w.parts[t.columns[i].key_part - 1u]);
  }
  auto q = side_.rows.plan(t.upsert_sql(which));
  if (!q) return tl::unexpected(q.error());
  int at = 0;
  for (const Value* v : values) (*q)->bind(++at, *v);
  if (auto done = (*q)->run(); !done) return tl::unexpected(done.error());
  return true;
}

// A resolution that says only that the row exists: a write of what is there.
Result<bool> SqliteWriteSession::touch(const Writing& w) {
  const Table& t = w.table;
  const size_t column = t.by_name.empty() ? t.key.front() : t.by_name.front();
  auto q = side_.rows.plan(t.update_sql({column}));
  if (!q) return tl::unexpected(q.error());
  (*q)->bind(1, w.before->shown->find(t.columns[column].name)->second);
  if (auto bound = bind_key(**q, 2, t.key.size(), w.key); !bound) {
    return tl::unexpected(bound.error());
  }
  if (auto done = (*q)->run(); !done) return tl::unexpected(done.error());
  return true;
}

Result<bool> SqliteWriteSession::run_patch(const Writing& w) {
  const Table& t = w.table;
  std::vector<size_t> which;
  for (size_t i = 0; i < t.columns.size(); ++i) {
    if (w.columns.contains(t.columns[i].name)) which.push_back(i);
  }
  const bool adds = w.request.kind == RowRequest::Kind::kIncrement;
  if (which.empty()) return touch(w);
  auto q = side_.rows.plan(adds ? t.increment_sql(which) : t.update_sql(which));
  if (!q) return tl::unexpected(q.error());
  int at = 0;
  for (const size_t i : which) (*q)->bind(++at, w.columns.find(t.columns[i].name)->second);
  if (auto bound = bind_key(**q, at + 1, t.key.size(), w.key); !bound) {
    return tl::unexpected(bound.error());
  }
  if (auto done = (*q)->run(); !done) return tl::unexpected(done.error());
  return sqlite3_changes64(side_.db.get()) > 0;
}

RowIntent SqliteWriteSession::intent_of(const Writing& w) const {
  RowIntent intent{&w.table, w.key, w.erase, {}, std::nullopt, w.kept};
  const bool patch = patches(w);
  if (w.request.resolution || w.request.pick) {
    intent.decider = Decider::kOperator;
    intent.decided_by = w.request.decided_by;
  }
  if (w.request.kind == RowRequest::Kind::kResolve) intent.decider = Decider::kHandler;
  if (w.request.kind == RowRequest::Kind::kRenew) intent.anew = w.request.floors;
  for (const size_t i : w.table.by_name) {
    if (!w.erase && (!patch || w.columns.contains(w.table.columns[i].name))) {
      intent.columns.push_back(i);
    }
  }
  if (w.context) intent.context = w.context->ceiling();
  if (counts_over_context(w)) intent.counters = w.context->counters;
  return intent;
}

// What its counters are to who made this write: as written, or as its context shows them.
Result<Row> SqliteWriteSession::counters_after(const Writing& w) {
  if (!w.table.any_keeps_more || w.erase) return Row{};
  const auto now = side_.rows.shown(w.table, w.key);
  if (!now) return tl::unexpected(now.error());
  Row counters = counters_of(*now, w.table.layout);
  if (!w.context || !w.context->counters || !patches(w)) return counters;
  const bool adds = w.request.kind == RowRequest::Kind::kIncrement;
  const Row none;
  return entente::counters_after(std::move(counters), *w.context->counters, adds ? none : w.columns,
                                 adds ? w.columns : none);
}

// What the row will be like once the transaction is stamped.
Result<RowOutcome> SqliteWriteSession::outcome_of(const Writing& w) {
  RowOutcome outcome;
  outcome.context = RowContext{side_.state.applied, {}};
  auto counters = counters_after(w);
  if (!counters) return tl::unexpected(counters.error());
  outcome.context.counters = *counters;
  if (!w.before || !w.table.rules.replicate) return outcome;
  RowState state = w.before->state;
  const Layout& layout = w.table.layout;
  const Ranks& ranks = side_.state.world->ranks;
  RowChange change{w.table.def.name, w.key, w.erase, false, {}, {}, std::nullopt, w.kept, {}, {}};
  for (const auto& [name, value] : w.columns) {
    if (!w.erase && w.table.find(name)->key_part == 0) change.columns.emplace(name, value);
  }
  if (w.context) change.context = w.context->ceiling();
  if (!w.context) change.kept = hidden_siblings(state, layout, ranks);
  change.inserted = w.request.kind == RowRequest::Kind::kRenew;
  add_bases(change, state, layout, change.inserted ? std::nullopt : w.before->shown,
            counts_over_context(w) ? w.context->counters : std::nullopt);
  outcome.context = seen_after(state, w.context.value_or(RowContext{side_.state.applied, {}}),
                               change.kept, side_.state.applied);
  outcome.context.counters = std::move(*counters);
  const Version version{Hlc{side_.state.clock.last().bits + 1},
                        {side_.state.self, side_.state.applied.at(side_.state.self) + 1}};
  bool conflict = several(state);
  const auto losses = apply(state, layout, change, version, side_.state.applied, ranks);
  const auto fits = check_siblings(w.before->state, state, layout, side_.options.siblings);
  if (!fits) return tl::unexpected(fits.error());
  conflict = conflict || several(state) || !losses.empty();
  if (conflict) outcome.conflict = RowConflict::kResolved;
  if (open_conflict(state, layout, ranks)) outcome.conflict = RowConflict::kOpen;
  return outcome;
}

}  // namespace entente::sqlite
