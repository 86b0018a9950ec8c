#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "conflict/counter.h"
#include "conflict/dot.h"
#include "conflict/key.h"
#include "conflict/result.h"
#include "conflict/schema.h"
#include "conflict/value.h"
#include "conflict/version_vector.h"

namespace entente {

// Who chose the values of a write.
enum class Decider : uint8_t {
  kWriter,    // an application
  kOperator,  // somebody who resolved a conflict
  kHandler,   // the row's policy, when the row was read
};

// A sibling that a writer's context covers and its write does not replace in this register.
struct KeptSibling {
  std::string group;
  Dot dot;
  friend bool operator==(const KeptSibling&, const KeptSibling&) = default;
};
bool keeps(std::span<const KeptSibling> kept, std::string_view group, const Dot& dot);

// A register in which a write leaves the columns of UNIQUE keys as its writer saw them, and the
// write that had set them so.
struct KeysSet {
  std::string group;
  Version by;
  friend bool operator==(const KeysSet&, const KeysSet&) = default;
};

// What happened to one row.
struct RowChange {
  std::string table;
  Key key;
  bool erase = false;
  bool inserted = false;                 // the row did not exist at its origin, or is made anew
  Row columns;                           // a put: what it wrote; an erase: empty
  Row base;                              // old values, for the columns whose policy asks for them
  std::optional<VersionVector> context;  // what the writer had seen of this row; absent: the
                                         // transaction's context
  std::vector<KeptSibling> kept;         // although the context covers them
  std::vector<Floor> floors = {};        // inserted: what its counters had counted before
  Decider decider = Decider::kWriter;
  std::string decided_by = {};  // kOperator: who; "" if nobody knows
  // Where the rules say so, for readers of the change feed; no policy looks at them: of a put, what
  // it replaced in the columns that it changed; of an erase, all columns but the key.
  Row old = {};
  std::vector<KeysSet> keys_set = {};  // of a put; of the registers that it writes to
};

// A schema change, as the schema leader ran it.
struct SchemaChange {
  uint64_t epoch = 0;                // each has a higher one
  std::vector<std::string> sql;      // SQLite's dialect; not empty
  std::vector<TableDef> tables;      // those it created or altered, as they are afterwards
  std::vector<std::string> dropped;  // those it dropped, by the names they had
};

using Change = std::variant<RowChange, SchemaChange>;

// The unit of replication: committed at one origin, applied whole everywhere, after everything in
// its context.
struct Transaction {
  Dot dot;
  Hlc hlc;
  VersionVector context;    // what its origin had applied when it committed; context.at(own
                            // origin) == dot.seq - 1
  uint64_t epoch = 0;       // of the schema whose names it uses: its own changes to it included
  std::string declares_dc;  // seq 1 only: the datacenter whose life this origin is
  std::vector<Change> changes;
};

// Where an origin's stream stands after some record: what the next record is relative to.
struct StreamState {
  uint64_t seq = 0;
  Hlc hlc;
  VersionVector context;
  std::array<uint8_t, 16> chain{};  // XXH3-128 over (the previous chain, the record): hash chain
};

// A record is a transaction in bytes: the same bytes in every log, on every link, for ever. It
// does not repeat what the stream already said: origin and seq, and the context as the difference
// to the previous record's. conflict/README.md lists it byte by byte.
//
// Split in two so that a capture hook can append changes as they happen: append_change() to a
// ByteWriter, then seal_record() puts the head before them.
void append_change(ByteWriter& changes, const Change& change);
std::string seal_record(const Transaction& head, size_t change_count, std::string_view changes,
                        const StreamState& before);
void seal_record(ByteWriter& out, const Transaction& head, size_t change_count,
                 std::string_view changes, const StreamState& before);
std::string encode_record(const Transaction& t, const StreamState& before);

// A row change's old values in bytes. Of a put: of the shape's columns in their order, one tag
// where it is as the new one; of an erase: a `string` of the columns' names, each a `string`, and
// values.
class OldValues {
 public:
  void clear() { bytes_.clear(), any_ = false; }
  void same() { bytes_.push_back(static_cast<char>(kTagSame)); }
  void value(std::string_view encoded) { bytes_ += encoded, any_ = true; }
  void names(std::string_view names);  // of an erase, first
  // Empty if every column is as it was.
  std::string_view view() const { return any_ ? std::string_view(bytes_) : std::string_view(); }

  static constexpr uint8_t kTagSame = 5;  // no value's

 private:
  std::string bytes_;
  bool any_ = false;
};

// What a change carries of this in bytes; empty for none. Absent: they are malformed.
std::string encode_keys_set(std::vector<KeysSet> keys_set);
std::optional<std::vector<KeysSet>> decode_keys_set(std::string_view bytes);

// A row change without a context of its own, kept siblings or base, as bytes: what a capture hook
// has at hand, and what an adapter can bind without building values. The views point elsewhere.
struct PlainRowChange {
  bool erase = false;
  bool inserted = false;
  std::string_view shape;  // the table and the columns' names in ascending order, each a `string`
  std::string_view key;
  std::string_view values;         // of the shape's columns, encoded, one after the other
  std::string_view old;            // as OldValues writes them; empty: none
  std::string_view keys_set = {};  // as encode_keys_set() writes it
};
void append_change(ByteWriter& changes, const PlainRowChange& change);
// Reads the next change if it is plain; otherwise leaves `in` where it was, for decode_change().
std::optional<PlainRowChange> next_plain_change(ByteReader& in);

// The head alone, without looking at the changes: enough to tell whether it may be applied.
struct RecordHead {
  Hlc hlc;
  VersionVector context;
  uint64_t epoch = 0;
  std::string declares_dc;
  size_t change_count = 0;
  std::string_view changes;  // into the record
};
Result<RecordHead> decode_head(const Origin& origin, std::string_view record,
                               const StreamState& before);
Result<Change> decode_change(ByteReader& in);
// A row context, the floors and who set keys must lie within the transaction's context, or replicas
// that apply in other orders diverge. decode_record() checks it; who decodes changes one by one
// must too.
bool admissible(const Change& change, const VersionVector& transaction_context);
Result<Transaction> decode_record(const Origin& origin, std::string_view record,
                                  const StreamState& before);
// A record of a log that is read from its beginning. There, less may be known of the transaction's
// context than of a row's in it: the transaction's grows by what its rows have seen.
Result<Transaction> decode_logged_record(const Origin& origin, std::string_view record,
                                         const StreamState& before);

// The hash chain after `record`: XXH3-128 over the chain before it and its bytes.
std::array<uint8_t, 16> chain_after(const std::array<uint8_t, 16>& before, std::string_view record);

// The stream's state after `record`, whose head was decoded with `before`.
StreamState advance(const StreamState& before, const RecordHead& head, std::string_view record);

// A run: consecutive records of one origin, as logs store and links carry them: each record a
// `string` of codec.h, one after the other.
struct Run {
  Origin origin;
  uint64_t first = 0;  // seq of the first record
  uint64_t count = 0;  // > 0
  std::string records;
  uint64_t last() const { return first + count - 1; }
};

// The part of `run` after seq `after`; count 0 when nothing is left. Fails if the bytes are not
// `count` whole records.
Result<Run> slice_after(const Run& run, uint64_t after);

// The beginning of that part: as many records as fit in `most` bytes, and one at least.
Result<Run> slice_after(const Run& run, uint64_t after, size_t most);

}  // namespace entente
