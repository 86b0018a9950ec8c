#include "tests/simulation/oracle.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include "conflict/handler.h"
#include "conflict/merge.h"

namespace entente::simulation {
namespace {

bool commutes(const Policy& policy, const std::string& group) {
  return !group.empty() && (policy.is_counter() || policy.is_set());
}

std::set<std::string> elements(const Row& row, const std::string& column) {
  const auto it = row.find(column);
  if (it == row.end()) return {};
  const auto all = set_elements(it->second).value_or(std::vector<std::string>{});
  return {all.begin(), all.end()};
}

int64_t number(const Row& row, const std::string& column) {
  const auto it = row.find(column);
  const auto* n = it == row.end() ? nullptr : std::get_if<int64_t>(&it->second);
  return n == nullptr ? 0 : *n;
}

using WrittenRow = std::tuple<std::string, Key, bool, Row>;

using Tables = std::map<std::string, TableDef>;

std::vector<WrittenRow> rows_of(const std::vector<Change>& changes, const Tables& tables) {
  std::vector<WrittenRow> out;
  for (const auto& change : changes) {
    const auto* row = std::get_if<RowChange>(&change);
    if (row != nullptr && tables.contains(row->table))
      out.emplace_back(row->table, row->key, row->erase, row->columns);
  }
  return out;
}

std::vector<WrittenRow> rows_of(const std::string& record, const Tables& tables) {
  StreamState before;  // it says nothing of the rows
  auto head = decode_head({}, record, before);
  before.seq = 1;
  if (!head) head = decode_head({}, record, before);  // not the first record of a life
  std::vector<Change> changes;
  ByteReader in(head->changes);
  for (size_t i = 0; i < head->change_count; ++i) changes.push_back(*decode_change(in));
  return rows_of(changes, tables);
}

}  // namespace

Oracle::Oracle(const ConflictRules& rules, const std::vector<TableDef>& tables, Names names)
    : rules_(rules), names_(std::move(names)) {
  for (const auto& table : tables) tables_[table.name] = table;
}

// ---- What happened -----------------------------------------------------------------------------

Oracle::Complaint Oracle::committed(const Run& run, const VersionVector& had, bool takes_part) {
  return enter_run(run, had, Context::kIsAll, takes_part);
}

Oracle::Complaint Oracle::found_again(const Run& run, bool takes_part) {
  return enter_run(run, {}, Context::kIsGiven, takes_part);
}

Oracle::Complaint Oracle::reissued(const Run& run, const std::vector<std::string>& was,
                                   bool takes_part) {
  if (run.count != was.size()) {
    return "of " + std::to_string(was.size()) + " transactions of another history " +
           std::to_string(run.count) + " are left (P2)";
  }
  if (auto bad = enter_run(run, {}, Context::kIsGiven, takes_part)) return bad;
  for (size_t i = 0; i < was.size(); ++i) {
    const Transaction& now = log_.at(run.origin)[i].transaction;
    if (rows_of(was[i], tables_) != rows_of(now.changes, tables_)) {
      return to_string(now.dot) + " is not what was written under another name (P2)";
    }
  }
  return std::nullopt;
}

Oracle::Complaint Oracle::enter_run(const Run& run, VersionVector has, Context context,
                                    bool takes_part) {
  StreamState& stream = streams_[run.origin];
  if (run.first != stream.seq + 1) return "an origin committed after a gap";
  index_.try_emplace(run.origin, index_.size());
  ByteReader in(run.records);
  for (uint64_t i = 0; i < run.count; ++i) {
    const auto record = in.string();
    const auto head = decode_head(run.origin, record, stream);
    auto t = decode_record(run.origin, record, stream);
    if (!head || !t) return "an origin committed what is no record: " + t.error().text;
    const StreamState before = std::exchange(stream, advance(stream, *head, record));
    const Dot dot = t->dot;
    if (auto bad = enter(std::move(*t), std::string(record), before, has, context, takes_part)) {
      return bad;
    }
    has.advance(dot.origin, dot.seq);
  }
  if (!in.done()) return "a run has bytes after its records";
  return std::nullopt;
}

Oracle::Complaint Oracle::enter(Transaction t, std::string record, const StreamState& before,
                                const VersionVector& had, Context context, bool takes_part) {
  if (context == Context::kIsAll && t.context != had) {
    return "the context of " + to_string(t.dot) + " is not what its origin had applied";
  }
  if (auto bad = check_stamp(t)) return bad;
  if (auto bad = takes_part ? check_has_seen(t, collected_) : std::nullopt) return bad;
  if (!t.declares_dc.empty()) dcs_[t.dot.origin] = t.declares_dc;
  for (const auto& change : t.changes) {
    const auto* row = std::get_if<RowChange>(&change);
    if (row == nullptr) continue;
    if (row->context && !t.context.covers(*row->context)) {
      return "a row of " + to_string(t.dot) + " has seen what its origin had not";
    }
    if (names_) {
      RowChange named = *row;
      if (names_(named, t.epoch)) enter(named, t, context);
    } else {
      enter(*row, t, context);
    }
  }
  everything_.advance(t.dot.origin, t.dot.seq);
  log_[t.dot.origin].push_back({std::move(t), std::move(record), before});
  return std::nullopt;
}

Oracle::Complaint Oracle::collected(const VersionVector& stable, const VersionVector& applied,
                                    const VersionVector& somewhere) {
  collected_.join(stable);
  for (const auto& [origin, transactions] : log_) {
    for (size_t i = applied.at(origin); i < somewhere.at(origin); ++i) {
      if (auto bad = check_has_seen(transactions[i].transaction, stable)) return bad;
    }
  }
  return std::nullopt;
}

std::vector<std::string> Oracle::forget_after(const Origin& origin, uint64_t seq) {
  auto& log = log_[origin];
  std::vector<std::string> records;
  if (log.size() <= seq) return records;
  for (size_t i = seq; i < log.size(); ++i) records.push_back(std::move(log[i].record));
  streams_[origin] = log[seq].before;
  log.erase(log.begin() + static_cast<ptrdiff_t>(seq), log.end());
  everything_.set(origin, seq);
  const size_t index = index_.at(origin);
  const auto gone = [&](const auto& at) { return at.first == index && at.second > seq; };
  for (auto& [name, registers] : rows_) {
    for (auto& [group, writes] : registers) {
      std::erase_if(writes, [&](const StoredWrite& w) {
        return gone(std::pair(w.origin, w.write.version.dot.seq));
      });
      for (auto& w : writes) {
        std::erase_if(w.overwritten_by, gone);
        std::erase_if(w.put_aside_by, gone);
        for (auto& [element, removed_by] : w.added) std::erase_if(removed_by, gone);
      }
    }
  }
  return records;
}

void Oracle::may_lose(const Origin& origin, uint64_t seq) {
  const auto [it, is_new] = may_lose_after_.try_emplace(origin, seq);
  it->second = std::min(it->second, seq);
}

Oracle::Complaint Oracle::lost_all_but(const VersionVector& left) {
  for (const auto& last : everything_) {
    const auto may = may_lose_after_.find(last.origin);
    const uint64_t must = may == may_lose_after_.end() ? last.seq : std::min(may->second, last.seq);
    if (left.at(last.origin) >= must) continue;
    return "of " + dc(last.origin) + ", " + to_string(last) +
           " is lost, and nobody has more than " + std::to_string(left.at(last.origin)) + " (P2)";
  }
  everything_ = left;
  return std::nullopt;
}

Oracle::Complaint Oracle::check_has_seen(const Transaction& t, const VersionVector& collected) {
  const auto complaint = [&] {
    return to_string(t.dot) + " has not seen what a replica forgets that has yet to apply it (P8)";
  };
  if (t.changes.empty()) return std::nullopt;  // the declaration of a new life
  if (!t.context.covers(collected)) return complaint();
  for (const auto& change : t.changes) {
    const auto* row = std::get_if<RowChange>(&change);
    if (row != nullptr && row->context && !row->context->covers(collected)) return complaint();
  }
  return std::nullopt;
}

// A causally later transaction has a larger stamp, whatever the wall clocks say.
Oracle::Complaint Oracle::check_stamp(const Transaction& t) const {
  for (const auto& seen : t.context) {
    const Transaction* cause = transaction(seen);
    if (cause == nullptr) return to_string(t.dot) + " has seen what nobody committed";
    if (cause->hlc >= t.hlc) {
      return to_string(t.dot) + " is not stamped later than its cause " + to_string(seen);
    }
  }
  return std::nullopt;
}

void Oracle::enter(const RowChange& change, const Transaction& t, Context context) {
  if (!tables_.contains(change.table)) return;
  const Seen seen = seen_of(change.context ? *change.context : t.context);
  const size_t origin = index_.at(t.dot.origin);
  auto& registers = rows_[{change.table, change.key}];
  const Version version{t.hlc, t.dot};
  const auto stored = [&](std::optional<Row> value) {
    StoredWrite write;
    write.write = {version, std::move(value), change.base};
    write.origin = origin;
    return write;
  };
  if (change.erase) {
    return enter_write(registers[""], stored(std::nullopt), seen, change, "");
  }
  std::map<std::string, Row> parts{{"", {}}};
  for (const auto& [column, value] : change.columns) {
    parts[register_of(change.table, column)].emplace(column, value);
  }
  const Seen all_seen = seen_of(t.context);
  for (auto& [group, values] : parts) {
    const std::string& column = group;
    // A reissued change counts as having seen more than its writer had counted.
    const auto has_counted = [&](size_t from, uint64_t seq) {
      if (context == Context::kIsAll || from == origin) return all_seen.covers(from, seq);
      return std::any_of(change.floors.begin(), change.floors.end(), [&](const Floor& f) {
        return f.column == column && index_.at(f.origin) == from && f.seq >= seq;
      });
    };
    if (commutes(policy_of({change.table, change.key}, group), group)) {
      enter_addition(registers[group], stored(std::move(values)), change, group, seen, has_counted);
    } else {
      enter_write(registers[group], stored(std::move(values)), seen, change, group);
    }
  }
}

void Oracle::enter_addition(std::vector<StoredWrite>& to, StoredWrite write,
                            const RowChange& change, const std::string& column, const Seen& seen,
                            const HasCounted& has_counted) {
  const std::pair<size_t, uint64_t> self{write.origin, write.write.version.dot.seq};
  const Row base = change.inserted ? Row{} : change.base;
  const auto now = elements(change.columns, column), before = elements(base, column);
  for (auto& earlier : to) {
    const uint64_t seq = earlier.write.version.dot.seq;
    if (change.inserted && has_counted(earlier.origin, seq)) {
      earlier.put_aside_by.push_back(self);
    }
    if (!seen.covers(earlier.origin, seq)) continue;
    for (auto& [element, removed_by] : earlier.added) {
      const bool removes = before.contains(element) && !now.contains(element);
      if (change.inserted || removes) removed_by.push_back(self);
    }
  }
  write.delta = number(change.columns, column) - number(base, column);
  for (const auto& e : now) {
    if (!before.contains(e)) write.added[e];
  }
  to.push_back(std::move(write));
}

void Oracle::enter_write(std::vector<StoredWrite>& to, StoredWrite write, const Seen& seen,
                         const RowChange& change, const std::string& group) {
  for (auto& earlier : to) {
    const Dot& dot = earlier.write.version.dot;
    const bool keeps = std::find(change.kept.begin(), change.kept.end(), KeptSibling{group, dot}) !=
                       change.kept.end();
    if (seen.covers(earlier.origin, dot.seq) && !keeps) {
      earlier.overwritten_by.emplace_back(write.origin, write.write.version.dot.seq);
    }
  }
  to.push_back(std::move(write));
}

// ---- What must be ------------------------------------------------------------------------------

Oracle::Complaint Oracle::closed(const VersionVector& seen) const {
  for (const auto& last : seen) {
    const Transaction* t = transaction(last);
    if (t == nullptr) return "it has " + to_string(last) + ", which nobody committed";
    if (!seen.covers(t->context)) {
      return "it shows " + to_string(last) + " without all that it had seen (P4)";
    }
  }
  return std::nullopt;
}

Row ExpectedRow::lost_with(const OracleWrite& loser, const std::string& group) const {
  Row value = *loser.value;
  for (const auto& [other, r] : registers) {
    if (!group.empty() || r.commutes) continue;
    const OracleWrite& newest = r.maximal[r.winner];
    const bool holds = newest.version.dot == loser.version.dot && newest.value;
    if (holds) value.insert(newest.value->begin(), newest.value->end());
  }
  return value;
}

std::map<RowName, ExpectedRow> Oracle::expected(const VersionVector& vector) const {
  const Seen seen = seen_of(vector);
  std::map<RowName, ExpectedRow> out;
  for (const auto& [name, registers] : rows_) {
    ExpectedRow row = expected(name, seen);
    if (!row.registers.empty()) out.emplace(name, std::move(row));
  }
  return out;
}

ExpectedRow Oracle::expected(const RowName& name, const VersionVector& vector) const {
  return rows_.contains(name) ? expected(name, seen_of(vector)) : ExpectedRow{};
}

ExpectedRow Oracle::expected(const RowName& name, const Seen& seen) const {
  const auto covered = [&](const auto& at) { return seen.covers(at.first, at.second); };
  ExpectedRow row;
  for (const auto& [group, writes] : rows_.at(name)) {
    const Policy policy = policy_of(name, group);
    if (commutes(policy, group)) {
      auto r = added_up(policy, group, writes, seen);
      if (!r.maximal.empty()) row.registers[group] = std::move(r);
      continue;
    }
    std::vector<OracleWrite> maximal;
    for (const auto& w : writes) {
      if (!seen.covers(w.origin, w.write.version.dot.seq)) continue;
      if (std::any_of(w.overwritten_by.begin(), w.overwritten_by.end(), covered)) continue;
      maximal.push_back(w.write);
    }
    if (!maximal.empty()) row.registers[group] = judged(name, group, std::move(maximal));
  }
  if (row.registers.empty()) return row;
  const ExpectedRegister& existence = row.registers.at("");
  if (!existence.shown().value) {  // deleting a row decides what was open of its columns
    for (auto& [group, r] : row.registers) {
      r.undecided = r.open;
      r.open = r.open && (group.empty() || existence.open);
    }
    return row;
  }
  bool held = false;
  for (const auto& [group, r] : row.registers) held = held || r.held;
  if (held) return row;
  row.visible.emplace();
  for (const auto& [group, r] : row.registers) {
    if (r.shown().value) row.visible->insert(r.shown().value->begin(), r.shown().value->end());
  }
  return row;
}

// A counter: the sum of what every write added, without what a re-creation of the row had seen. A
// set: what some write added and none that had seen that write removed.
ExpectedRegister Oracle::added_up(const Policy& policy, const std::string& column,
                                  const std::vector<StoredWrite>& writes, const Seen& seen) const {
  const auto covered = [&](const auto& at) { return seen.covers(at.first, at.second); };
  const auto any = [&](const auto& of) { return std::any_of(of.begin(), of.end(), covered); };
  ExpectedRegister r;
  r.policy = policy;
  r.commutes = true;
  int64_t sum = 0;
  std::set<std::string> in;
  for (const auto& w : writes) {
    if (!seen.covers(w.origin, w.write.version.dot.seq)) continue;
    r.maximal.push_back(w.write);
    if (!any(w.put_aside_by)) sum += std::get<int64_t>(w.delta);
    for (const auto& [element, removed_by] : w.added) {
      if (!any(removed_by)) in.insert(element);
    }
  }
  if (r.maximal.empty()) return r;
  Row value;
  value[column] = policy.is_counter() ? Value{sum} : set_value({in.begin(), in.end()});
  r.made = OracleWrite{r.maximal.front().version, std::move(value)};
  return r;
}

ExpectedRegister Oracle::judged(const RowName& row, const std::string& group,
                                std::vector<OracleWrite> maximal) const {
  ExpectedRegister r;
  r.policy = policy_of(row, group);
  const DeleteUpdate rule = rules_.tables.at(row.first).delete_update;
  r.forgets =
      r.policy.kind == PolicyKind::kLww && (!group.empty() || rule == DeleteUpdate::kPolicy);
  r.maximal = std::move(maximal);
  std::sort(r.maximal.begin(), r.maximal.end(),
            [](const auto& a, const auto& b) { return a.version < b.version; });
  // Which of them may win at all: by the rule for erases against puts.
  std::vector<size_t> candidates;
  const bool wants_erase = rule == DeleteUpdate::kDeleteWins;
  for (size_t i = 0; i < r.maximal.size(); ++i) {
    if (r.maximal[i].value.has_value() != wants_erase) candidates.push_back(i);
  }
  if (candidates.empty() || rule == DeleteUpdate::kPolicy || !group.empty()) {
    candidates.resize(r.maximal.size());
    std::iota(candidates.begin(), candidates.end(), 0);
  }
  r.winner = candidates.back();
  const bool differ = std::any_of(candidates.begin(), candidates.end(), [&](size_t i) {
    return r.maximal[i].value != r.maximal[r.winner].value;
  });
  if (!differ) return r;
  if (r.policy.kind == PolicyKind::kSiblings || r.policy.run == RunWhen::kRead) {
    r.open = true;
    return r;
  }
  if (r.policy.kind == PolicyKind::kPriority) {
    for (const size_t i : candidates) {
      const auto strength = [&](size_t at) {
        return std::tuple(rank(r.maximal[at].version.dot.origin), r.maximal[at].version);
      };
      if (strength(i) > strength(r.winner)) r.winner = i;
    }
  }
  if (r.policy.kind == PolicyKind::kHandler) ask_handler(candidates, group, r);
  if (r.policy.kind == PolicyKind::kMerge && r.maximal[r.winner].value) {
    std::vector<const OracleWrite*> puts;
    for (const size_t i : candidates) {
      if (!r.maximal[i].value) puts.clear();
      if (r.maximal[i].value) puts.push_back(&r.maximal[i]);
    }
    Row value;
    for (const auto& [column, newest] : *r.maximal[r.winner].value) {
      std::vector<Value> values;
      for (const auto* w : puts) {
        if (w->value->at(column) != Value{}) values.push_back(w->value->at(column));
      }
      if (values.empty()) values.emplace_back();
      const auto by_order = [](const Value& a, const Value& b) { return order(a, b) < 0; };
      switch (r.policy.merge) {
        case MergeKind::kConcat:
          value[column] = merge_concat(values, r.policy.separator);
          break;
        case MergeKind::kMin:
          value[column] = *std::min_element(values.begin(), values.end(), by_order);
          break;
        default:
          value[column] = *std::max_element(values.begin(), values.end(), by_order);
      }
    }
    if (puts.size() > 1) r.made = OracleWrite{r.maximal[r.winner].version, std::move(value)};
  }
  return r;
}

void Oracle::ask_handler(const std::vector<size_t>& candidates, const std::string& group,
                         ExpectedRegister& r) const {
  Conflict conflict{"", "", group, {}, nullptr, {}};
  for (const size_t i : candidates) {
    const OracleWrite& w = r.maximal[i];
    conflict.siblings.push_back({"", w.version.hlc, w.value ? &*w.value : nullptr});
  }
  const auto decision = r.policy.run_this->decide(conflict);
  r.open = !decision || decision->kind == Decision::Kind::kKeep ||
           decision->kind == Decision::Kind::kHold;
  if (!decision) return;
  switch (decision->kind) {
    case Decision::Kind::kRow:
      r.made = OracleWrite{r.maximal[r.winner].version, decision->row};
      return;
    case Decision::Kind::kPick:
      r.winner = candidates[decision->pick];
      return;
    case Decision::Kind::kDelete:
      if (!group.empty()) r.open = true;
      if (group.empty()) r.made = OracleWrite{r.maximal[r.winner].version, std::nullopt};
      return;
    case Decision::Kind::kHold:
      r.held = true;
      return;
    case Decision::Kind::kKeep:
      return;
  }
}

// ---- Lookups -----------------------------------------------------------------------------------

// A key's spelling goes with the row's existence. By column: each is its own register, as always of
// counters and sets. By row: a column or group with a policy of its own is; if there are such, the
// rest is "*", otherwise the row's existence holds it all.
std::string Oracle::register_of(const std::string& table, const std::string& column) const {
  const TableRules& rules = rules_.tables.at(table);
  const ColumnDef* defined = tables_.at(table).find(column);
  if (defined != nullptr && defined->key_part > 0) return "";
  if (rules.columns.contains(column)) return column;
  for (const auto& [name, group] : rules.groups) {
    const auto& columns = group.columns;
    if (std::find(columns.begin(), columns.end(), column) != columns.end()) return name;
  }
  if (rules.granularity == Granularity::kColumn || commutes(rules.policy, column)) return column;
  return rules.columns.empty() && rules.groups.empty() ? "" : "*";
}

Policy Oracle::policy_of(const RowName& row, const std::string& group) const {
  const TableRules& rules = rules_.tables.at(row.first);
  if (const auto own = rules.columns.find(group); own != rules.columns.end()) return own->second;
  if (const auto own = rules.groups.find(group); own != rules.groups.end()) {
    return own->second.policy;
  }
  const bool adds = rules.policy.is_counter() || rules.policy.is_set();
  return group.empty() && adds ? Policy{} : rules.policy;
}

int Oracle::rank(const Origin& origin) const { return rules_.priorities.at(dcs_.at(origin)); }

Oracle::Seen Oracle::seen_of(const VersionVector& vector) const {
  Seen seen;
  seen.seqs.resize(index_.size());
  for (const auto& [origin, seq] : vector) {
    const auto it = index_.find(origin);
    if (it != index_.end()) seen.seqs[it->second] = seq;
  }
  return seen;
}

const Transaction* Oracle::transaction(const Dot& dot) const {
  const auto it = log_.find(dot.origin);
  if (it == log_.end() || dot.seq == 0 || dot.seq > it->second.size()) return nullptr;
  return &it->second[dot.seq - 1].transaction;
}

const std::string* Oracle::record(const Dot& dot) const {
  return transaction(dot) == nullptr ? nullptr : &log_.at(dot.origin)[dot.seq - 1].record;
}

std::string Oracle::dc(const Origin& origin) const {
  const auto it = dcs_.find(origin);
  return it == dcs_.end() ? "?" : it->second;
}

}  // namespace entente::simulation
