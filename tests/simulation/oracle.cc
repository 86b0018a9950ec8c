#include "tests/simulation/oracle.h"

#include <algorithm>
#include <tuple>

namespace entente::simulation {

Oracle::Oracle(const ConflictRules& rules, const std::vector<TableDef>& tables) : rules_(rules) {
  for (const auto& table : tables) tables_[table.name] = table;
}

// ---- What happened -----------------------------------------------------------------------------

Oracle::Complaint Oracle::committed(const Run& run, const VersionVector& had) {
  StreamState& stream = streams_[run.origin];
  if (run.first != stream.seq + 1) return "an origin committed after a gap";
  index_.try_emplace(run.origin, index_.size());
  VersionVector has = had;
  ByteReader in(run.records);
  for (uint64_t i = 0; i < run.count; ++i) {
    const auto record = in.string();
    const auto head = decode_head(run.origin, record, stream);
    auto t = decode_record(run.origin, record, stream);
    if (!head || !t) return "an origin committed what is no record: " + t.error().text;
    stream = advance(stream, *head, record);
    const Dot dot = t->dot;
    if (auto bad = enter(std::move(*t), std::string(record), has)) return bad;
    has.advance(dot.origin, dot.seq);
  }
  if (!in.done()) return "a run has bytes after its records";
  return std::nullopt;
}

Oracle::Complaint Oracle::enter(Transaction t, std::string record, const VersionVector& had) {
  if (t.context != had) {
    return "the context of " + to_string(t.dot) + " is not what its origin had applied";
  }
  if (auto bad = check_stamp(t)) return bad;
  if (!t.declares_dc.empty()) dcs_[t.dot.origin] = t.declares_dc;
  for (const auto& change : t.changes) {
    const auto* row = std::get_if<RowChange>(&change);
    if (row == nullptr) continue;
    if (row->context && !t.context.covers(*row->context)) {
      return "a row of " + to_string(t.dot) + " has seen what its origin had not";
    }
    enter(*row, t);
  }
  everything_.advance(t.dot.origin, t.dot.seq);
  log_[t.dot.origin].push_back({std::move(t), std::move(record)});
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

void Oracle::enter(const RowChange& change, const Transaction& t) {
  const Seen seen = seen_of(change.context ? *change.context : t.context);
  const size_t origin = index_.at(t.dot.origin);
  auto& registers = rows_[{change.table, change.key}];
  const Version version{t.hlc, t.dot};
  if (change.erase) {
    return enter_write(registers[""], {{version, std::nullopt}, origin, {}}, seen, change.kept);
  }
  std::map<std::string, Row> parts{{"", {}}};
  for (const auto& [column, value] : change.columns) {
    parts[register_of(change.table, column)].emplace(column, value);
  }
  for (auto& [group, values] : parts) {
    enter_write(registers[group], {{version, std::move(values)}, origin, {}}, seen, change.kept);
  }
}

void Oracle::enter_write(std::vector<StoredWrite>& to, StoredWrite write, const Seen& seen,
                         const std::vector<Dot>& kept) {
  for (auto& earlier : to) {
    const Dot& dot = earlier.write.version.dot;
    const bool keeps = std::find(kept.begin(), kept.end(), dot) != kept.end();
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
    for (auto& [group, r] : row.registers) r.open = r.open && (group.empty() || existence.open);
    return row;
  }
  row.visible.emplace();
  for (const auto& [group, r] : row.registers) {
    row.visible->insert(r.shown().value->begin(), r.shown().value->end());
  }
  return row;
}

ExpectedRegister Oracle::judged(const RowName& row, const std::string& group,
                                std::vector<OracleWrite> maximal) const {
  ExpectedRegister r{policy_of(row, group), std::move(maximal), 0, false};
  const auto strength = [&](const OracleWrite& w) {
    const int by_rank = r.policy == PolicyKind::kPriority ? rank(w.version.dot.origin) : 0;
    return std::tuple(by_rank, w.version.hlc, w.version.dot);
  };
  for (size_t i = 1; i < r.maximal.size(); ++i) {
    if (strength(r.maximal[i]) > strength(r.maximal[r.winner])) r.winner = i;
  }
  r.open = r.policy == PolicyKind::kSiblings &&
           std::any_of(r.maximal.begin(), r.maximal.end(),
                       [&](const OracleWrite& w) { return r.differs(w); });
  return r;
}

// ---- Lookups -----------------------------------------------------------------------------------

// By column: each is its own register. By row: a column with a policy of its own is; if there are
// such, the rest is "*", otherwise the row's existence holds it all.
std::string Oracle::register_of(const std::string& table, const std::string& column) const {
  const TableRules& rules = rules_.tables.at(table);
  if (rules.columns.contains(column) || rules.granularity == Granularity::kColumn) return column;
  return rules.columns.empty() ? "" : "*";
}

PolicyKind Oracle::policy_of(const RowName& row, const std::string& group) const {
  const TableRules& rules = rules_.tables.at(row.first);
  const auto own = rules.columns.find(group);
  return own == rules.columns.end() ? rules.policy : own->second;
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
