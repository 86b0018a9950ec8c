#include "conflict/schema.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <tuple>

namespace entente {

const ColumnDef* TableDef::find(std::string_view column) const {
  const auto it = std::find_if(columns.begin(), columns.end(),
                               [&](const ColumnDef& c) { return c.name == column; });
  return it == columns.end() ? nullptr : &*it;
}

std::vector<const ColumnDef*> TableDef::key() const {
  std::vector<const ColumnDef*> parts;
  for (const auto& c : columns) {
    if (c.key_part > 0) parts.push_back(&c);
  }
  std::sort(parts.begin(), parts.end(),
            [](const ColumnDef* a, const ColumnDef* b) { return a->key_part < b->key_part; });
  return parts;
}

bool TableDef::keyless() const {
  return std::any_of(columns.begin(), columns.end(), [](const ColumnDef& c) { return c.rowid; });
}

namespace {

// What had the name `now` at that time.
template <class Named>
std::string_view name_at(const Named& named, uint64_t epoch) {
  for (const auto& f : named.former) {
    if (epoch < f.until) return f.name;
  }
  return named.name;
}

template <class Named>
void rename(Named& named, const Named& was, uint64_t epoch) {
  named.former = was.former;
  if (named.name != was.name) named.former.push_back({was.name, epoch});
}

}  // namespace

const ColumnDef* TableDef::find(std::string_view column, uint64_t epoch) const {
  const auto it = std::find_if(columns.begin(), columns.end(), [&](const ColumnDef& c) {
    return c.since <= epoch && name_at(c, epoch) == column;
  });
  return it == columns.end() ? nullptr : &*it;
}

bool TableDef::was_called(std::string_view table, uint64_t epoch) const {
  return since <= epoch && same_name(name_at(*this, epoch), table);
}

bool TableDef::was_ever_called(std::string_view table) const {
  return same_name(name, table) ||
         std::any_of(former.begin(), former.end(),
                     [&](const FormerName& f) { return same_name(f.name, table); });
}

bool TableDef::absorbed_one_called(std::string_view table, uint64_t epoch) const {
  return std::any_of(absorbed.begin(), absorbed.end(), [&](const AbsorbedName& a) {
    return a.since <= epoch && epoch < a.until && same_name(a.name, table);
  });
}

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

bool same_table(const TableDef& a, const TableDef& b) {
  return a.since == b.since && same_name(name_at(a, a.since), name_at(b, b.since));
}

bool declared_alike(const TableDef& a, const TableDef& b) {
  const auto same = [](const ColumnDef& x, const ColumnDef& y) {
    return std::tie(x.name, x.type, x.affinity, x.collation, x.not_null, x.key_part, x.rowid) ==
           std::tie(y.name, y.type, y.affinity, y.collation, y.not_null, y.key_part, y.rowid);
  };
  return a.name == b.name &&
         std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(), same);
}

bool has_become(const TableDef& earlier, const TableDef& later) {
  if (later.changed < earlier.changed) return false;
  if (later.changed == earlier.changed) return later == earlier;
  return std::all_of(earlier.columns.begin(), earlier.columns.end(), [&](const ColumnDef& c) {
    const auto now = std::find_if(later.columns.begin(), later.columns.end(),
                                  [&](const ColumnDef& l) { return l.id == c.id; });
    return now == later.columns.end() ? c.id < later.columns_ever
                                      : name_at(*now, earlier.changed) == c.name;
  });
}

bool same_key(const TableDef& a, const TableDef& b) {
  const auto same = [](const ColumnDef* x, const ColumnDef* y) {
    return std::tie(x->name, x->affinity, x->collation) ==
           std::tie(y->name, y->affinity, y->collation);
  };
  const auto x = a.key(), y = b.key();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), same);
}

TableDef first_definition(TableDef declared, uint64_t epoch) {
  declared.since = declared.changed = epoch;
  declared.columns_ever = 0;
  for (auto& c : declared.columns) {
    c.id = declared.columns_ever++;
    c.fill.reset();
  }
  return declared;
}

TableDef next_definition(const TableDef& was, TableDef declared, ColumnsBy by, uint64_t epoch) {
  declared.since = was.since;
  declared.changed = epoch;
  declared.columns_ever = was.columns_ever;
  declared.absorbed = was.absorbed;
  rename(declared, was, epoch);
  for (size_t i = 0; i < declared.columns.size(); ++i) {
    ColumnDef& c = declared.columns[i];
    const ColumnDef* old = by == ColumnsBy::kName   ? was.find(c.name)
                           : i < was.columns.size() ? &was.columns[i]
                                                    : nullptr;
    if (old == nullptr) {
      c.id = declared.columns_ever++;
      c.since = epoch;
      if (!c.fill) c.fill = Null{};
      continue;
    }
    c.id = old->id;
    c.since = old->since;
    c.fill = old->fill;
    rename(c, *old, epoch);
  }
  return declared;
}

void absorb(TableDef& into, const TableDef& other, uint64_t epoch) {
  uint64_t since = other.since;
  for (const auto& f : other.former) {
    into.absorbed.push_back({f.name, since, f.until});
    since = f.until;
  }
  into.absorbed.push_back({other.name, since, epoch});
  into.absorbed.insert(into.absorbed.end(), other.absorbed.begin(), other.absorbed.end());
}

namespace {
constexpr std::string_view kRetiredPrefix = "_entente_dropped_";
}  // namespace

