#include "adapters/sqlite/capture.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "adapters/sqlite/guard.h"
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

void Capture::start(const World& world, size_t bytes_max) {
  world_ = &world;
  last_table_ = nullptr;
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
  statement_ = mark();
  refusal_.reset();
}

void Capture::undo_to(const Mark& mark) {
  changes_.resize(mark.changes);
  ends_.resize(mark.ends);
  bytes_.resize(mark.bytes);
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
    return refuse({Code::kRefused,
                   "table " + std::string(name) +
                       " has no primary key, so its rows cannot be told apart in other "
                       "datacenters: make it anew with one and copy its rows",
                   "no_primary_key"});
  }
  if (!t->rules.replicate) return;
  if (bytes_.size() > bytes_max_) {
    return refuse({Code::kTooLarge,
                   "the transaction changes more than " + std::to_string(bytes_max_) +
                       " bytes of rows (transaction_bytes): split it",
                   "transaction_too_large"});
  }
  Change before{t}, after{t};
  if (op != SQLITE_INSERT) {
    before.before = read_image(*t, false);
    if (!write_key(*t, before.before, old_rowid, before)) return;
  }
  if (op != SQLITE_DELETE) {
    after.after = read_image(*t, true);
    if (!write_key(*t, after.after, new_rowid, after)) return;
  }
  if (op == SQLITE_UPDATE && same_key(before, after)) {
    before.after = after.after;
    return add(before);
  }
  if (op != SQLITE_INSERT) add(before);
  if (op != SQLITE_DELETE) add(after);
}

uint32_t Capture::read_image(const Table& t, bool after) {
  const auto image = static_cast<uint32_t>(ends_.size());
  for (const auto& c : t.columns) {
    ends_.push_back(static_cast<uint32_t>(bytes_.size()));
    sqlite3_value* v = nullptr;
    const int code = after ? sqlite3_preupdate_new(db_, c.hook_index, &v)
                           : sqlite3_preupdate_old(db_, c.hook_index, &v);
    if (code != SQLITE_OK) {
      refuse(error_of(nullptr, code));
      bytes_.push_back(static_cast<char>(kTagNull));
    } else {
      append_value(bytes_, v, c.affinity);
    }
  }
  ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  return image;
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
                     [&](const Change& c) { return c.table == &table && key(c) == k; });
}

bool Capture::same_key(const Change& a, const Change& b) const {
  return a.table == b.table && key(a) == key(b);
}

// A change with an intent is what note() added: it has no images.
void Capture::fold(Change& into, const Change& next) const {
  into.plain |= next.plain;
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

const std::vector<Capture::Change>& Capture::rows() {
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
  std::erase_if(changes_, [&](const Change& c) { return is_nothing(c); });
  return changes_;
}

}  // namespace entente::sqlite
