#include "adapters/sqlite/log_reader.h"

#include <cstring>

#include "conflict/transaction.h"

namespace entente::sqlite {
namespace {

using Chain = std::array<uint8_t, 16>;

bool read_into(std::string_view bytes, Chain& out) {
  if (bytes.size() != out.size()) return false;
  std::memcpy(out.data(), bytes.data(), out.size());
  return true;
}

std::string_view bytes_of(const Chain& a) {
  return {reinterpret_cast<const char*>(a.data()), a.size()};
}

tl::unexpected<Error> damaged() {
  return fail(Code::kCorrupt, "the log in this database is damaged");
}

}  // namespace

Result<Stmt*> LogReader::plan(Stmt& stmt, const char* sql) {
  if (!stmt) {
    auto made = db_.prepare(sql);
    if (!made) return tl::unexpected(made.error());
    stmt = std::move(*made);
  }
  return &stmt;
}

Result<std::vector<LogChunk>> LogReader::read(LogPosition position, size_t max_bytes) {
  const std::scoped_lock lock(mutex_);
  auto q = plan(read_,
                "SELECT l.position, o.incarnation, l.first, l.last, l.records FROM _entente_log AS "
                "l JOIN _entente_origins AS o ON o.id = l.origin WHERE l.position > ?1 ORDER BY "
                "l.position");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind(1, position);
  Rows rows(**q);
  std::vector<LogChunk> out;
  size_t bytes = 0;
  auto row = rows.next();
  for (; row && *row; row = rows.next()) {
    LogChunk chunk;
    chunk.position = (*q)->natural(0);
    if (!read_into((*q)->bytes(1), chunk.run.origin.id)) return damaged();
    chunk.run.first = (*q)->natural(2);
    chunk.run.count = (*q)->natural(3) - chunk.run.first + 1;
    chunk.run.records = (*q)->bytes(4);
    bytes += chunk.run.records.size();
    if (!out.empty() && bytes > max_bytes) return out;
    out.push_back(std::move(chunk));
    if (bytes >= max_bytes) return out;
  }
  if (!row) return tl::unexpected(row.error());
  return out;
}

Result<std::optional<LogReader::Known>> LogReader::find_origin(const Origin& origin) {
  auto q = plan(origin_, "SELECT id, seq, chain FROM _entente_origins WHERE incarnation = ?1");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind(1, Bytes{bytes_of(origin.id)});
  Rows rows(**q);
  auto row = rows.next();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  Known known{(*q)->integer(0), (*q)->natural(1), {}};
  if (!read_into((*q)->bytes(2), known.chain)) return damaged();
  return known;
}

Result<LogPosition> LogReader::head() {
  auto q = plan(head_, "SELECT head FROM _entente_state");
  if (!q) return tl::unexpected(q.error());
  Rows rows(**q);
  auto row = rows.next();
  if (!row) return tl::unexpected(row.error());
  return *row ? (*q)->natural(0) : 0;
}

Result<LogPosition> LogReader::position_before(const Origin& origin, uint64_t seq) {
  const std::scoped_lock lock(mutex_);
  if (auto begun = db_.exec("BEGIN"); !begun) return tl::unexpected(begun.error());
  struct End {
    Connection& db;
    ~End() { db.rollback(); }
  } const end{db_};
  auto known = find_origin(origin);
  if (!known) return tl::unexpected(known.error());
  if (!*known || (*known)->seq < seq) return head();
  auto q =
      plan(by_dot_,
           "SELECT position, first FROM _entente_log WHERE origin = ?1 AND last >= ?2 ORDER BY "
           "last LIMIT 1");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all((*known)->id, seq);
  Rows rows(**q);
  auto row = rows.next();
  if (!row) return tl::unexpected(row.error());
  if (!*row || (*q)->natural(1) > seq) {
    return fail(Code::kNotFound, "the log no longer reaches back to " + to_string({origin, seq}));
  }
  return (*q)->natural(0) - 1;
}

Result<std::optional<Chain>> LogReader::chain_at(const Origin& origin, uint64_t seq) {
  const std::scoped_lock lock(mutex_);
  auto known = find_origin(origin);
  if (!known) return tl::unexpected(known.error());
  if (seq == 0) return Chain{};
  if (!*known || (*known)->seq < seq) return std::nullopt;
  if ((*known)->seq == seq) return (*known)->chain;
  // The chunk with the record after it: its chain starts at or before seq.
  auto q = plan(chain_,
                "SELECT first, before, records FROM _entente_log WHERE origin = ?1 AND last > ?2 "
                "ORDER BY last LIMIT 1");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all((*known)->id, seq);
  Rows rows(**q);
  auto row = rows.next();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  uint64_t at = (*q)->natural(0) - 1;
  Chain chain;
  if (!read_into((*q)->bytes(1), chain)) return damaged();
  if (at > seq) return std::nullopt;
  ByteReader in((*q)->bytes(2));
  for (; at < seq && in.ok(); ++at) chain = chain_after(chain, in.string());
  if (!in.ok()) return damaged();
  return chain;
}

Result<LogPosition> LogReader::prefix_to_trim(const VersionVector& stable,
                                              const LogRetention& keep) {
  const std::scoped_lock lock(mutex_);
  auto q = plan(prefix_,
                "SELECT l.position, o.incarnation, l.last, l.ms, (SELECT total FROM _entente_log "
                "ORDER BY position DESC LIMIT 1) - l.total FROM _entente_log AS l JOIN "
                "_entente_origins AS o ON o.id = l.origin ORDER BY l.position");
  if (!q) return tl::unexpected(q.error());
  Rows rows(**q);
  LogPosition prefix = 0;
  auto row = rows.next();
  for (; row && *row; row = rows.next()) {
    Dot last{{}, (*q)->natural(2)};
    if (!read_into((*q)->bytes(1), last.origin.id)) return damaged();
    const bool full = (*q)->natural(4) >= keep.bytes;
    if (!stable.covers(last) || ((*q)->natural(3) >= keep.since_ms && !full)) break;
    prefix = (*q)->natural(0);
  }
  if (!row) return tl::unexpected(row.error());
  return prefix;
}

}  // namespace entente::sqlite