TableDef retired_definition(const TableDef& was, uint64_t epoch) {
  TableDef def = was;
  def.name = std::string(kRetiredPrefix) + std::to_string(epoch);
  return next_definition(was, std::move(def), ColumnsBy::kName, epoch);
}

bool is_retired(const TableDef& table) { return table.name.starts_with(kRetiredPrefix); }

Affinity affinity_of(std::string_view declared_type) {
  std::string type(declared_type);
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const auto has = [&](const char* word) { return type.find(word) != std::string::npos; };
  if (has("INT")) return Affinity::kInteger;
  if (has("CHAR") || has("CLOB") || has("TEXT")) return Affinity::kText;
  if (has("BLOB") || type.empty()) return Affinity::kBlob;
  if (has("REAL") || has("FLOA") || has("DOUB")) return Affinity::kReal;
  return Affinity::kNumeric;
}

namespace {

constexpr uint8_t kNotNull = 1, kRowid = 2;  // flags of a column

void encode(ByteWriter& out, const std::vector<FormerName>& former) {
  out.varint(former.size());
  for (const auto& f : former) out.string(f.name), out.varint(f.until);
}

std::vector<FormerName> decode_former(ByteReader& in) {
  std::vector<FormerName> former;
  for (size_t n = in.count(2); n > 0 && in.ok(); --n) {
    std::string name(in.string());
    former.push_back({std::move(name), in.varint()});
  }
  return former;
}

}  // namespace

void encode(ByteWriter& out, const TableDef& table) {
  out.string(table.name);
  out.varint(table.since);
  out.varint(table.changed);
  encode(out, table.former);
  out.varint(table.columns_ever);
  out.varint(table.columns.size());
  for (const auto& c : table.columns) {
    out.string(c.name);
    out.string(c.type);
    out.u8(static_cast<uint8_t>(c.affinity));
    out.u8(static_cast<uint8_t>(c.collation));
    out.u8(static_cast<uint8_t>((c.not_null ? kNotNull : 0) | (c.rowid ? kRowid : 0)));
    out.varint(c.key_part);
    out.varint(c.id);
    out.varint(c.since);
    encode(out, c.former);
    out.u8(c.fill ? 1 : 0);
    if (c.fill) out.value(*c.fill);
  }
  out.varint(table.absorbed.size());
  for (const auto& a : table.absorbed) {
    out.string(a.name);
    out.varint(a.since);
    out.varint(a.until);
  }
}

namespace {

// Key parts count 1, 2, 3 …, each once, no two columns have one name or id, and a rowid is the
// whole key: otherwise replicas could disagree on what the key is.
bool well_formed(const TableDef& table) {
  std::set<std::string_view> names;
  std::set<uint32_t> ids;
  for (const auto& c : table.columns) {
    names.insert(c.name);
    ids.insert(c.id);
    if (c.id >= table.columns_ever) return false;
  }
  uint16_t part = 0;
  const auto key = table.key();
  if (table.keyless() && (key.size() != 1 || !key.front()->rowid)) return false;
  return !key.empty() && names.size() == table.columns.size() && ids.size() == names.size() &&
         std::all_of(key.begin(), key.end(),
                     [&](const ColumnDef* c) { return c->key_part == ++part; });
}

constexpr uint64_t kIdsMax = 0xffff'ffff;

Result<ColumnDef> decode_column(ByteReader& in) {
  ColumnDef c;
  c.name = in.string();
  c.type = in.string();
  const uint8_t affinity = in.u8();
  const uint8_t collation = in.u8();
  const uint8_t flags = in.u8();
  const uint64_t part = in.varint();
  if (affinity > 4 || collation > 2 || flags > (kNotNull | kRowid) || part > 0xffff) {
    return fail(Code::kInvalid, "a column has an unknown affinity, collation, flag or key part");
  }
  c.affinity = static_cast<Affinity>(affinity);
  c.collation = static_cast<Collation>(collation);
  c.not_null = (flags & kNotNull) != 0;
  c.rowid = (flags & kRowid) != 0;
  c.key_part = static_cast<uint16_t>(part);
  const uint64_t id = in.varint();
  c.id = static_cast<uint32_t>(id);
  c.since = in.varint();
  c.former = decode_former(in);
  const uint8_t filled = in.u8();
  if (filled != 0) c.fill = in.value();
  if (filled > 1 || id > kIdsMax) return fail(Code::kInvalid, "a column has an impossible id");
  return c;
}

}  // namespace

Result<TableDef> decode_table(ByteReader& in) {
  TableDef table{std::string(in.string()), {}};
  table.since = in.varint();
  table.changed = in.varint();
  table.former = decode_former(in);
  const uint64_t ever = in.varint();
  table.columns_ever = static_cast<uint32_t>(ever);
  const size_t n = in.count(10);
  for (size_t i = 0; i < n && in.ok(); ++i) {
    auto column = decode_column(in);
    if (!column) return tl::unexpected(column.error());
    table.columns.push_back(std::move(*column));
  }
  for (size_t left = in.count(3); left > 0 && in.ok(); --left) {
    AbsorbedName a{std::string(in.string())};
    a.since = in.varint();
    a.until = in.varint();
    table.absorbed.push_back(std::move(a));
  }
  if (!in.ok()) return fail(Code::kInvalid, "table definition is cut short");
  if (ever > kIdsMax || !well_formed(table)) {
    return fail(Code::kInvalid,
                "table " + table.name + " has no key, or names a column or a key part twice");
  }
  return table;
}

}  // namespace entente
