#include "tests/unit/gateway/server/fake_database.h"

namespace entente::test {
namespace {

const TableDef* definition(std::string_view table) {
  static const auto definitions = FakeDatabase::definitions();
  for (const auto& t : definitions) {
    if (t.name == table) return &t;
  }
  return nullptr;
}

// The row's state as a short text: enough to tell two states apart.
std::string etag_of(const Row& row) {
  std::string text;
  for (const auto& [name, value] : row) text += name + "=" + describe(value) + ";";
  return std::to_string(std::hash<std::string>{}(text));
}

Result<Key> key_of(std::string_view table, std::span<const Value> parts) {
  const auto* t = definition(table);
  if (t == nullptr) return fail(Code::kNotFound, "there is no table " + std::string(table));
  return canonical_key(*t, parts);
}

class FakeSession : public WriteSession {
 public:
  explicit FakeSession(FakeDatabase& database)
      : database_(database), state_(database.snapshot()), sql_(database.sql) {}

  Result<StatementResult> execute(const Statement& statement) override {
    auto result = sql_(statement, false);
    if (result && result->affected > 0) state_.texts.insert(statement.sql), changed_ = true;
    return result;
  }

  Result<RowOutcome> write(const RowRequest& request) override {
    database_.note(request);
    const auto key = key_of(request.table, request.key);
    if (!key) return tl::unexpected(key.error());
    auto& rows = state_.tables[request.table];
    const auto at = rows.find(*key);
    if (request.if_none_match && at != rows.end()) {
      return fail(Code::kPrecondition, "the row exists", "etag");
    }
    if (request.if_match && (at == rows.end() || etag_of(at->second) != *request.if_match)) {
      return fail(Code::kPrecondition, "the row changed", "etag");
    }
    if (request.kind == RowRequest::Kind::kIncrement) {
      if (auto done = add(request, at == rows.end() ? nullptr : &at->second); !done) {
        return tl::unexpected(done.error());
      }
    } else {
      change(request, *key, rows);
    }
    changed_ = true;
    return RowOutcome{{state_.applied, {}}, RowConflict::kNone};
  }

  Result<void> define(const TableDef&) override { return {}; }
  Result<void> edit(const TableEdit&) override { return {}; }

  bool changed() const { return changed_; }
  FakeDatabase::State take() { return std::move(state_); }

 private:
  static void change(const RowRequest& request, const Key& key, FakeDatabase::Rows& rows) {
    if (request.kind == RowRequest::Kind::kErase) {
      rows.erase(key);
      return;
    }
    auto& row = rows[key];
    if (request.kind == RowRequest::Kind::kPut) row.clear();
    for (const auto& [name, value] : request.columns) row[name] = value;
    const auto columns = definition(request.table)->key();
    for (size_t i = 0; i < columns.size(); ++i) row[columns[i]->name] = request.key[i];
  }

  // Every column that holds a whole number is a counter.
  static Result<void> add(const RowRequest& request, Row* row) {
    if (row == nullptr) return fail(Code::kNotFound, "there is no such row", "unknown_row");
    for (const auto& [name, amount] : request.columns) {
      auto* sum = std::get_if<int64_t>(&(*row)[name]);
      if (sum == nullptr) return fail(Code::kConstraint, name + " is no counter", "not_a_counter");
      *sum += std::get<int64_t>(amount);
    }
    return {};
  }

  FakeDatabase& database_;
  FakeDatabase::State state_;
  const FakeDatabase::Sql& sql_;
  bool changed_ = false;
};

class FakeReader : public Reader {
 public:
  explicit FakeReader(FakeDatabase& database) : database_(database) {}

  Result<void> begin() override { return {}; }
  void end() override {}
  Result<VersionVector> applied() override { return database_.snapshot().applied; }
  Result<StatementResult> execute(const Statement& s) override { return database_.sql(s, true); }
  Result<StatementDescription> describe(const Statement& statement) override {
    StatementDescription out;
    out.is_readonly = statement.sql.starts_with("SELECT");
    return out;
  }
  Result<std::vector<ConflictEntry>> conflicts(const ConflictQuery& query) override {
    std::vector<ConflictEntry> out;
    for (const auto& entry : database_.conflict_log) {
      if (entry.id > query.after_id && out.size() < query.limit) out.push_back(entry);
    }
    return out;
  }
  Result<std::map<Key, Row>> table(std::string_view name) override {
    return database_.snapshot().tables[std::string(name)];
  }
  Result<std::vector<TableDef>> tables() override { return FakeDatabase::definitions(); }
  Result<std::optional<TableDef>> find_table(std::string_view name) override {
    const auto* t = definition(name);
    return t == nullptr ? std::nullopt : std::optional(*t);
  }

  Result<RowRead> row(std::string_view table, std::span<const Value> parts, bool all) override {
    const auto key = key_of(table, parts);
    if (!key) return tl::unexpected(key.error());
    auto state = database_.snapshot();
    RowRead read;
    read.context.seen = state.applied;
    const auto& rows = state.tables[std::string(table)];
    const auto at = rows.find(*key);
    if (at == rows.end()) return read;
    read.row = at->second;
    read.siblings = 1;
    read.etag = etag_of(at->second);
    if (all) read.values.push_back({{Hlc::at(1), {FakeDatabase::self(), 1}}, "here", at->second});
    return read;
  }

