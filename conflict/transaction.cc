#include "conflict/transaction.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <iterator>

namespace entente {
namespace {

constexpr uint8_t kHeadDeclares = 1;

constexpr uint8_t kPut = 0, kErase = 1, kSchema = 2;  // plain changes: kPut and kErase

constexpr uint8_t kInserted = 1, kOwnContext = 2, kKept = 4, kBase = 8, kFloors = 16, kDecided = 32,
                  kOld = 64, kKeysSet = 128;

// A change's shape: its table and the names of the columns it carries, in one run of bytes, so that
// the changes of one statement repeat it byte for byte.
void append_shape(ByteWriter& out, const RowChange& c) {
  ByteWriter shape;
  shape.string(c.table);
  for (const auto& [name, value] : c.columns) shape.string(name);
  out.string(shape.view());
}

std::string encoded(const Value& v) {
  ByteWriter out;
  out.value(v);
  return out.take();
}

OldValues old_values(const RowChange& c) {
  OldValues out;
  if (c.old.empty()) return out;
  if (c.erase) {
    ByteWriter names;
    for (const auto& [name, value] : c.old) names.string(name);
    out.names(names.view());
    for (const auto& [name, value] : c.old) out.value(encoded(value));
    return out;
  }
  for (const auto& [name, value] : c.columns) {
    const auto old = c.old.find(name);
    old == c.old.end() ? out.same() : out.value(encoded(old->second));
  }
  return out;
}

// What stands in the place of Decider::kOperator if a name follows.
constexpr uint8_t kNamedOperator = 3;

void append_decider(ByteWriter& out, const RowChange& c) {
  if (c.decider == Decider::kWriter) return;
  const bool named = c.decider == Decider::kOperator && !c.decided_by.empty();
  out.u8(named ? kNamedOperator : static_cast<uint8_t>(c.decider));
  if (named) out.string(c.decided_by);
}

void append_row_change(ByteWriter& out, const RowChange& c) {
  const OldValues old = old_values(c);
  out.u8(c.erase ? kErase : kPut);
  append_shape(out, c);
  out.string(c.key);
  out.u8(static_cast<uint8_t>(
      (c.inserted ? kInserted : 0) | (c.context ? kOwnContext : 0) | (c.kept.empty() ? 0 : kKept) |
      (c.base.empty() ? 0 : kBase) | (c.floors.empty() ? 0 : kFloors) |
      (c.decider == Decider::kWriter ? 0 : kDecided) | (old.view().empty() ? 0 : kOld) |
      (c.keys_set.empty() ? 0 : kKeysSet)));
  for (const auto& [name, value] : c.columns) out.value(value);
  if (c.context) encode(out, *c.context);
  if (!c.kept.empty()) {
    out.varint(c.kept.size());
    for (const auto& k : c.kept) {
      out.string(k.group), out.origin(k.dot.origin), out.varint(k.dot.seq);
    }
  }
  if (!c.base.empty()) {
    out.varint(c.base.size());
    for (const auto& [name, value] : c.base) out.string(name), out.value(value);
  }
  if (!c.floors.empty()) {
    out.varint(c.floors.size());
    for (const auto& f : c.floors) {
      out.string(f.column), out.origin(f.origin), out.varint(f.seq), out.wide(f.sum);
    }
  }
  append_decider(out, c);
  out.raw(old.view());
  out.raw(encode_keys_set(c.keys_set));
}

// How many of something follow that is only there to hold some: none is malformed.
size_t some(ByteReader& in, size_t min_bytes, bool& whole) {
  const size_t n = in.count(min_bytes);
  whole = whole && n > 0;
  return n;
}

// Names of columns, each once: ascending, as they are written. Absent if they are malformed.
std::optional<std::vector<std::string_view>> read_names(ByteReader in) {
  std::vector<std::string_view> names;
  while (in.ok() && in.left() > 0) {
    const auto name = in.string();
    if (!names.empty() && name <= names.back()) return std::nullopt;
    names.push_back(name);
  }
  return in.ok() ? std::optional(std::move(names)) : std::nullopt;
}

// More than any counter reaches, and sums and differences of many still fit in 128 bits.
constexpr Int128 kFloorMax = Int128{1} << 100;

bool read_floors(ByteReader& in, std::vector<Floor>& floors) {
  bool whole = true;
  const size_t n = some(in, 20, whole);
  for (size_t i = 0; i < n && in.ok(); ++i) {
    Floor f;
    f.column = in.string();
    f.origin = in.origin();
    f.seq = in.varint();
    f.sum = in.wide();
    whole = whole && f.sum <= kFloorMax && f.sum >= -kFloorMax;
    floors.push_back(std::move(f));
  }
  return in.ok() && whole;
}

// A decider that a later version may know is still a decision.
bool read_decider(ByteReader& in, RowChange& c) {
  const uint8_t who = in.u8();
  const bool handler = who == static_cast<uint8_t>(Decider::kHandler);
  c.decider = handler ? Decider::kHandler : Decider::kOperator;
  if (who == kNamedOperator) c.decided_by = in.string();
  return in.ok() && who != 0 && (who != kNamedOperator || !c.decided_by.empty());
}

// True if the next value is as the new one; then it is read.
bool is_same(ByteReader& in) {
  const std::string_view rest = in.rest();
  if (rest.empty() || static_cast<uint8_t>(rest[0]) != OldValues::kTagSame) return false;
  in.u8();
  return true;
}

bool read_old(ByteReader& in, std::span<const std::string_view> columns, RowChange& c) {
  std::optional names(std::vector(columns.begin(), columns.end()));
  if (c.erase) names = read_names(ByteReader(in.string()));
  if (!names) return false;
  for (const auto name : *names) {
    if (c.erase || !is_same(in)) c.old.emplace(name, in.value());
  }
  return in.ok() && !c.old.empty();
}

// Registers in ascending order, as they are written.
bool read_keys_set(ByteReader& in, std::vector<KeysSet>& keys_set) {
  bool whole = true;
  const size_t n = some(in, 26, whole);
  for (size_t i = 0; i < n && in.ok(); ++i) {
    KeysSet k;
    k.group = in.string();
    k.by.hlc.bits = in.u64();
    k.by.dot.origin = in.origin();
    k.by.dot.seq = in.varint();
    whole = whole && (i == 0 || keys_set.back().group < k.group);
    keys_set.push_back(std::move(k));
  }
  return in.ok() && whole;
}

Result<Change> read_row_change(ByteReader& in, bool erase) {
  RowChange c;
  c.erase = erase;
  ByteReader shape(in.string());
  c.table = shape.string();
  const auto names = read_names(shape);
  bool whole = shape.ok() && names && (!erase || names->empty());
  c.key = in.string();
  const uint8_t flags = in.u8();
  c.inserted = flags & kInserted;
  for (size_t i = 0; whole && i < names->size(); ++i) c.columns.emplace((*names)[i], in.value());
  if (flags & kOwnContext) {
    auto context = decode_version_vector(in);
    if (!context) return tl::unexpected(context.error());
    c.context = std::move(*context);
  }
  if (flags & kKept) {
    const size_t n = some(in, 18, whole);
    for (size_t i = 0; i < n && in.ok(); ++i) {
      const auto group = in.string();
      const Origin o = in.origin();
      c.kept.push_back({std::string(group), {o, in.varint()}});
    }
  }
  if (flags & kBase) {
    const size_t n = some(in, 2, whole);
    for (size_t i = 0; i < n && in.ok() && whole; ++i) {
      const auto name = in.string();
      whole = i == 0 || std::prev(c.base.end())->first < name;
      if (whole) c.base.emplace(name, in.value());
    }
  }
  if (flags & kFloors) whole = whole && read_floors(in, c.floors);
  if (flags & kDecided) whole = whole && read_decider(in, c);
  if (flags & kOld) whole = whole && read_old(in, *names, c);
  if (flags & kKeysSet) whole = whole && !erase && read_keys_set(in, c.keys_set);
  if (!in.ok() || c.table.empty() || !whole) {
    return fail(Code::kInvalid, "a row change is malformed");
  }
  return c;
}

void skip_value(ByteReader& in) {
  const std::string_view rest = in.rest();
  const uint8_t tag = rest.empty() ? kTagNull : static_cast<uint8_t>(rest[0]);
  if (tag != kTagText && tag != kTagBlob) {
    in.value();
    return;
  }
  in.u8();
  in.string();
}

// Names as read_names() has them, without keeping them. Absent if they are malformed.
std::optional<size_t> count_names(std::string_view names) {
  ByteReader in(names);
  std::string_view last;
  size_t n = 0;
  for (; in.left() > 0 && in.ok(); ++n) {
    const auto name = in.string();
    if (n > 0 && name <= last) return std::nullopt;
    last = name;
  }
  return in.ok() ? std::optional(n) : std::nullopt;
}

bool skip_old(ByteReader& in, bool erase, size_t columns) {
  const auto names = erase ? count_names(in.string()) : columns;
  bool any = false;
  for (size_t i = 0; names && i < *names; ++i) {
    if (!erase && is_same(in)) continue;
    skip_value(in);
    any = true;
  }
  return any;
}

Result<Change> read_schema_change(ByteReader& in) {
  SchemaChange c;
  c.epoch = in.varint();
  for (size_t left = in.count(1); left > 0 && in.ok(); --left) c.sql.emplace_back(in.string());
  const size_t n = in.count(2);
  for (size_t i = 0; i < n && in.ok(); ++i) {
    auto table = decode_table(in);
    if (!table) return tl::unexpected(table.error());
    c.tables.push_back(std::move(*table));
  }
  for (size_t left = in.count(1); left > 0 && in.ok(); --left) c.dropped.emplace_back(in.string());
  if (!in.ok() || c.sql.empty()) return fail(Code::kInvalid, "a schema change is malformed");
  return c;
}

}  // namespace

void append_change(ByteWriter& changes, const Change& change) {
  if (const auto* row = std::get_if<RowChange>(&change)) return append_row_change(changes, *row);
  const auto& schema = std::get<SchemaChange>(change);
  changes.u8(kSchema);
  changes.varint(schema.epoch);
  changes.varint(schema.sql.size());
  for (const auto& sql : schema.sql) changes.string(sql);
  changes.varint(schema.tables.size());
  for (const auto& t : schema.tables) encode(changes, t);
  changes.varint(schema.dropped.size());
  for (const auto& name : schema.dropped) changes.string(name);
}

void append_change(ByteWriter& changes, const PlainRowChange& change) {
  changes.u8(change.erase ? kErase : kPut);
  changes.string(change.shape);
  changes.string(change.key);
  changes.u8(static_cast<uint8_t>((change.inserted ? kInserted : 0) |
                                  (change.old.empty() ? 0 : kOld) |
                                  (change.keys_set.empty() ? 0 : kKeysSet)));
  changes.raw(change.values);
  changes.raw(change.old);
  changes.raw(change.keys_set);
}

std::string encode_keys_set(std::vector<KeysSet> keys_set) {
  if (keys_set.empty()) return {};
  std::sort(keys_set.begin(), keys_set.end(),
            [](const KeysSet& a, const KeysSet& b) { return a.group < b.group; });
  ByteWriter out;
  out.varint(keys_set.size());
  for (const auto& k : keys_set) {
    out.string(k.group), out.u64(k.by.hlc.bits);
    out.origin(k.by.dot.origin), out.varint(k.by.dot.seq);
  }
  return out.take();
}

std::optional<std::vector<KeysSet>> decode_keys_set(std::string_view bytes) {
  std::vector<KeysSet> out;
  if (bytes.empty()) return out;
  ByteReader in(bytes);
  if (!read_keys_set(in, out) || !in.done()) return std::nullopt;
  return out;
}

void OldValues::names(std::string_view names) {
  ByteWriter out;
  out.string(names);
  bytes_ += out.view();
}

std::optional<PlainRowChange> next_plain_change(ByteReader& in) {
  ByteReader at = in;
  PlainRowChange c;
  const uint8_t kind = at.u8();
  c.erase = kind == kErase;
  c.shape = at.string();
  c.key = at.string();
  const uint8_t flags = at.u8();
  c.inserted = flags & kInserted;
  ByteReader shape(c.shape);
  if (kind > kErase || (flags & ~(kInserted | kOld | kKeysSet)) != 0 || shape.string().empty())
    return std::nullopt;
  const auto columns = count_names(shape.rest());
  if (!columns || (c.erase && *columns > 0)) return std::nullopt;
  const std::string_view values = at.rest();
  for (size_t i = 0; i < *columns; ++i) skip_value(at);
  const std::string_view old = at.rest();
  if ((flags & kOld) != 0 && !skip_old(at, c.erase, *columns)) return std::nullopt;
  const std::string_view keys_set = at.rest();
  if (std::vector<KeysSet> set; (flags & kKeysSet) != 0) {
    if (c.erase || !read_keys_set(at, set)) return std::nullopt;
  }
  if (!at.ok()) return std::nullopt;
  c.values = values.substr(0, values.size() - old.size());
  c.old = old.substr(0, old.size() - keys_set.size());
  c.keys_set = keys_set.substr(0, keys_set.size() - at.left());
  in = at;
  return c;
}

std::string seal_record(const Transaction& head, size_t change_count, std::string_view changes,
                        const StreamState& before) {
  ByteWriter out;
  seal_record(out, head, change_count, changes, before);
  return out.take();
}

void seal_record(ByteWriter& out, const Transaction& head, size_t change_count,
                 std::string_view changes, const StreamState& before) {
  out.u8(head.declares_dc.empty() ? 0 : kHeadDeclares);
  out.u64(head.hlc.bits);
  out.varint(head.epoch);
  VersionVector news;  // the origin's own entry is always seq - 1: never written
  for (const auto& d : head.context) {
    if (d.origin != head.dot.origin && before.context.at(d.origin) != d.seq) {
      news.set(d.origin, d.seq);
    }
  }
  encode(out, news);
  if (!head.declares_dc.empty()) out.string(head.declares_dc);
  out.varint(change_count);
  out.raw(changes);
}

std::string encode_record(const Transaction& t, const StreamState& before) {
  ByteWriter changes;
  for (const auto& change : t.changes) append_change(changes, change);
  return seal_record(t, t.changes.size(), changes.view(), before);
}

Result<RecordHead> decode_head(const Origin& origin, std::string_view record,
                               const StreamState& before) {
  ByteReader in(record);
  RecordHead head;
  const uint8_t flags = in.u8();
  head.hlc.bits = in.u64();
  head.epoch = in.varint();
  auto news = decode_version_vector(in);
  if (!news) return tl::unexpected(news.error());
  if (flags & kHeadDeclares) head.declares_dc = in.string();
  head.change_count = in.count(1);
  head.changes = in.rest();
  if (!in.ok() || flags > 1) return fail(Code::kInvalid, "a record's head is malformed");
  if (head.hlc <= before.hlc) return fail(Code::kInvalid, "a record's stamp goes backwards");
  if ((before.seq == 0) == head.declares_dc.empty()) {
    return fail(Code::kInvalid,
                "the first record of an origin, and no other, names its datacenter");
  }
  head.context = before.context;
  for (const auto& d : *news) {
    if (d.origin == origin || d.seq <= head.context.at(d.origin)) {
      return fail(Code::kInvalid, "a record's context goes backwards");
    }
    head.context.set(d.origin, d.seq);
  }
  head.context.set(origin, before.seq);
  return head;
}

Result<Change> decode_change(ByteReader& in) {
  switch (in.u8()) {
    case kPut:
      return read_row_change(in, false);
    case kErase:
      return read_row_change(in, true);
    case kSchema:
      return read_schema_change(in);
    default:
      return fail(Code::kInvalid, "a change of unknown kind");
  }
}

bool keeps(std::span<const KeptSibling> kept, std::string_view group, const Dot& dot) {
  return std::any_of(kept.begin(), kept.end(),
                     [&](const KeptSibling& k) { return k.group == group && k.dot == dot; });
}

bool admissible(const Change& change, const VersionVector& transaction_context) {
  const auto* row = std::get_if<RowChange>(&change);
  if (row == nullptr) return true;
  return (!row->context || transaction_context.covers(*row->context)) &&
         std::all_of(row->floors.begin(), row->floors.end(),
                     [&](const Floor& floor) {
                       return transaction_context.covers({floor.origin, floor.seq});
                     }) &&
         std::all_of(row->keys_set.begin(), row->keys_set.end(),
                     [&](const KeysSet& k) { return transaction_context.covers(k.by.dot); });
}

namespace {

// `take_in(t, change)`: what `change` means for the transaction before it joins the others.
template <typename TakeIn>
Result<Transaction> decode_with(const Origin& origin, std::string_view record,
                                const StreamState& before, const TakeIn& take_in) {
  auto head = decode_head(origin, record, before);
  if (!head) return tl::unexpected(head.error());
  Transaction t{{origin, before.seq + 1}, head->hlc, std::move(head->context), head->epoch,
                head->declares_dc,        {}};
  ByteReader in(head->changes);
  for (size_t i = 0; i < head->change_count; ++i) {
    auto change = decode_change(in);
    if (!change) return tl::unexpected(change.error());
    if (auto taken = take_in(t, *change); !taken) return tl::unexpected(taken.error());
    t.changes.push_back(std::move(*change));
  }
  if (!in.done()) return fail(Code::kInvalid, "a record has bytes after its last change");
  return t;
}

}  // namespace

Result<Transaction> decode_record(const Origin& origin, std::string_view record,
                                  const StreamState& before) {
  return decode_with(
      origin, record, before, [](const Transaction& t, const Change& change) -> Result<void> {
        if (admissible(change, t.context)) return {};
        return fail(Code::kInvalid, "a row change has seen more than its transaction");
      });
}

Result<Transaction> decode_logged_record(const Origin& origin, std::string_view record,
                                         const StreamState& before) {
  return decode_with(origin, record, before, [](Transaction& t, const Change& change) {
    const auto* row = std::get_if<RowChange>(&change);
    if (row != nullptr && row->context) t.context.join(*row->context);
    return Result<void>{};
  });
}

std::array<uint8_t, 16> chain_after(const std::array<uint8_t, 16>& before,
                                    std::string_view record) {
  std::array<char, 1024> small;
  std::string large;
  char* chained = small.data();
  const size_t size = before.size() + record.size();
  if (size > small.size()) {
    large.resize(size);
    chained = large.data();
  }
  std::memcpy(chained, before.data(), before.size());
  std::memcpy(chained + before.size(), record.data(), record.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(chained, size));
  std::array<uint8_t, 16> after;
  std::memcpy(after.data(), canonical.digest, after.size());
  return after;
}

StreamState advance(const StreamState& before, const RecordHead& head, std::string_view record) {
  return {before.seq + 1, head.hlc, head.context, chain_after(before.chain, record)};
}

Result<Run> slice_after(const Run& run, uint64_t after) {
  return slice_after(run, after, SIZE_MAX);
}

Result<Run> slice_after(const Run& run, uint64_t after, size_t most) {
  if (run.first == 0 || run.last() < run.first) return fail(Code::kInvalid, "a run without seqs");
  Run part{run.origin, std::max(run.first, std::min(after, run.last()) + 1), 0, {}};
  ByteReader in(run.records);
  std::string_view kept;
  size_t bytes = 0;
  for (uint64_t i = 0; i < run.count; ++i) {
    const uint64_t seq = run.first + i;
    const std::string_view rest = in.rest();
    in.string();
    if (!in.ok()) return fail(Code::kInvalid, "a run is cut short");
    if (seq < part.first) continue;
    if (part.count == 0) kept = rest;
    const size_t with_it = kept.size() - in.left();
    if (seq != part.first + part.count || (part.count > 0 && with_it > most)) continue;
    ++part.count;
    bytes = with_it;
  }
  if (!in.done()) return fail(Code::kInvalid, "a run has bytes after its last record");
  part.records = kept.substr(0, bytes);
  return part;
}

}  // namespace entente
