#include "gateway/commands/unshipped.h"

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
  Export(Database& database, uint64_t sealed, std::ofstream& out)
      : database_(database), self_(database.state().self), sealed_(sealed), out_(out) {}

  Result<uint64_t> run() {
    for (LogPosition at = 0;;) {
      const auto chunks = database_.read_log(at, kSliceBytes);
      if (!chunks) return tl::unexpected(chunks.error());
      if (chunks->empty()) return written_;
      at = chunks->back().position;
      for (const auto& chunk : *chunks) {
        if (chunk.run.origin != self_) continue;
        if (auto done = take(chunk.run); !done) return tl::unexpected(done.error());
      }
    }
  }

 private:
  Result<void> take(const Run& run) {
    ByteReader in(run.records);
    for (uint64_t seq = run.first; seq <= run.last(); ++seq) {
      const auto record = in.string();
      StreamState before;  // what came before says nothing of the rows
      before.seq = seq - 1;
      const auto head = decode_head(self_, record, before);
      if (!head) return tl::unexpected(head.error());
      if (seq <= sealed_) continue;
      const auto line = line_of(*head);
      if (!line) return tl::unexpected(line.error());
      out_ << *line;
      written_ += line->empty() ? 0 : 1;
    }
    return {};
  }

  Database& database_;
  const Origin self_;
  const uint64_t sealed_;
  std::ofstream& out_;
  uint64_t written_ = 0;
};

}  // namespace

Result<Unshipped> export_unshipped(const Config& config, const Datacenter& dc,
                                   const std::filesystem::path& data, uint64_t sealed) {
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
  unshipped.transactions = *written;
  std::error_code ignored;
  if (*written == 0) std::filesystem::remove(std::exchange(unshipped.file, {}), ignored);
  return unshipped;
}

}  // namespace entente
