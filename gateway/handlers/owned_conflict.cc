#include "gateway/handlers/owned_conflict.h"

#include <iterator>

namespace entente {
namespace {

template <class Columns>
void encode_columns(ByteWriter& out, const Columns& columns) {
  out.varint(columns.size());
  for (const auto& [column, value] : columns) {
    out.string(column);
    out.value(value);
  }
}

void encode_row(ByteWriter& out, const Row* row) {
  out.u8(row != nullptr);
  if (row) encode_columns(out, *row);
}

Row decode_columns(ByteReader& in) {
  Row row;
  for (size_t n = in.count(2); n > 0 && in.ok(); --n) {
    const auto column = in.string();
    // Ascending, as they are written: others would take a time that grows with their square.
    if (!row.empty() && column <= std::prev(row.end())->first) in.raw(in.left() + 1);
    row.emplace(column, in.value());
  }
  return row;
}

std::optional<Row> decode_row(ByteReader& in) {
  if (in.u8() == 0) return std::nullopt;
  return decode_columns(in);
}

OwnedConflict::Sibling decode_sibling(ByteReader& in) {
  OwnedConflict::Sibling out;
  out.dc = in.string();
  out.hlc.bits = in.u64();
  out.row = decode_row(in);
  return out;
}

}  // namespace

Conflict OwnedConflict::view() const {
  Conflict out;
  out.kind = kind;
  out.table = table;
  out.group = group;
  out.key = key;
  out.base = base ? &*base : nullptr;
  for (const auto& sibling : siblings) {
    out.siblings.push_back({sibling.dc, sibling.hlc, sibling.row ? &*sibling.row : nullptr});
  }
  return out;
}

void encode(ByteWriter& out, const Conflict& conflict) {
  out.string(conflict.kind);
  out.string(conflict.table);
  out.string(conflict.group);
  encode_columns(out, conflict.key);
  encode_row(out, conflict.base);
  out.varint(conflict.siblings.size());
  for (const auto& sibling : conflict.siblings) {
    out.string(sibling.dc);
    out.u64(sibling.hlc.bits);
    encode_row(out, sibling.row);
  }
}

void encode(ByteWriter& out, const Decision& decision) {
  out.u8(static_cast<uint8_t>(decision.kind));
  encode_columns(out, decision.row);
  out.varint(decision.pick);
}

Result<OwnedConflict> decode_conflict(std::string_view bytes) {
  ByteReader in(bytes);
  OwnedConflict out;
  out.kind = in.string();
  out.table = in.string();
  out.group = in.string();
  for (size_t n = in.count(2); n > 0 && in.ok(); --n) {
    std::string column(in.string());
    out.key.emplace_back(std::move(column), in.value());
  }
  out.base = decode_row(in);
  for (size_t n = in.count(10); n > 0 && in.ok(); --n) out.siblings.push_back(decode_sibling(in));
  if (!in.done()) return fail(Code::kInvalid, "the bytes are no conflict");
  return out;
}

Result<Decision> decode_decision(std::string_view bytes) {
  ByteReader in(bytes);
  Decision out;
  const uint8_t kind = in.u8();
  out.row = decode_columns(in);
  out.pick = in.varint();
  if (!in.done() || kind > static_cast<uint8_t>(Decision::Kind::kHold)) {
    return fail(Code::kInvalid, "the bytes are no decision");
  }
  out.kind = static_cast<Decision::Kind>(kind);
  return out;
}

}  // namespace entente
