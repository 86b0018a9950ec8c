#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/access/client.h"
#include "gateway/api/changes/log_chunks.h"
#include "gateway/api/changes/log_head.h"
#include "gateway/api/row_json.h"

namespace entente {

// What one reader of the change feed asked for.
struct FeedOptions {
  bool events = false;           // Server-Sent Events; otherwise JSON, one a line
  std::set<std::string> tables;  // only their changes; empty: all
  ClientPtr client;              // only changes of what he may read
  BigIntegers big = BigIntegers::kNumber;
  uint64_t limit = UINT64_MAX;  // transactions
  bool until_now = false;       // ends where the log ended when the feed began
};

// One reader's way through the local log: the transactions that it has not had, in the log's order,
// which is causal, each as one line. CLIENTS.md says what is in it.
//
// Threads: one at a time; fill() reads the database.
// Bounds:  keeps its place alone: bytes of the log are LogChunks', and held within fill() only. A
// line
//          comes in pieces.
// Errors:  kNotFound, "cursor_expired": the log was trimmed past what the reader has had.
class ChangeFeed {
 public:
  // Finds the reader's place: `had` is what it has had, absent: all that is there now.
  static Result<ChangeFeed> open(Database& database, LogChunks& chunks, const LogHead::At& head,
                                 std::optional<VersionVector> had, FeedOptions options);

  // Appends about `bytes` of what follows, up to `head`; none if there is none. It may be none,
  // too, when there is more: position() has moved then. After an error there is nothing more.
  Result<void> fill(Reader& reader, const LogHead::At& head, size_t bytes, std::string& out);

  LogPosition position() const { return position_; }
  bool between_lines() const { return !transaction_; }
  // The reader has what it asked for.
  bool over() const {
    return between_lines() && (ended_ || sent_ >= options_.limit || reached_end());
  }
  uint64_t sent() const { return sent_; }  // transactions
  const VersionVector& had() const { return had_; }
  // The last line said so, too.
  bool told() const { return told_; }
  bool events() const { return options_.events; }
  const Client& client() const { return *options_.client; }

  // Where the reader stands, while there is nothing else to say.
  std::string heartbeat();
  // Why the feed ends, a problem document, as its last line.
  std::string farewell(std::string_view problem);

 private:
  // The transaction that is being written.
  struct Transaction {
    Transaction(Dot d, const RecordHead& head, size_t changes_at)
        : dot(d),
          hlc(head.hlc),
          epoch(head.epoch),
          at(changes_at),
          end(changes_at + head.changes.size()),
          left(head.change_count) {}

    Dot dot;
    Hlc hlc;
    uint64_t epoch;                    // of the schema whose names it uses
    size_t at, end;                    // the changes not written yet, in the chunk's bytes
    size_t left;                       // how many
    bool begun = false;                // its line is
    std::optional<JsonWriter> schema;  // the array, for the end of the line
  };

  // What was not sent of the chunk at position_.
  struct Rest {
    LogPosition after;  // where LogChunks finds it
    Origin origin;
    uint64_t first, count;
    size_t at;  // where in its bytes
    uint64_t last() const { return first + count - 1; }
  };

  ChangeFeed(Database& database, LogChunks& chunks, FeedOptions options, VersionVector had,
             LogPosition position)
      : database_(&database),
        chunks_(&chunks),
        options_(std::move(options)),
        had_(std::move(had)),
        position_(position) {}

  bool reached_end() const { return position_ >= end_ && !rest_; }
  std::string_view bytes() const { return chunk_->run.records; }
  Result<void> hold_chunk();
  Result<void> next_chunk(const LogHead::At& head);
  Result<void> next_transaction();
  Result<void> write_change(Reader& reader, const LogHead::At& head, std::string& out);
  Result<void> write_row_change(const RowChange& change, Reader& reader);
  void note_schema_change(const SchemaChange& change);
  void begin_line(const LogHead::At& head, std::string& out);
  void end_transaction(std::string& out);
  bool wants(std::string_view table) const;
  bool tells(const SchemaChange& change) const;
  Result<const std::vector<std::string>*> key_names(Reader& reader, const std::string& table);
  // Around a line's JSON.
  void begin(std::string_view event, std::string_view id, std::string& out) const;
  void end(std::string& out) const { out += options_.events ? "\n\n" : "\n"; }

  Database* database_;
  LogChunks* chunks_;
  FeedOptions options_;
  VersionVector had_;
  LogPosition position_;  // chunks at or before it are done, or are rest_
  LogPosition end_ = UINT64_MAX;
  std::optional<Rest> rest_;
  std::shared_ptr<const LogChunk> chunk_;  // of rest_, within fill()
  std::optional<Transaction> transaction_;
  JsonWriter json_;
  // Of this fill(): the key columns of a table, by what it was called under an epoch.
  std::map<std::pair<std::string, uint64_t>, std::vector<std::string>> keys_;
  uint64_t sent_ = 0;
  bool told_ = false;
  bool ended_ = false;
  std::optional<Error> failure_;  // told once all before it is
};

}  // namespace entente
