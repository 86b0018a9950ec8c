#include "adapters/sqlite/capture.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "adapters/sqlite/sql_text.h"
#include "conflict/key.h"

namespace entente::sqlite {
namespace {

void append_varint(std::string& out, uint64_t v) {
  while (v >= 0x80) {
    out.push_back(static_cast<char>(v | 0x80));
    v >>= 7;
  }
  out.push_back(static_cast<char>(v));
}

void append_integer(std::string& out, int64_t i) {
  if (i >= 0 && i < 240) {
    out.push_back(static_cast<char>(kTagSmall + i));
    return;
  }
  out.push_back(static_cast<char>(kTagInteger));
  append_varint(out, (static_cast<uint64_t>(i) << 1) ^ static_cast<uint64_t>(i >> 63));
}

void append_double(std::string& out, double d) {
  out.push_back(static_cast<char>(kTagReal));
  const auto bits = std::bit_cast<uint64_t>(d);
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(bits >> shift));
}

void append_bytes(std::string& out, uint8_t tag, const void* bytes, int size) {
  out.push_back(static_cast<char>(tag));
  append_varint(out, static_cast<uint64_t>(size));
  out.append(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

}  // namespace

namespace {

Error too_large(size_t bytes_max) {
  return {Code::kTooLarge,
          "the transaction changes more than " + std::to_string(bytes_max) +
              " bytes of rows (transaction_bytes): split it",
          "transaction_too_large"};
}

}  // namespace

void append_value(std::string& out, sqlite3_value* v, Affinity affinity) {
  switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
      // SQLite stores a whole double of a REAL column as an integer, and shows it as a double.
      if (affinity == Affinity::kReal) return append_double(out, sqlite3_value_double(v));
      return append_integer(out, sqlite3_value_int64(v));
    case SQLITE_FLOAT:
      return append_double(out, sqlite3_value_double(v));
    case SQLITE_TEXT: {
      // As bytes: the text would first be copied for its terminator. Databases here are UTF-8.
      const void* text = sqlite3_value_blob(v);
      return append_bytes(out, kTagText, text, sqlite3_value_bytes(v));
    }
    case SQLITE_BLOB: {
      const void* blob = sqlite3_value_blob(v);
      return append_bytes(out, kTagBlob, blob, sqlite3_value_bytes(v));
    }
    default:
      out.push_back(static_cast<char>(kTagNull));
  }
}

bool Capture::leaves_out(const Table& t) const {
  return left_out_ != nullptr &&
         std::find(left_out_->begin(), left_out_->end(), t.id) != left_out_->end();
}

void Capture::start(const World& world, size_t bytes_max) {
  world_ = &world;
  last_table_ = nullptr;
  same_world_ = true;
  bytes_max_ = std::min<size_t>(bytes_max, 1 << 30);
  constexpr size_t kKept = 1 << 20;
  if (bytes_.capacity() > kKept) bytes_ = {}, ends_ = {}, changes_ = {};
  bytes_.clear();
  ends_.clear();
  changes_.clear();
  intents_.clear();
  begin_statement();
}

void Capture::begin_statement() {
  ++statements_;
  statement_ = mark();
  refusal_.reset();
}

void Capture::undo_to(const Mark& mark) {
  changes_.resize(mark.changes);
  ends_.resize(mark.ends);
  bytes_.resize(mark.bytes);
}

Result<bool> Capture::stands() const {
  std::set<std::pair<const Table*, std::string_view>> looked;
  for (size_t i = statement_.changes; i < changes_.size(); ++i) {
    const Change& c = changes_[i];
    if (!looked.emplace(c.table, key(c)).second) continue;
    const auto row = rows_.shown(*c.table, Key(key(c)));
    if (!row) return tl::unexpected(row.error());
    if (!is_image_of(*c.table, c.before, *row)) return true;
  }
  return false;
}

bool Capture::is_image_of(const Table& t, uint32_t image, const std::optional<Row>& row) const {
  if (image == kNone || !row) return image == kNone && !row;
  for (size_t i = 0; i < t.columns.size(); ++i) {
    const auto it = row->find(t.columns[i].name);
    ByteWriter encoded;
    encoded.value(it == row->end() ? Value{} : it->second);
    if (value(image, i) != encoded.view()) return false;
  }
  return true;
}

Result<void> Capture::check() const {
  if (refusal_) return tl::unexpected(*refusal_);
  return {};
}

void Capture::add(Change c) {
  c.plain = !for_request_;
  changes_.push_back(c);
}

void Capture::refuse(Error why) {
  if (!refusal_) refusal_ = std::move(why);
}

void Capture::hook(void* self, sqlite3*, int op, const char* schema, const char* table,
                   sqlite3_int64 old_rowid, sqlite3_int64 new_rowid) {
  if (std::strcmp(schema, "main") == 0) {
    static_cast<Capture*>(self)->seen(op, table, old_rowid, new_rowid);
  }
}

const Table* Capture::table_named(const char* name) {
  if (last_table_ == nullptr || last_table_->def.name != name) last_table_ = world_->find(name);
  return last_table_;
}

void Capture::seen(int op, const char* name, int64_t old_rowid, int64_t new_rowid) {
  if (std::strncmp(name, "sqlite_", 7) == 0) return;
  const Table* t = table_named(name);
  if (t == nullptr) {
    if (is_reserved(name)) return;
    return refuse(not_replicated(name));
  }
  if (!t->rules.replicate || leaves_out(*t)) return;
  if (bytes_.size() > bytes_max_) return refuse(too_large(bytes_max_));
  Change before{t}, after{t};
  if (op != SQLITE_INSERT) {
    before.before = read_before(*t, old_rowid);
    if (!write_key(*t, before.before, old_rowid, before)) return;
  }
  if (op != SQLITE_DELETE) {
    after.after = read_after(*t, op, new_rowid);
    after.read_after = t->hook_mistakes;
    if (!write_key(*t, after.after, new_rowid, after)) return;
  }
  if (op == SQLITE_UPDATE && same_key(before, after)) {
    before.after = after.after;
    before.read_after = after.read_after;
    return add(before);
  }
  if (op != SQLITE_INSERT) add(before);
  if (op != SQLITE_DELETE) add(after);
}

void Capture::append(const Column& c, int code, sqlite3_value* v) {
  ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  if (code == SQLITE_OK) return append_value(bytes_, v, c.affinity);
  refuse(error_of(nullptr, code));
  bytes_.push_back(static_cast<char>(kTagNull));
}

void Capture::append_rowid(int64_t rowid) {
  ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  append_integer(bytes_, rowid);
}

// A row that was stored before a column came has no value of it; the hook shows NULL then, and not
// the default that the row shows. That NULL is SQLite's constant, as for a column that is not
// there.
uint32_t Capture::read_before(const Table& t, int64_t rowid) {
  const auto image = static_cast<uint32_t>(ends_.size());
  const sqlite3_value* absent = sqlite3_column_value(nullptr, 0);
  bool whole = !t.hook_rounds && !t.hook_mistakes;
  for (const auto& c : t.columns) {
    if (c.rowid) {
      append_rowid(rowid);
      continue;
    }
    sqlite3_value* v = nullptr;
    const int code = sqlite3_preupdate_old(db_, c.hook_index, &v);
    append(c, code, v);
    whole &= v != absent || !c.has_default;
  }
  ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  return whole ? image : read_stored(t, image, rowid);
}

uint32_t Capture::read_after(const Table& t, int op, int64_t rowid) {
  const auto image = static_cast<uint32_t>(ends_.size());
  for (const auto& c : t.columns) {
    if (c.rowid) {
      append_rowid(rowid);
      continue;
    }
    const int index = op == SQLITE_UPDATE ? c.hook_updated : c.hook_index;
    sqlite3_value* v = nullptr;
    const int code = sqlite3_preupdate_new(db_, index, &v);
    append(c, code, v);
  }
  ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  return image;
}

// The row that `image` shows in part, as the table still has it.
uint32_t Capture::read_stored(const Table& t, uint32_t image, int64_t rowid) {
  const Lowered ours(guard_);
  auto q = rows_.plan(t.read_stored);
  if (!q) return refuse(q.error()), image;
  std::vector<Value> key;
  constexpr double kExact = 1LL << 53;
  for (const size_t i : t.key) {
    key.push_back(ByteReader(value(image, i)).value());
    const auto* number = std::get_if<double>(&key.back());
    if (!t.columns[i].hook_rounds || number == nullptr || std::fabs(*number) < kExact) continue;
    refuse(
        {Code::kRefused,
         "the keys of table " + t.def.name +
             " beyond 2^53 are rounded by SQLite's hook, so this row cannot be told from others: "
             "make the table anew with column " +
             t.columns[i].name + " before those of type REAL",
         "key_rounded"});
    return image;
  }
  Rows rows(**q);
  if (!t.without_rowid) {
    (*q)->bind(1, rowid);
  } else {
    for (size_t i = 0; i < key.size(); ++i) (*q)->bind(static_cast<int>(i) + 1, key[i]);
  }
  auto found = rows.next();
  if (!found) return refuse(found.error()), image;
  if (!*found) return refuse(error_of(nullptr, SQLITE_INTERNAL)), image;
  return read_image(t, **q, 0);
}

uint32_t Capture::read_image(const Table& t, Stmt& query, int from) {
  if (query.is_null(from)) return kNone;
  const auto image = static_cast<uint32_t>(ends_.size());
  for (const auto& c : t.columns) {
    ends_.push_back(static_cast<uint32_t>(bytes_.size()));
    append_value(bytes_, sqlite3_column_value(query.get(), ++from), c.affinity);
  }
  ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  return image;
}

Result<void> Capture::add(const Table& t, Stmt& query, const HadSeen& had_seen) {
  const Mark before = mark();
  Change c{&t};
  c.before = read_image(t, query, 0);
  c.after = read_image(t, query, static_cast<int>(t.columns.size()) + 1);
  if (is_nothing(c)) {
    undo_to(before);
    return {};
  }
  const uint32_t image = c.after != kNone ? c.after : c.before;
  ByteReader key(value(image, t.key.front()));
  const Value rowid = key.value();
  const auto* number = std::get_if<int64_t>(&rowid);
  if (!write_key(t, image, number != nullptr ? *number : 0, c)) return check();
  if (const auto* seen = had_seen(Key(this->key(c)))) {
    intents_.push_back({&t, Key(this->key(c)), c.after == kNone, {}, *seen, {}});
    c.intent = &intents_.back();
  }
  changes_.push_back(c);
  if (bytes_.size() > bytes_max_) return tl::unexpected(too_large(bytes_max_));
  return {};
}

// An image of the same row in the table as it is now.
uint32_t Capture::moved(uint32_t image, const Table& from, const Table& to) {
  if (image == kNone) return kNone;
  const auto out = static_cast<uint32_t>(ends_.size());
  for (const auto& c : to.columns) {
    const auto at = static_cast<uint32_t>(bytes_.size());
    const Column* old = from.with_id(c.id);
    if (old != nullptr) {
      bytes_ += std::string(value(image, static_cast<size_t>(old - from.columns.data())));
    } else {
      const auto fill = to.layout.fills.find(c.name);
      ByteWriter filled;
      filled.value(fill != to.layout.fills.end() ? fill->second : Value{});
      bytes_ += filled.view();
    }
    ends_.push_back(at);
  }
  ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  return out;
}

// Brings what was captured before the schema changed to the tables as they are.
void Capture::follow(const World& world) {
  for (auto& intent : intents_) {
    const Table* to = world.by_id(intent.table->id);
    std::erase_if(intent.columns, [&](size_t& i) {
      const Column* c = to != nullptr ? to->with_id(intent.table->columns[i].id) : nullptr;
      if (c != nullptr) i = static_cast<size_t>(c - to->columns.data());
      return c == nullptr;
    });
    if (to != nullptr) intent.table = to;
  }
  std::map<const Table*, const Table*> now;
  for (auto& c : changes_) {
    const auto [it, fresh] = now.try_emplace(c.table, nullptr);
    if (fresh) it->second = world.by_id(c.table->id);
    const Table* to = it->second;
    if (to != nullptr && to->def != c.table->def) {
      c.before = moved(c.before, *c.table, *to);
      c.after = moved(c.after, *c.table, *to);
    }
    c.table = to;
  }
  std::erase_if(changes_, [](const Change& c) { return c.table == nullptr; });
}

// Appends the row's canonical key. False if it has none.
bool Capture::write_key(const Table& t, uint32_t image, int64_t rowid, Change& c) {
  c.key_at = static_cast<uint32_t>(bytes_.size());
  if (t.rowid_key) {
    append_integer(bytes_, rowid);
  } else {
    std::vector<Value> parts;
    for (const size_t i : t.key) {
      ByteReader in(value(image, i));
      parts.push_back(in.value());
    }
    auto key = canonical_key(t.def, parts);
    if (!key) {
      refuse(key.error());
      return false;
    }
    bytes_ += *key;
  }
  c.key_size = static_cast<uint32_t>(bytes_.size()) - c.key_at;
  return true;
}

bool Capture::spelled_otherwise(const Change& c) const {
  if (c.table->rowid_key || c.after == kNone) return false;
  std::string spelled;
  for (const size_t i : c.table->key) spelled += value(c.after, i);
  return spelled != key(c);
}

void Capture::note(RowIntent intent) {
  if (leaves_out(*intent.table)) return;
  if (!intent.erase && !intent.counters && intent.table->any_keeps_more) {
    const auto before = std::find_if(changes_.rbegin(), changes_.rend(), [&](const Change& c) {
      return c.intent != nullptr && c.table->id == intent.table->id && key(c) == intent.key;
    });
    if (before != changes_.rend()) intent.counters = before->intent->counters;
  }
  intents_.push_back(std::move(intent));
  const RowIntent& kept = intents_.back();
  Change c{kept.table};
  c.key_at = static_cast<uint32_t>(bytes_.size());
  c.key_size = static_cast<uint32_t>(kept.key.size());
  bytes_ += kept.key;
  c.intent = &kept;
  changes_.push_back(c);
}

bool Capture::touched(const Table& table, std::string_view k) const {
  return std::any_of(changes_.begin(), changes_.end(),
                     [&](const Change& c) { return c.table->id == table.id && key(c) == k; });
}

bool Capture::same_key(const Change& a, const Change& b) const {
  return a.table == b.table && key(a) == key(b);
}

// A change with an intent is what note() added: it has no images.
void Capture::fold(Change& into, const Change& next) const {
  into.plain |= next.plain;
  into.read_after |= next.read_after;
  if (next.intent != nullptr) {
    into.intent = next.intent;
  } else {
    into.after = next.after;
  }
}

bool Capture::is_nothing(const Change& c) const {
  if (c.intent != nullptr) return false;
  if (c.before == kNone || c.after == kNone) return c.before == c.after;
  for (size_t i = 0; i < c.table->columns.size(); ++i) {
    if (value(c.before, i) != value(c.after, i)) return false;
  }
  return true;
}

// At the end of a transaction, what it made of a row is what the table shows.
Result<void> Capture::read_what_is_there(Change& c) {
  const auto key = key_parts(this->key(c));
  if (!key) return tl::unexpected(key.error());
  auto q = rows_.plan(c.table->read_stored);
  if (!q) return tl::unexpected(q.error());
  Rows rows(**q);
  (*q)->bind(1, key->front());
  auto found = rows.next();
  if (!found) return tl::unexpected(found.error());
  if (*found) c.after = read_image(*c.table, **q, 0);
  return {};
}

Result<std::span<const Capture::Change>> Capture::rows(const World& world) {
  if (!same_world_) follow(world);
  if (changes_.size() > 1) {
    std::vector<Change> folded;
    std::map<std::pair<const void*, std::string>, size_t> places;
    for (const auto& c : changes_) {
      const auto [it, fresh] =
          places.emplace(std::pair(c.table, std::string(key(c))), folded.size());
      fresh ? folded.push_back(c) : fold(folded[it->second], c);
    }
    changes_ = std::move(folded);
  }
  for (auto& c : changes_) {
    if (!c.read_after || c.after == kNone) continue;
    if (auto done = read_what_is_there(c); !done) return tl::unexpected(done.error());
  }
  std::erase_if(changes_, [&](const Change& c) { return is_nothing(c); });
  return std::span<const Change>(changes_);
}

}  // namespace entente::sqlite