 private:
  FakeDatabase& database_;
};

}  // namespace

FakeDatabase::FakeDatabase() { state_.applied.advance(self(), 1); }

Origin FakeDatabase::self() {
  Origin o;
  o.id[0] = 0xe1;
  return o;
}

std::vector<TableDef> FakeDatabase::definitions() {
  const auto column = [](const char* name, const char* type, uint16_t key_part) {
    ColumnDef c;
    c.name = name;
    c.type = type;
    c.affinity = affinity_of(type);
    c.key_part = key_part;
    return c;
  };
  return {{"t", {column("id", "INTEGER", 1), column("v", "", 0)}},
          {"pair", {column("a", "TEXT", 1), column("b", "INTEGER", 2), column("v", "", 0)}}};
}

DatabaseState FakeDatabase::state() const {
  DatabaseState s;
  s.self = self();
  s.streams[self()].seq = 1;
  s.labels[self()] = "here";
  return s;
}

Result<CommittedGroup> FakeDatabase::commit(std::span<const ClientTransaction> group, uint64_t ms) {
  wait_if_held();
  CommittedGroup out;
  const uint64_t before = snapshot().applied.at(self());
  {
    const std::lock_guard lock(mutex_);
    group_sizes_.push_back(group.size());
    if (failure_) return tl::unexpected(*failure_);
  }
  for (const auto& work : group) {
    if (out.results.size() == full_after_) break;
    FakeSession session(*this);
    if (const auto done = work(session); !done) {
      out.results.push_back(tl::unexpected(done.error()));
      continue;
    }
    Committed committed{std::nullopt, Hlc::at(ms), {}};
    const std::lock_guard lock(mutex_);
    if (session.changed()) {
      state_ = session.take();
      committed.dot = Dot{self(), state_.applied.at(self()) + 1};
      state_.applied.advance(self(), committed.dot->seq);
    }
    committed.applied = state_.applied;
    out.results.push_back(std::move(committed));
  }
  const uint64_t after = snapshot().applied.at(self());
  if (after > before) out.chunk = LogChunk{after, {self(), before + 1, after - before, ""}};
  return out;
}

Result<std::vector<LogChunk>> FakeDatabase::apply(std::span<const Run> runs, uint64_t) {
  wait_if_held();
  const std::lock_guard lock(mutex_);
  group_sizes_.push_back(0);
  if (failure_) return tl::unexpected(*failure_);
  std::vector<LogChunk> chunks;
  for (const auto& run : runs) {
    state_.applied.advance(run.origin, run.last());
    chunks.push_back({run.last(), run});
  }
  return chunks;
}

Result<std::unique_ptr<Reader>> FakeDatabase::reader() {
  return std::make_unique<FakeReader>(*this);
}

Result<void> FakeDatabase::trim_log(const VersionVector&, const LogRetention&) {
  const std::lock_guard lock(mutex_);
  ++trims_;
  changed_.notify_all();
  return {};
}

Result<void> FakeDatabase::promise(const VersionVector& floor) {
  const std::lock_guard lock(mutex_);
  if (failure_) return tl::unexpected(*failure_);
  promised_ = floor;
  return {};
}

Result<size_t> FakeDatabase::judge_again(uint64_t) { return 0; }

Result<Collected> FakeDatabase::collect(const VersionVector& stable, size_t) {
  const std::lock_guard lock(mutex_);
  collects_.push_back(stable);
  changed_.notify_all();
  return Collected{1, collects_.size() % collect_slices_ == 0};
}

VersionVector FakeDatabase::promised() const {
  const std::lock_guard lock(mutex_);
  return promised_;
}

std::vector<VersionVector> FakeDatabase::collects() const {
  const std::lock_guard lock(mutex_);
  return collects_;
}

void FakeDatabase::set_collect_slices(size_t slices) {
  const std::lock_guard lock(mutex_);
  collect_slices_ = slices;
}

void FakeDatabase::wait_for_collects(size_t slices) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return collects_.size() >= slices; });
}

void FakeDatabase::fail_with(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(error);
}

void FakeDatabase::hold() {
  const std::lock_guard lock(mutex_);
  hold_ = true;
}

void FakeDatabase::wait_until_held() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return held_; });
}

void FakeDatabase::let_go() {
  const std::lock_guard lock(mutex_);
  hold_ = false;
  changed_.notify_all();
}

void FakeDatabase::wait_if_held() {
  std::unique_lock lock(mutex_);
  if (!hold_) return;
  held_ = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return !hold_; });
  held_ = false;
}

void FakeDatabase::full_after(size_t transactions) {
  const std::lock_guard lock(mutex_);
  full_after_ = transactions;
}

std::vector<size_t> FakeDatabase::group_sizes() const {
  const std::lock_guard lock(mutex_);
  return group_sizes_;
}

std::optional<RowRequest> FakeDatabase::last_write() const {
  const std::lock_guard lock(mutex_);
  return last_write_;
}

void FakeDatabase::note(const RowRequest& request) {
  const std::lock_guard lock(mutex_);
  last_write_ = request;
}

size_t FakeDatabase::trims() const {
  const std::lock_guard lock(mutex_);
  return trims_;
}

FakeDatabase::State FakeDatabase::snapshot() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

}  // namespace entente::test
