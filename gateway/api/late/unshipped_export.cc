#include "gateway/api/late/unshipped_export.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/api/late/unshipped_line.h"
#include "gateway/api/row_json.h"

namespace entente {
namespace {

constexpr size_t kSliceBytes = 4 << 20;
constexpr size_t kRowsAtOnce = 4096;

class Export {
 public:
  Export(Database& database, const ConflictRules& rules, const SharedHistories& shared,
         const std::function<void(const std::string&)>& put)
      : database_(database), rules_(rules), shared_(shared), state_(database.state()), put_(put) {}

  Result<uint64_t> run() {
    auto done = log_reaches() ? log() : rows();
    return done.map([&] { return lines_; });
  }

 private:
  SharedHistory of(const Origin& origin) const {
    const auto it = shared_.find(origin);
    return it == shared_.end() ? SharedHistory{} : it->second;
  }

  bool log_reaches() {
    return std::all_of(state_.streams.begin(), state_.streams.end(), [&](const auto& named) {
      const auto& [origin, stream] = named;
      const uint64_t after = of(origin).last();
      return after >= stream.seq || database_.position_before(origin, after + 1).has_value();
    });
  }

  // What others lack, and what it is called from now on.
  Result<std::vector<Renaming>> names() {
    std::vector<Renaming> names;
    for (const auto& [origin, stream] : state_.streams) {
      const uint64_t last = of(origin).last();
      if (last >= stream.seq) continue;
      const auto chain = database_.chain_at(origin, last + 1);
      if (!chain) return tl::unexpected(chain.error());
      if (!*chain) return fail(Code::kCorrupt, "the log has lost the chain of a change it holds");
      names.push_back({origin, last, reissued_origin(origin, last, **chain)});
    }
    return names;
  }

  Result<void> log() {
    auto renamed = names();
    if (!renamed) return tl::unexpected(renamed.error());
    auto tables = database_.reader().and_then([](const auto& reader) { return reader->tables(); });
    if (!tables) return tl::unexpected(tables.error());
    Reissue reissue(std::move(*renamed), {}, std::move(*tables));
    for (LogPosition at = 0;;) {
      const auto chunks = database_.read_log(at, kSliceBytes);
      if (!chunks) return tl::unexpected(chunks.error());
      if (chunks->empty()) return {};
      at = chunks->back().position;
      for (const auto& chunk : *chunks) {
        if (auto done = take(reissue, chunk.run); !done) return done;
      }
    }
  }

  // Heads say what changed in a context: reading from the log's start on says what of it is known.
  Result<void> take(Reissue& reissue, const Run& run) {
    const Renaming* name = reissue.find(run.origin);
    StreamState& read = read_[run.origin];
    if (run.first != read.seq + 1) read.seq = run.first - 1;
    ByteReader in(run.records);
    for (uint64_t seq = run.first; seq <= run.last() && name != nullptr; ++seq) {
      auto was = decode_logged_record(run.origin, in.string(), read);
      if (!was) return tl::unexpected(was.error());
      read.seq = seq;
      read.hlc = was->hlc;
      read.context = was->context;
      if (seq <= name->last) continue;
      const std::string& dc = state_.labels.at(run.origin);
      const UnshippedLine line{dc, *name, of(run.origin).fork.has_value(), reissue(*was, dc)};
      put(write_unshipped(line, *was));
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
    const Layout layout(table, rules_.of(table.name));
    StateQuery query{table.name, [this](const Version& v) { return known(v); }, {}, kRowsAtOnce};
    for (bool complete = false; !complete;) {
      const auto slice = reader.states(query);
      if (!slice) return tl::unexpected(slice.error());
      query.after = slice->last;
      complete = slice->complete;
      for (const auto& state : slice->rows) {
        if (auto done = put_row(reader, layout, state); !done) return done;
      }
    }
    return {};
  }

  bool known(const Version& v) const { return of(v.dot.origin).last() >= v.dot.seq; }

  bool is_news(const RowState& state, const std::string& group) const {
    const auto& siblings = register_of(state, group).siblings;
    return std::any_of(siblings.begin(), siblings.end(),
                       [this](const Sibling& s) { return !known(s.version); });
  }

  Result<void> put_row(Reader& reader, const Layout& layout, const RowState& state) {
    const auto parts = key_parts(state.key);
    if (!parts) return tl::unexpected(parts.error());
    const auto read = reader.row(layout.table, *parts, false);
    if (!read) return tl::unexpected(read.error());
    const bool others_have =
        std::any_of(state.registers.begin(), state.registers.end(), [this](const auto& named) {
          const auto& siblings = named.second.siblings;
          return std::any_of(siblings.begin(), siblings.end(),
                             [this](const Sibling& s) { return known(s.version); });
        });
    Row columns;
    for (const auto& group : layout.groups) {
      if (!read->row || (others_have && (group.policy.commutes() || !is_news(state, group.name)))) {
        continue;
      }
      for (const auto& name : group.columns) {
        if (const auto it = read->row->find(name); it != read->row->end()) columns.insert(*it);
      }
    }
    if (read->row ? others_have && columns.empty() : !is_news(state, "")) return {};
    JsonWriter out;
    out.begin_object().key("writes").begin_array().begin_object();
    out.member("op", !read->row ? "delete" : others_have ? "patch" : "put");
    out.member("table", layout.table).key("key");
    write_key_parts(out, state.key, BigIntegers::kNumber);
    if (read->row) {
      out.key("row");
      write_row(out, columns, BigIntegers::kNumber);
    }
    out.end_object().end_array().end_object();
    put(out.take() + "\n");
    return {};
  }

  void put(const std::string& line) {
    put_(line);
    ++lines_;
  }

  Database& database_;
  const ConflictRules& rules_;
  const SharedHistories& shared_;
  const DatabaseState state_;
  const std::function<void(const std::string&)>& put_;
  std::map<Origin, StreamState> read_;
  uint64_t lines_ = 0;
};

}  // namespace

Result<uint64_t> export_lines(Database& database, const ConflictRules& rules,
                              const SharedHistories& shared,
                              const std::function<void(const std::string&)>& put) {
  return Export(database, rules, shared, put).run();
}

}  // namespace entente
