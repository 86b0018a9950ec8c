#include "tests/simulation/workload.h"

#include <algorithm>
#include <set>
#include <utility>

namespace entente::simulation {
namespace {

constexpr size_t kContextsKept = 6;  // of each row, the oldest go at random

const RowChange* change_of(const Transaction& t, const RowName& row) {
  for (const auto& change : t.changes) {
    const auto* c = std::get_if<RowChange>(&change);
    if (c != nullptr && c->table == row.first && c->key == row.second) return c;
  }
  return nullptr;
}

// A value that looks the same at every replica, whatever of its row was collected there: a write
// that saw nothing keeps it even if it counts as having seen it.
bool lasts(const ExpectedRow& row, const ExpectedRegister& r, size_t i) {
  const ExpectedRegister& existence = row.registers.at("");
  if (!existence.open && !existence.shown().value) return false;
  const PolicyKind kind = r.policy.kind;
  const bool picks =
      kind == PolicyKind::kLww || kind == PolicyKind::kPriority || kind == PolicyKind::kSiblings;
  return r.open || (picks && i == r.winner);
}

}  // namespace

Workload::Workload(World& world, std::vector<Node*> nodes)
    : world_(world), nodes_(std::move(nodes)), random_(world.plan.seed, "workload") {}

void Workload::define_tables() {
  std::vector<ClientTransaction> group;
  for (const auto& table : world_.plan.tables) {
    group.push_back([table](WriteSession& s) { return s.define(table); });
  }
  nodes_[0]->submit(std::move(group), nullptr);
}

// ---- What is asked -----------------------------------------------------------------------------

void Workload::commit_something() {
  Node& node = *nodes_[random_.below(nodes_.size())];
  const bool grouped = random_.chance(world_.plan.grouped);
  const auto count = grouped ? random_.between(2, 5) : 1;
  if (!node.alive()) return;
  std::vector<std::shared_ptr<Asked>> asked;
  std::vector<ClientTransaction> group;
  for (int64_t i = 0; i < count; ++i) {
    asked.push_back(draw_transaction(node));
    group.push_back([this, one = asked.back()](WriteSession& s) -> Result<void> {
      one->ran_at = world_.scheduler.now();
      one->promised = one->node->database().state().promised;
      for (const auto& request : one->requests) {
        auto outcome = s.write(request);
        if (!outcome) return tl::unexpected(outcome.error());
        one->outcomes.push_back(std::move(*outcome));
      }
      return {};
    });
  }
  node.submit(std::move(group), [this, asked](const std::vector<Result<Committed>>& results) {
    for (size_t i = 0; i < asked.size(); ++i) replied(*asked[i], results[i]);
  });
}

std::shared_ptr<Workload::Asked> Workload::draw_transaction(Node& node) {
  auto asked = std::make_shared<Asked>();
  asked->node = &node;
  const bool several = random_.chance(world_.plan.several_writes);
  const auto writes = several ? random_.between(2, 4) : 1;
  for (int64_t i = 0; i < writes; ++i) {
    asked->requests.push_back(draw_request(node, asked->shown.emplace_back()));
  }
  if (several && random_.chance(0.4)) {  // the same row again
    for (auto& request : asked->requests) {
      if (request.table == asked->requests[0].table) request.key = asked->requests[0].key;
    }
  }
  return asked;
}

RowRequest Workload::draw_request(Node& node, std::optional<Shown>& shown) {
  RowRequest request;
  const TableDef& table = random_.pick(world_.plan.tables);
  request.table = table.name;
  const bool hot = random_.chance(world_.plan.hot);
  const int64_t key = random_.between(1, world_.plan.keys);
  request.key = {hot ? 1 : key};
  bool resolve = false;
  request.kind = draw_kind(resolve);
  draw_columns(request, table);
  shown = draw_context(request, node);
  if (resolve) draw_resolution(request, shown, node);
  if (shown) request.context = shown->context;
  request.if_none_match = request.kind == RowRequest::Kind::kPut && random_.chance(0.03);
  return request;
}

RowRequest::Kind Workload::draw_kind(bool& resolve) {
  const Plan& plan = world_.plan;
  const uint64_t all = plan.puts + plan.patches + plan.erases + plan.resolves;
  const uint64_t drawn = random_.below(all);
  resolve = drawn >= all - plan.resolves;
  if (drawn < plan.puts || resolve) return RowRequest::Kind::kPut;
  return drawn < plan.puts + plan.patches ? RowRequest::Kind::kPatch : RowRequest::Kind::kErase;
}

void Workload::draw_columns(RowRequest& request, const TableDef& table) {
  for (const auto& column : table.columns) {
    if (column.key_part > 0) continue;
    const bool named = request.kind == RowRequest::Kind::kPut || random_.chance(0.5);
    const bool few = world_.plan.values < 10;
    const int64_t value = few ? static_cast<int64_t>(random_.below(2)) : ++next_value_;
    if (!named || request.kind == RowRequest::Kind::kErase) continue;
    const std::string group = world_.oracle.register_of(request.table, column.name);
    const bool set = world_.oracle.policy_of({request.table, {}}, group).is_set();
    request.columns[column.name] = set ? draw_set() : Value{value};
  }
}

// Few elements: they must be added and removed on several sides.
Value Workload::draw_set() {
  std::string text;
  for (int i = 0; i < 4; ++i) {
    if (random_.chance(0.5)) text += (text.empty() ? "" : ",") + std::to_string(i);
  }
  return "[" + text + "]";
}

std::optional<Workload::Shown> Workload::draw_context(const RowRequest& request, Node& node) {
  const bool required = world_.plan.config.rules.tables.at(request.table).blind == Blind::kRequire;
  if (!random_.chance(required ? 0.95 : world_.plan.with_context)) return std::nullopt;
  auto& known = contexts_[name_of(request)];
  std::erase_if(known, [this](const Shown& s) { return s.since < world_.contexts_since; });
  const bool old = random_.chance(0.6);
  if (old && !known.empty() && !node.astray()) {
    world_.coverage.met(Met::kOldContext);
    return random_.pick(known);
  }
  const auto now = read(node, request);
  if (!now) return std::nullopt;
  return Shown{now->context, &node, world_.scheduler.now()};
}

void Workload::draw_resolution(RowRequest& request, std::optional<Shown>& shown, Node& node) {
  const auto row = read(node, request);
  if (!row || row->values.size() < 2) return;
  request.pick = random_.pick(row->values).version.dot;
  shown = Shown{row->context, &node, world_.scheduler.now()};
  world_.coverage.met(Met::kPick);
}

void Workload::read_something() {
  Node& node = *nodes_[random_.below(nodes_.size())];
  RowRequest request;
  request.table = random_.pick(world_.plan.tables).name;
  request.key = {random_.between(1, world_.plan.keys)};
  if (!node.alive() || node.astray()) return;
  auto& known = contexts_[name_of(request)];
  if (known.size() >= kContextsKept) {
    known.erase(known.begin() + static_cast<int64_t>(random_.below(known.size())));
  }
  if (const auto row = read(node, request)) {
    known.push_back({row->context, &node, world_.scheduler.now()});
  }
}

std::optional<RowRead> Workload::read(Node& node, const RowRequest& request) const {
  auto row = (*node.database().reader())->row(request.table, request.key, true);
  if (!row) return std::nullopt;
  return std::move(*row);
}

RowName Workload::name_of(const RowRequest& request) const {
  ByteWriter key;
  for (const auto& part : request.key) key.value(part);
  return {request.table, key.take()};
}

// ---- What was answered -------------------------------------------------------------------------

void Workload::replied(const Asked& asked, const Result<Committed>& result) {
  if (!result) return refused(asked, result.error());
  ++acknowledged_;
  if (!result->dot || asked.node->astray()) return;
  const Transaction* t = world_.oracle.transaction(*result->dot);
  if (t == nullptr) return world_.fail("acknowledged, but not durable (P2, P3)");
  check(asked, *t);
  for (size_t i = 0; i < asked.requests.size(); ++i) {
    RowContext context = asked.outcomes[i].context;
    context.add(*result->dot);
    auto& known = contexts_[name_of(asked.requests[i])];
    if (known.size() < kContextsKept) {
      // What its writer had not seen may be promised soon: only whole ones live a lifetime.
      const bool whole = context.covers(result->applied);
      known.push_back({std::move(context), whole ? asked.node : nullptr, asked.ran_at});
    }
  }
}

void Workload::refused(const Asked& asked, const Error& error) {
  if (error.code == Code::kNotReached) world_.coverage.met(Met::kContextAhead);
  if (error.tag != "context_expired") return;
  world_.coverage.met(Met::kContextExpired);
  const Shown& shown = *asked.shown[asked.outcomes.size()];
  const int64_t age = asked.ran_at - shown.since;
  // (A new life promises at once what the one before may have.)
  if (shown.from == asked.node && !asked.node->from_copy() &&
      age < world_.plan.config.limits.context_lifetime.count()) {
    world_.fail(asked.node->name() + " refused a context that it gave out only " +
                std::to_string(age) + " ms ago");
  }
}

// The transaction carries what the last write of each of its rows asked for.
void Workload::check(const Asked& asked, const Transaction& t) {
  std::map<RowName, size_t> writes;
  for (const auto& request : asked.requests) ++writes[name_of(request)];
  if (writes.size() > 1) world_.coverage.met(Met::kSeveralRows);
  std::set<RowName> seen;
  for (auto it = asked.requests.rbegin(); it != asked.requests.rend(); ++it) {
    const RowName name = name_of(*it);
    if (!seen.insert(name).second) continue;
    const RowChange* change = change_of(t, name);
    // An erase after other writes of the row may have found none: they lost to a tombstone here.
    const bool several = writes[name] > 1;
    if (!several || it->kind != RowRequest::Kind::kErase) check_row(*it, t, change);
    if (several) {
      world_.coverage.met(Met::kSeveralWritesOfOneRow);
    } else if (change != nullptr) {
      check_context(*it, asked.promised, t, *change);
    }
  }
}

void Workload::check_row(const RowRequest& request, const Transaction& t, const RowChange* change) {
  if (request.kind == RowRequest::Kind::kErase) {
    if (change != nullptr && !change->erase) world_.fail(to_string(t.dot) + " did not erase a row");
    return;
  }
  if (request.pick) return;
  const bool whole =
      change != nullptr && !change->erase &&
      std::all_of(request.columns.begin(), request.columns.end(), [&](const auto& column) {
        const auto it = change->columns.find(column.first);
        return it != change->columns.end() && it->second == column.second;
      });
  if (!whole) world_.fail(to_string(t.dot) + " does not carry what was acknowledged (P2)");
}

// What the change claims to have seen is what its writer had seen.
void Workload::check_context(const RowRequest& request, const VersionVector& promised,
                             const Transaction& t, const RowChange& change) {
  const auto blind = world_.plan.config.rules.tables.at(request.table).blind;
  std::optional<VersionVector> seen;
  if (request.context) seen = request.context->ceiling();
  if (!request.context && blind == Blind::kSibling) seen = promised;
  if (change.context != seen) {
    return world_.fail(to_string(t.dot) + " does not carry the context its writer showed");
  }
  std::set<std::pair<std::string, Dot>> must, may, kept;
  const VersionVector& vector = seen ? *seen : t.context;
  const ExpectedRow row = world_.oracle.expected(name_of(request), t.context);
  for (const auto& [group, r] : row.registers) {
    for (size_t i = 0; i < r.maximal.size(); ++i) {
      const Dot& dot = r.maximal[i].version.dot;
      const bool unseen = request.context            ? !request.context->covers(dot)
                          : blind == Blind::kSibling ? lasts(row, r, i)
                                                     : r.open && i != r.winner;
      if (!vector.covers(dot) || !unseen) continue;
      if (!r.commutes) may.emplace(group, dot);
      if (!r.forgets && !r.commutes) must.emplace(group, dot);
    }
  }
  for (const auto& [group, dot] : change.kept) kept.emplace(group, dot);
  if (!std::includes(kept.begin(), kept.end(), must.begin(), must.end()) ||
      !std::includes(may.begin(), may.end(), kept.begin(), kept.end())) {
    world_.fail(to_string(t.dot) + " replaces values that its writer had not seen (P2)");
  }
  if (!kept.empty()) world_.coverage.met(Met::kWriteKeptSiblings);
}

}  // namespace entente::simulation
