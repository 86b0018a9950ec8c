#include "gateway/commands/unshipped.h"

#include <algorithm>
#include <fstream>
#include <utility>
#include <variant>

#include "adapters/sqlite/sqlite_database.h"
#include "gateway/server/data_folder.h"
#include "gateway/server/database_options.h"
#include "gateway/server/row_json.h"
#include "gateway/server/wall_clock.h"

namespace entente {
namespace {

constexpr size_t kSliceBytes = 4 << 20;
constexpr size_t kRowsAtOnce = 4096;

void write_change(JsonWriter& out, const RowChange& change) {
  out.begin_object().member("op", change.erase ? "delete" : change.inserted ? "put" : "patch");
  out.member("table", change.table).key("key");
  write_key_parts(out, change.key, BigIntegers::kNumber);
  if (!change.erase) {
    out.key("row");
    write_row(out, change.columns, BigIntegers::kNumber);
  }
  out.end_object();
}

// The rows of a record as a line; "" if there are none.
Result<std::string> line_of(const RecordHead& head) {
  JsonWriter out;
  out.begin_object().key("writes").begin_array();
  size_t rows = 0;
  ByteReader in(head.changes);
  for (size_t i = 0; i < head.change_count; ++i) {
    const auto change = decode_change(in);
    if (!change) return tl::unexpected(change.error());
    if (const auto* row = std::get_if<RowChange>(&*change)) write_change(out, *row), ++rows;
  }
  out.end_array().end_object();
  return rows > 0 ? out.take() + "\n" : "";
}

class Export {
 public:
  Export(Database& database, const VersionVector& sealed, std::ofstream& out)
      : database_(database), sealed_(sealed), out_(out) {}

  Result<uint64_t> run() {
    auto done = log_reaches() ? log() : rows();
    return done.map([&] { return lines_; });
  }

 private:
  bool log_reaches() {
    const auto state = database_.state();
    return std::all_of(state.streams.begin(), state.streams.end(), [&](const auto& named) {
      const auto& [origin, stream] = named;
      const uint64_t after = sealed_.at(origin);
      return after >= stream.seq || database_.position_before(origin, after + 1).has_value();
    });
  }

  Result<void> log() {
    for (LogPosition at = 0;;) {
      const auto chunks = database_.read_log(at, kSliceBytes);
      if (!chunks) return tl::unexpected(chunks.error());
      if (chunks->empty()) return {};
      at = chunks->back().position;
      for (const auto& chunk : *chunks) {
        if (auto done = take(chunk.run); !done) return done;
      }
    }
  }

  Result<void> take(const Run& run) {
    ByteReader in(run.records);
    for (uint64_t seq = run.first; seq <= run.last(); ++seq) {
      const auto record = in.string();
      if (seq <= sealed_.at(run.origin)) continue;
      StreamState before;  // what came before says nothing of the rows
      before.seq = seq - 1;
      const auto head = decode_head(run.origin, record, before);
      if (!head) return tl::unexpected(head.error());
      const auto line = line_of(*head);
      if (!line) return tl::unexpected(line.error());
      put(*line);
    }
    return {};
  }

  Result<void> rows() {
    auto reader = database_.reader();
    if (!reader) return tl::unexpected(reader.error());
    const auto tables = (*reader)->tables();
    if (!tables) return tl::unexpected(tables.error());
    for (const auto& table : *tables) {
      if (auto done = rows_of(**reader, table); !done) return done;
    }
    return {};
  }

  Result<void> rows_of(Reader& reader, const TableDef& table) {
    const auto known = [this](const Version& v) { return sealed_.covers(v.dot); };
    StateQuery query{table.name, known, {}, kRowsAtOnce};
    for (bool complete = false; !complete;) {
      const auto slice = reader.states(query);
      if (!slice) return tl::unexpected(slice.error());
      query.after = slice->last;
      complete = slice->complete;
      for (const auto& row : slice->rows) {
        if (auto done = put_row(reader, table, row.key); !done) return done;
      }
    }
    return {};
  }

  Result<void> put_row(Reader& reader, const TableDef& table, const Key& key) {
    const auto parts = key_parts(key);
    if (!parts) return tl::unexpected(parts.error());
    auto row = reader.row(table.name, *parts, false);
    if (!row) return tl::unexpected(row.error());
    RowChange change;
    change.table = table.name;
    change.key = key;
    change.erase = !row->row;
    change.inserted = row->row.has_value();
    for (const auto& column : table.columns) {
      if (row->row && column.key_part > 0) row->row->erase(column.name);
    }
    if (row->row) change.columns = std::move(*row->row);
    JsonWriter out;
    out.begin_object().key("writes").begin_array();
    write_change(out, change);
    out.end_array().end_object();
    put(out.take() + "\n");
    return {};
  }

  void put(const std::string& line) {
    out_ << line;
    lines_ += line.empty() ? 0 : 1;
  }

  Database& database_;
  const VersionVector& sealed_;
  std::ofstream& out_;
  uint64_t lines_ = 0;
};

}  // namespace

Result<Unshipped> export_unshipped(const Config& config, const Datacenter& dc,
                                   const std::filesystem::path& data, const VersionVector& sealed) {
  const auto folder = DataFolder::open(data);
  if (!folder) return tl::unexpected(folder.error());
  const auto database =
      open_sqlite(database_path(dc, data), database_options(config, dc.name, {}, wall_ms()));
  if (!database) return tl::unexpected(database.error());
  Unshipped unshipped{data / "unshipped.ndjson", 0};
  std::ofstream out(unshipped.file, std::ios::trunc);
  const auto written = Export(**database, sealed, out).run();
  if (!written) return tl::unexpected(written.error());
  out.close();
  if (!out) return fail(Code::kExhausted, "cannot write " + unshipped.file.string());
  unshipped.lines = *written;
  std::error_code ignored;
  if (*written == 0) std::filesystem::remove(std::exchange(unshipped.file, {}), ignored);
  return unshipped;
}

}  // namespace entente
