#include "gateway/api/changes/change_feed.h"

#include <algorithm>

#include "conflict/context.h"

namespace entente {
namespace {

// What one fill() reads of the log at most, and what a chunk counts for beside its bytes.
constexpr size_t kReadBytes = 1 << 20, kChunkCost = 256;

tl::unexpected<Error> expired() {
  return fail(Code::kNotFound,
              "this datacenter's log no longer has all that follows the cursor "
              "(limits.changes_retention): take a cursor with GET /v1/changes?until=now, read the "
              "tables, then follow the feed from that cursor; or ask another datacenter",
              "cursor_expired");
}

tl::unexpected<Error> damaged() {
  return fail(Code::kCorrupt, "the log in this database is damaged");
}

std::string_view kind_of(const RowChange& change) {
  if (change.erase) return "delete";
  return change.inserted ? "insert" : "update";
}

// Where the log begins to tell what somebody has not had. All of it is there, or it is an error.
Result<LogPosition> place_after(Database& database, const LogHead::At& head,
                                const VersionVector& had) {
  LogPosition place = head.position;
  for (const auto& [origin, last] : head.holds) {
    const uint64_t next = had.at(origin) + 1;
    if (next > last) continue;
    const auto before = database.position_before(origin, next);
    if (!before && before.error().code == Code::kNotFound) return expired();
    if (!before) return tl::unexpected(before.error());
    place = std::min(place, *before);
  }
  return place;
}

}  // namespace

Result<ChangeFeed> ChangeFeed::open(Database& database, LogChunks& chunks, const LogHead::At& head,
                                    std::optional<VersionVector> had, FeedOptions options) {
  if (!had) had = head.holds;
  const auto place = place_after(database, head, *had);
  if (!place) return tl::unexpected(place.error());
  ChangeFeed feed(database, chunks, std::move(options), std::move(*had), *place);
  if (feed.options_.until_now) feed.end_ = head.position;
  return feed;
}

Result<void> ChangeFeed::fill(Reader& reader, const LogHead::At& head, size_t bytes,
                              std::string& out) {
  keys_.clear();
  size_t read = 0;
  if (auto held = hold_chunk(); !held) failure_ = held.error();
  while (out.size() < bytes && !over() && !failure_) {
    Result<void> done;
    if (transaction_ && transaction_->left > 0) {
      done = write_change(reader, head, out);
    } else if (transaction_) {
      end_transaction(out);
    } else if (rest_) {
      done = next_transaction();
    } else if (position_ < head.position && read < kReadBytes) {
      done = next_chunk(head);
      if (done) read += chunk_->run.records.size() + kChunkCost;
    } else {
      break;
    }
    if (!done) failure_ = done.error();
  }
  chunk_.reset();
  if (failure_ && out.empty()) return tl::unexpected(*failure_);
  return {};
}

// The one that it was in the middle of, unless the log was trimmed past it meanwhile.
Result<void> ChangeFeed::hold_chunk() {
  if (!rest_) return {};
  auto chunk = chunks_->after(*database_, rest_->after);
  if (!chunk && chunk.error().code == Code::kNotFound) return expired();
  if (!chunk) return tl::unexpected(chunk.error());
  if ((*chunk)->position != position_) return expired();
  chunk_ = std::move(*chunk);
  return {};
}

Result<void> ChangeFeed::next_chunk(const LogHead::At& head) {
  auto chunk = chunks_->after(*database_, position_);
  if (!chunk && chunk.error().code == Code::kNotFound) return expired();
  if (!chunk) return tl::unexpected(chunk.error());
  // Pieces of the log are gone, which a join or trimming took: not what the reader has yet to have?
  if ((*chunk)->position != position_ + 1) {
    if (auto there = place_after(*database_, head, had_); !there) {
      return tl::unexpected(there.error());
    }
  }
  chunk_ = std::move(*chunk);
  const Run& run = chunk_->run;
  rest_ = Rest{position_, run.origin, run.first, run.count, 0};
  position_ = chunk_->position;
  return {};
}

// Or past one that the reader has had.
Result<void> ChangeFeed::next_transaction() {
  Rest& rest = *rest_;
  if (rest.count == 0 || had_.covers({rest.origin, rest.last()})) {
    rest_.reset();
    return {};
  }
  const Dot dot{rest.origin, rest.first};
  ByteReader in(bytes().substr(rest.at));
  const auto record = in.string();
  if (!in.ok()) return damaged();
  rest.at = bytes().size() - in.left();
  ++rest.first;
  --rest.count;
  if (had_.covers(dot)) return {};
  StreamState before;  // what the head leaves out is not asked for
  before.seq = dot.seq - 1;
  const auto head = decode_head(rest.origin, record, before);
  if (!head) return damaged();
  had_.advance(dot.origin, dot.seq);
  transaction_.emplace(dot, *head, static_cast<size_t>(head->changes.data() - bytes().data()));
  return {};
}

Result<void> ChangeFeed::write_change(Reader& reader, const LogHead::At& head, std::string& out) {
  ByteReader in(bytes().substr(transaction_->at, transaction_->end - transaction_->at));
  const auto change = decode_change(in);
  if (!change) return damaged();
  transaction_->at = transaction_->end - in.left();
  --transaction_->left;
  const auto* row = std::get_if<RowChange>(&*change);
  if (row == nullptr) {
    const auto& schema = std::get<SchemaChange>(*change);
    if (tells(schema)) begin_line(head, out), note_schema_change(schema);
    return {};
  }
  if (!wants(row->table)) return {};
  begin_line(head, out);
  auto done = write_row_change(*row, reader);
  json_.flush_to(out);
  return done;
}

bool ChangeFeed::wants(std::string_view table) const {
  return (options_.tables.empty() || options_.tables.contains(std::string(table))) &&
         options_.client->may_read(table);
}

// One of no table, a view's, is for readers of all.
bool ChangeFeed::tells(const SchemaChange& change) const {
  const auto& [epoch, sql, tables, dropped] = change;
  return (options_.tables.empty() && options_.client->may_read_all()) ||
         std::any_of(tables.begin(), tables.end(),
                     [&](const TableDef& t) { return wants(t.name); }) ||
         std::any_of(dropped.begin(), dropped.end(), [&](const auto& name) { return wants(name); });
}

void ChangeFeed::begin(std::string_view event, std::string_view id, std::string& out) const {
  if (!options_.events) return;
  out.append("event: ").append(event);
  if (!id.empty()) out.append("\nid: ").append(id);
  out.append("\ndata: ");
}

void ChangeFeed::begin_line(const LogHead::At& head, std::string& out) {
  if (std::exchange(transaction_->begun, true)) return;
  const Dot& dot = transaction_->dot;
  const auto label = head.labels->find(dot.origin);
  const std::string cursor = feed_cursor(had_);
  begin("transaction", cursor, out);
  json_ = {};
  json_.begin_object().member("cursor", cursor).member("dot", to_string(dot));
  json_.member("dc", label == head.labels->end() ? "" : label->second);
  json_.member("origin", to_hex(dot.origin)).member("hlc", to_string(transaction_->hlc));
  json_.member("time", iso_time(transaction_->hlc.unix_ms())).key("changes").begin_array();
}

Result<void> ChangeFeed::write_row_change(const RowChange& change, Reader& reader) {
  const auto names = key_names(reader, change.table);
  if (!names) return tl::unexpected(names.error());
  const auto parts = key_parts(change.key);
  if (!parts) return damaged();
  json_.begin_object().member("table", change.table).key("key");
  if ((*names)->size() == parts->size()) {
    json_.begin_object();
    for (size_t i = 0; i < parts->size(); ++i) {
      json_.key((**names)[i]);
      write_value(json_, (*parts)[i], options_.big);
    }
    json_.end_object();
  } else {
    write_key_parts(json_, change.key, options_.big);
  }
  json_.member("op", kind_of(change));
  if (!change.erase) {
    json_.key("new");
    write_row(json_, change.columns, options_.big);
  }
  const Row& old = change.old.empty() ? change.base : change.old;
  if (!old.empty()) {
    json_.key("old");
    write_row(json_, old, options_.big);
  }
  json_.end_object();
  return {};
}

void ChangeFeed::note_schema_change(const SchemaChange& change) {
  if (!transaction_->schema) transaction_->schema.emplace().begin_array();
  auto& out = *transaction_->schema;
  out.begin_object().key("epoch").unsigned_integer(change.epoch).key("sql").begin_array();
  for (const auto& sql : change.sql) out.string(sql);
  out.end_array();
  out.key("tables").begin_array();
  for (const auto& table : change.tables) out.string(table.name);
  out.end_array().key("dropped").begin_array();
  for (const auto& name : change.dropped) out.string(name);
  out.end_array().end_object();
}

void ChangeFeed::end_transaction(std::string& out) {
  if (transaction_->begun) {
    json_.end_array();
    if (transaction_->schema) json_.key("schema").raw(transaction_->schema->end_array().take());
    json_.end_object().flush_to(out);
    end(out);
    ++sent_;
  }
  told_ = transaction_->begun;
  transaction_.reset();
}

// Of the table that had this name then, as it is now; none if it is gone.
Result<const std::vector<std::string>*> ChangeFeed::key_names(Reader& reader,
                                                              const std::string& table) {
  const auto [known, fresh] = keys_.try_emplace({table, transaction_->epoch});
  if (!fresh) return &known->second;
  const auto tables = reader.tables();
  if (!tables) return tl::unexpected(tables.error());
  for (const auto& t : *tables) {
    if (!t.was_called(table, transaction_->epoch)) continue;
    for (const auto* column : t.key()) known->second.push_back(column->name);
  }
  return &known->second;
}

std::string ChangeFeed::heartbeat() {
  told_ = true;
  const std::string cursor = feed_cursor(had_);
  std::string out;
  begin("heartbeat", cursor, out);
  JsonWriter json;
  json.begin_object().member("cursor", cursor).key("heartbeat").boolean(true).end_object();
  json.flush_to(out);
  end(out);
  return out;
}

std::string ChangeFeed::farewell(std::string_view problem) {
  ended_ = told_ = true;
  std::string out;
  begin("problem", "", out);
  JsonWriter json;
  json.begin_object().key("problem").raw(problem).end_object().flush_to(out);
  end(out);
  return out;
}

}  // namespace entente
