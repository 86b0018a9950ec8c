#include "gateway/api/late/late_batches.h"

#include <algorithm>
#include <variant>

#include "conflict/conform.h"

namespace entente {
namespace {

constexpr size_t kBatchBytes = 4 << 20;

const TableDef* find_table(const std::vector<TableDef>& tables, std::string_view name,
                           uint64_t epoch) {
  const auto it = std::find_if(tables.begin(), tables.end(),
                               [&](const TableDef& t) { return t.was_called(name, epoch); });
  return it == tables.end() ? nullptr : &*it;
}

}  // namespace

Result<LateBatches::Ahead> LateBatches::look(Reader& reader) const {
  Ahead ahead;
  ahead.state = database_.state();
  for (const auto& [origin, stream] : ahead.state.streams)
    ahead.applied.advance(origin, stream.seq);
  auto tables = reader.tables();
  if (!tables) return tl::unexpected(tables.error());
  ahead.tables = std::move(*tables);
  return ahead;
}

// Who had seen all that is here of such an origin, had seen what follows it.
void LateBatches::see_sequels(const Ahead& ahead, VersionVector& context) {
  const VersionVector seen = context;
  for (const auto& [origin, seq] : seen) {
    const Origin follower = reissued_origin(origin, 0, {});
    const uint64_t follows = ahead.applied.at(follower);
    if (follows > 0 && seq >= ahead.applied.at(origin)) context.advance(follower, follows);
  }
}

// Rows that this batch changes already are looked at once that is done.
bool LateBatches::must_wait(const Ahead& ahead, const Transaction& t) const {
  if (ahead.bytes >= kBatchBytes) return true;
  return std::any_of(t.changes.begin(), t.changes.end(), [&](const Change& change) {
    const auto* row = std::get_if<RowChange>(&change);
    if (row == nullptr) return false;
    const TableDef* table = find_table(ahead.tables, row->table, t.epoch);
    return table != nullptr && ahead.touched.contains({table->name, row->key});
  });
}

Result<std::vector<Run>> LateBatches::next(Reader& reader) {
  auto ahead = look(reader);
  if (!ahead) return tl::unexpected(ahead.error());
  batch_ = skipped_ = 0;
  missing_ = {};
  for (after_ = next_; after_ < lines_.size(); ++after_) {
    const UnshippedLine& line = lines_[after_];
    const Transaction& t = line.transaction;
    const uint64_t has = ahead->applied.at(t.dot.origin);
    if (t.dot.seq <= has) {
      ++skipped_;
      continue;
    }
    if (t.dot.seq != has + 1) {
      return fail(Code::kRefused,
                  "the lines of " + to_hex(t.dot.origin) + " begin with " +
                      std::to_string(t.dot.seq) + ", and " + std::to_string(has) +
                      " of them are here: send the whole file",
                  "unshipped_gap");
    }
    if (!ahead->applied.covers(t.context)) {
      missing_ = t.context;
      break;
    }
    if (must_wait(*ahead, t)) break;
    if (auto done = add(reader, *ahead, line); !done) return tl::unexpected(done.error());
    ++batch_;
  }
  return std::move(ahead->runs);
}

Result<void> LateBatches::add(Reader& reader, Ahead& ahead, const UnshippedLine& line) {
  Transaction t = line.transaction;
  const Origin follower = reissued_origin(t.dot.origin, 0, {});
  Transaction sequel;
  sequel.dot = {follower, ahead.applied.at(follower) + 1};
  if (auto done = make_late(reader, ahead, line, t, sequel); !done) return done;
  t.context.join(ahead.state.promised);
  sequel.epoch = t.epoch;
  sequel.hlc = Hlc{std::max(t.hlc, sequel.hlc).bits + 1};
  append(ahead, std::move(t), line.dc);
  if (!sequel.changes.empty()) append(ahead, std::move(sequel), line.dc);
  return {};
}

// Brings its changes to the present schema, and to the rows as they are.
Result<void> LateBatches::make_late(Reader& reader, Ahead& ahead, const UnshippedLine& line,
                                    Transaction& t, Transaction& sequel) {
  see_sequels(ahead, t.context);
  Ranks ranks(rules_.priorities);
  for (const auto& [origin, dc] : ahead.state.labels) ranks.declare(origin, dc);
  ranks.declare(t.dot.origin, line.dc);
  for (auto& change : t.changes) {
    auto* row = std::get_if<RowChange>(&change);
    const TableDef* table =
        row == nullptr ? nullptr : find_table(ahead.tables, row->table, t.epoch);
    if (table == nullptr) continue;
    const Layout layout(*table, rules_.of(table->name));
    if (t.epoch != ahead.state.epoch) conform(*row, *table, layout, t.epoch);
    ahead.touched.emplace(table->name, row->key);
    StateQuery query{table->name, [](const Version&) { return false; }};
    query.keys = {row->key};
    const auto slice = reader.states(query);
    if (!slice) return tl::unexpected(slice.error());
    if (row->context) see_sequels(ahead, *row->context);
    const VersionVector had = row->context.value_or(t.context);
    const LateRow late{slice->rows.front(), layout, ranks, ahead.state.promised, sequel.dot.origin};
    Sequel more = come_late(*row, had, {t.hlc, t.dot}, late);
    if (!more.change) continue;
    sequel.hlc = std::max(sequel.hlc, more.after);
    sequel.context.join(*more.change->context);
    sequel.changes.emplace_back(std::move(*more.change));
  }
  // What is of no table any more is gone with it.
  if (t.epoch != ahead.state.epoch) {
    std::erase_if(t.changes, [&](const Change& change) {
      const auto* row = std::get_if<RowChange>(&change);
      return row == nullptr || find_table(ahead.tables, row->table, ahead.state.epoch) == nullptr;
    });
    t.epoch = ahead.state.epoch;
  }
  return {};
}

void LateBatches::append(Ahead& ahead, Transaction t, const std::string& dc) {
  const Dot dot = t.dot;
  StreamState& stream = ahead.state.streams[dot.origin];
  t.context.join(stream.context);
  t.context.set(dot.origin, dot.seq - 1);
  t.hlc = std::max(t.hlc, Hlc{stream.hlc.bits + 1});
  t.declares_dc = dot.seq == 1 ? dc : "";
  const std::string record = encode_record(t, stream);
  stream.seq = dot.seq;
  stream.hlc = t.hlc;
  stream.context = std::move(t.context);
  ahead.applied.advance(dot.origin, dot.seq);
  ahead.bytes += record.size();
  if (ahead.runs.empty() || ahead.runs.back().origin != dot.origin) {
    ahead.runs.push_back({dot.origin, dot.seq, 0, {}});
  }
  ByteWriter out;
  out.string(record);
  ahead.runs.back().records += out.view();
  ++ahead.runs.back().count;
}

}  // namespace entente
