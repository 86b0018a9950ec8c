#pragma once

#include <optional>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "gateway/replica/verification.h"

namespace entente {

// What one gateway asks of another, and of itself, to compare a table: digests of the ranges
// (after, bounds[0]], (bounds[0], bounds[1]], … and, `to_the_end`, of what is behind them; or the
// named rows.
struct DigestQuestion {
  std::string table;
  Key after = {};
  std::vector<Key> bounds = {};
  bool to_the_end = true;
  uint64_t rows_max = 0;  // to look at
  bool list = false;      // the rows' digests, too
  std::vector<Key> keys = {};
};

// One named row, with what a repair needs of it.
struct SeenRow {
  RowDigest digest;
  std::string state;  // ETag
  Version newest;
  bool open = false;             // an open conflict,
  bool decides_on_read = false;  // which whoever reads the row decides
  // What SQL shows, and what it is made of. Not of rows that would make the answer too large, but
  // of the first one named.
  std::optional<Row> row = {};
  RowParts parts = {};

  bool left_out() const { return !row && digest.shown != 0; }
  void leave_out() { row.reset(), parts = {}; }
};

struct DigestAnswer {
  VersionVector applied;  // everything is from one snapshot
  struct Part {
    uint64_t rows = 0, digest = 0;
    friend bool operator==(const Part&, const Part&) = default;
  };
  std::vector<Part> parts;      // one per range, unless rows_max came before
  std::vector<RowDigest> rows;  // if they are to be listed
  std::vector<SeenRow> seen;    // the named ones, in their order
  Key last;                     // looked at
  uint64_t looked_at = 0;
  bool complete = true;  // rows_max did not come in between
};

// How much of an answer it is.
size_t bytes_of(const SeenRow& row);

// kNotFound: there is no such table here.
Result<DigestAnswer> answer_digests(Reader& reader, const DigestQuestion& question);

// In bytes, as gateways send them to each other (codec.h).
std::string encode(const DigestQuestion& question);
Result<DigestQuestion> decode_digest_question(std::string_view bytes);
std::string encode(const DigestAnswer& answer);
Result<DigestAnswer> decode_digest_answer(std::string_view bytes);

}  // namespace entente
