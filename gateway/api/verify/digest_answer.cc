#include "gateway/api/verify/digest_answer.h"

#include <algorithm>
#include <iterator>

#include "gateway/store/read_snapshot.h"

namespace entente {
namespace {

constexpr size_t kNamedBytes = 8 << 20;  // of rows in one answer

// ---- Reading -----------------------------------------------------------------------------------

Result<void> add_range(Reader& reader, const DigestQuestion& question, const Key& after,
                       std::optional<Key> upto, DigestAnswer& answer) {
  DigestQuery query{question.table, {}, after, std::move(upto), {}};
  query.rows_max = question.rows_max - answer.looked_at;
  auto slice = reader.digests(query);
  if (!slice) return tl::unexpected(slice.error());
  DigestAnswer::Part part{slice->rows.size(), 0};
  for (const auto& row : slice->rows) part.digest += fold(row);
  answer.parts.push_back(part);
  answer.looked_at += slice->looked_at;
  answer.complete = slice->complete;
  if (!slice->last.empty()) answer.last = std::move(slice->last);
  if (!question.list) return {};
  answer.rows.insert(answer.rows.end(), std::make_move_iterator(slice->rows.begin()),
                     std::make_move_iterator(slice->rows.end()));
  return {};
}

Result<void> add_ranges(Reader& reader, const DigestQuestion& question, DigestAnswer& answer) {
  Key after = question.after;
  for (const auto& bound : question.bounds) {
    if (auto done = add_range(reader, question, after, bound, answer); !done) return done;
    if (!answer.complete) return {};
    after = bound;
  }
  if (!question.to_the_end) return {};
  return add_range(reader, question, after, std::nullopt, answer);
}

Result<void> add_named(Reader& reader, const DigestQuestion& question, DigestAnswer& answer) {
  auto slice = reader.digests({question.table, question.keys, {}, {}, SIZE_MAX});
  if (!slice) return tl::unexpected(slice.error());
  size_t bytes = 0;
  for (auto& digest : slice->rows) {
    const auto parts = key_parts(digest.key);
    if (!parts) return tl::unexpected(parts.error());
    auto read = reader.row(question.table, *parts, true);
    if (!read) return tl::unexpected(read.error());
    SeenRow row{std::move(digest), std::move(read->etag), {}};
    row.open = read->conflict == RowConflict::kOpen;
    row.decides_on_read = read->decides_on_read;
    row.row = std::move(read->row);
    row.parts = std::move(read->parts);
    for (const auto& value : read->values) row.newest = std::max(row.newest, value.version);
    bytes += bytes_of(row);
    if (bytes > kNamedBytes && !answer.seen.empty()) row.leave_out();
    answer.seen.push_back(std::move(row));
  }
  return {};
}

// ---- Bytes -------------------------------------------------------------------------------------

void put_keys(ByteWriter& out, const std::vector<Key>& keys) {
  out.varint(keys.size());
  for (const auto& key : keys) out.string(key);
}

std::vector<Key> take_keys(ByteReader& in) {
  std::vector<Key> keys(in.count(1));
  for (auto& key : keys) key = in.string();
  return keys;
}

void put_digest(ByteWriter& out, const RowDigest& row) {
  out.string(row.key);
  out.u64(row.dots), out.u64(row.values), out.u64(row.shown);
}

RowDigest take_digest(ByteReader& in) {
  RowDigest row;
  row.key = in.string();
  row.dots = in.u64(), row.values = in.u64(), row.shown = in.u64();
  return row;
}

void put_row(ByteWriter& out, const std::optional<Row>& row) {
  out.u8(row.has_value());
  if (!row) return;
  out.varint(row->size());
  for (const auto& [name, value] : *row) out.string(name), out.value(value);
}

void refuse(ByteReader& in) { in.raw(in.left() + 1); }

bool take_flag(ByteReader& in) {
  const uint8_t flag = in.u8();
  if (flag > 1) refuse(in);
  return flag == 1;
}

std::optional<Row> take_row(ByteReader& in) {
  if (!take_flag(in)) return std::nullopt;
  Row row;
  for (size_t n = in.count(2); n > 0 && in.ok(); --n) {
    const auto name = in.string();
    // Ascending, as they are written: others would take a time that grows with their square.
    if (!row.empty() && name <= std::prev(row.end())->first) refuse(in);
    row.emplace(name, in.value());
  }
  return row;
}

void put_parts(ByteWriter& out, const RowParts& parts) {
  encode(out, parts.dots);
  out.varint(parts.counters.size());
  for (const auto& part : parts.counters) {
    out.string(part.column), out.origin(part.origin), out.varint(part.seq), out.wide(part.sum);
  }
  out.varint(parts.undecided.size());
  for (const auto& row : parts.undecided) put_row(out, row);
}

RowParts take_parts(ByteReader& in) {
  RowParts parts;
  if (auto dots = decode_version_vector(in)) {
    parts.dots = std::move(*dots);
  } else {
    refuse(in);
  }
  parts.counters.resize(in.count(34));
  for (auto& part : parts.counters) {
    part.column = in.string(), part.origin = in.origin();
    part.seq = in.varint(), part.sum = in.wide();
  }
  parts.undecided.resize(in.count(1));
  for (auto& row : parts.undecided) row = take_row(in);
  return parts;
}

void put_seen(ByteWriter& out, const SeenRow& row) {
  put_digest(out, row.digest);
  out.string(row.state);
  out.origin(row.newest.dot.origin);
  out.varint(row.newest.dot.seq), out.u64(row.newest.hlc.bits);
  out.u8(row.open), out.u8(row.decides_on_read);
  put_row(out, row.row);
  put_parts(out, row.parts);
}

SeenRow take_seen(ByteReader& in) {
  SeenRow row;
  row.digest = take_digest(in);
  row.state = in.string();
  row.newest.dot.origin = in.origin();
  row.newest.dot.seq = in.varint(), row.newest.hlc.bits = in.u64();
  row.open = take_flag(in), row.decides_on_read = take_flag(in);
  row.row = take_row(in);
  row.parts = take_parts(in);
  return row;
}

}  // namespace

size_t bytes_of(const SeenRow& row) {
  ByteWriter out;
  put_seen(out, row);
  return out.size();
}

Result<DigestAnswer> answer_digests(Reader& reader, const DigestQuestion& question) {
  Snapshot snapshot(reader);
  auto applied = snapshot.applied();
  if (!applied) return tl::unexpected(applied.error());
  DigestAnswer answer;
  answer.applied = std::move(*applied);
  auto done = question.keys.empty() ? add_ranges(reader, question, answer)
                                    : add_named(reader, question, answer);
  return done.map([&] { return std::move(answer); });
}

std::string encode(const DigestQuestion& question) {
  ByteWriter out;
  out.string(question.table), out.string(question.after);
  put_keys(out, question.bounds);
  out.u8(question.to_the_end), out.varint(question.rows_max), out.u8(question.list);
  put_keys(out, question.keys);
  return out.take();
}

Result<DigestQuestion> decode_digest_question(std::string_view bytes) {
  ByteReader in(bytes);
  DigestQuestion question;
  question.table = in.string(), question.after = in.string();
  question.bounds = take_keys(in);
  question.to_the_end = take_flag(in);
  question.rows_max = in.varint();
  question.list = take_flag(in);
  question.keys = take_keys(in);
  if (!in.done()) return fail(Code::kInvalid, "the question about digests is malformed");
  return question;
}

std::string encode(const DigestAnswer& answer) {
  ByteWriter out;
  encode(out, answer.applied);
  out.varint(answer.parts.size());
  for (const auto& part : answer.parts) out.u64(part.rows), out.u64(part.digest);
  out.varint(answer.rows.size());
  for (const auto& row : answer.rows) put_digest(out, row);
  out.varint(answer.seen.size());
  for (const auto& row : answer.seen) put_seen(out, row);
  out.string(answer.last), out.varint(answer.looked_at), out.u8(answer.complete);
  return out.take();
}

Result<DigestAnswer> decode_digest_answer(std::string_view bytes) {
  ByteReader in(bytes);
  auto applied = decode_version_vector(in);
  if (!applied) return tl::unexpected(applied.error());
  DigestAnswer answer;
  answer.applied = std::move(*applied);
  answer.parts.resize(in.count(16));
  for (auto& part : answer.parts) part.rows = in.u64(), part.digest = in.u64();
  answer.rows.resize(in.count(25));
  for (auto& row : answer.rows) row = take_digest(in);
  answer.seen.resize(in.count(57));
  for (auto& row : answer.seen) row = take_seen(in);
  answer.last = in.string(), answer.looked_at = in.varint();
  answer.complete = take_flag(in);
  if (!in.done()) return fail(Code::kInvalid, "the answer about digests is malformed");
  return answer;
}

}  // namespace entente
