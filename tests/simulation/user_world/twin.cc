#include "tests/simulation/user_world/twin.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace entente::simulation::user_world {
namespace {

std::vector<std::string> lines_of(const StatementResult& result) {
  std::vector<std::string> lines;
  for (const auto& row : result.rows) {
    std::string line;
    for (const auto& value : row) line += describe(value) + " ";
    lines.push_back(std::move(line));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string describe_rows(const StatementResult& result) {
  std::string out;
  for (const auto& column : result.columns) out += column.name + " ";
  for (const auto& line : lines_of(result)) out += "| " + line;
  return out;
}

}  // namespace

Twin::Twin(const std::vector<std::string>& schema) {
  auto db = sqlite::Connection::open(":memory:", sqlite::Connection::Kind::kWrite);
  if (db) db_ = std::move(*db);
  Result<void> done = db_.exec("PRAGMA foreign_keys=ON");
  for (size_t i = 0; done && i < schema.size(); ++i) done = db_.exec(schema[i]);
  if (done) return;
  std::fprintf(stderr, "the twin's schema fails: %s\n", done.error().text.c_str());
  std::abort();
}

void Twin::begin() { db_.exec("BEGIN"); }
void Twin::rollback() { db_.rollback(); }

Result<void> Twin::commit() {
  auto done = db_.exec("COMMIT");
  if (!done) rollback();
  return done;
}

Result<void> Twin::migrate(const std::vector<std::string>& statements) {
  Result<void> done = db_.exec("PRAGMA foreign_keys=OFF; BEGIN");
  for (size_t i = 0; done && i < statements.size(); ++i) done = db_.exec(statements[i]);
  if (done) done = commit();
  if (!done) rollback();
  db_.exec("PRAGMA foreign_keys=ON");
  return done;
}

Result<StatementResult> Twin::execute(const Statement& statement) {
  auto stmt = db_.prepare(statement.sql);
  if (!stmt) return tl::unexpected(stmt.error());
  for (size_t i = 0; i < statement.args.size(); ++i) {
    stmt->bind(static_cast<int>(i) + 1, statement.args[i]);
  }
  StatementResult out;
  const int columns = sqlite3_column_count(stmt->get());
  for (int i = 0; i < columns; ++i) {
    out.columns.push_back({sqlite3_column_name(stmt->get(), i), std::nullopt});
  }
  const int64_t before = sqlite3_total_changes64(db_.get());
  auto row = stmt->step();
  for (; row && *row; row = stmt->step()) {
    auto& values = out.rows.emplace_back();
    for (int i = 0; i < columns; ++i) values.push_back(stmt->value(i));
  }
  if (!row) return tl::unexpected(row.error());
  const bool changed = sqlite3_total_changes64(db_.get()) != before;
  out.affected = changed ? static_cast<uint64_t>(sqlite3_changes64(db_.get())) : 0;
  return out;
}

std::string difference(const Result<StatementResult>& theirs, const Result<StatementResult>& ours) {
  const auto say = [](const Result<StatementResult>& r) {
    return r ? describe_rows(*r) + "(" + std::to_string(r->affected) + " rows changed)"
             : r.error().tag + ": " + r.error().text;
  };
  const bool alike =
      theirs.has_value() == ours.has_value() &&
      (theirs ? lines_of(*theirs) == lines_of(*ours) && theirs->affected == ours->affected
              : theirs.error().tag == ours.error().tag);
  return alike ? "" : "plain SQLite: " + say(theirs) + "; here: " + say(ours);
}

}  // namespace entente::simulation::user_world
