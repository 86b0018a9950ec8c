#include "adapters/sqlite/versions.h"

#include <algorithm>

#include "conflict/codec.h"

namespace entente::sqlite {
namespace {

constexpr uint8_t kTombstone = 1, kSiblings = 2, kQuarantined = 4, kRest = 8, kExceptions = 16,
                  kRetained = 32, kHeld = 64, kKeysSet = 128;
constexpr uint64_t kSameAsRow = 0, kOwnStamp = 1, kNever = 2;

// Stamps are written relative to the row's: they are close to it.
void write_stamp(ByteWriter& out, const Stamp& stamp, const Stamp& row) {
  out.varint(static_cast<uint64_t>(stamp.origin));
  out.varint(stamp.seq);
  out.zigzag(static_cast<int64_t>(stamp.hlc - row.hlc));
}

Stamp read_stamp(ByteReader& in, const Stamp& row) {
  Stamp stamp;
  stamp.origin = static_cast<int64_t>(in.varint());
  stamp.seq = in.varint();
  stamp.hlc = row.hlc + static_cast<uint64_t>(in.zigzag());
  return stamp;
}

uint64_t kind_of(const RowMeta::Exception& e, const Stamp& row) {
  if (!e.stamp) return kNever;
  return *e.stamp == row ? kSameAsRow : kOwnStamp;
}

}  // namespace

const Stamp* RowMeta::of(uint32_t group) const {
  const auto it = std::find_if(exceptions.begin(), exceptions.end(),
                               [&](const Exception& e) { return e.group == group; });
  if (it == exceptions.end()) return &rest;
  return it->stamp ? &*it->stamp : nullptr;
}

void RowMeta::put_all(const Stamp& stamp) {
  *this = RowMeta{};
  row = rest = stamp;
}

const Stamp& RowMeta::keys_set_in(uint32_t group, const Stamp& stamp) const {
  const auto it = std::find_if(keys_set.begin(), keys_set.end(),
                               [&](const auto& set) { return set.first == group; });
  return it == keys_set.end() ? stamp : it->second;
}

void RowMeta::put(const Table& table, const std::vector<size_t>& groups, const Stamp& stamp) {
  row = stamp;
  for (const size_t g : groups) {
    if (g == 0) continue;
    const uint32_t id = table.group_ids[g];
    std::erase_if(keys_set, [&](const auto& set) { return set.first == id; });
    const auto at = std::lower_bound(exceptions.begin(), exceptions.end(), id,
                                     [](const Exception& e, uint32_t i) { return e.group < i; });
    if (at != exceptions.end() && at->group == id) {
      at->stamp = stamp;
    } else {
      exceptions.insert(at, {id, stamp});
    }
  }
  const bool all_same = exceptions.size() + 1 >= table.group_ids.size() &&
                        std::all_of(exceptions.begin(), exceptions.end(), [&](const Exception& e) {
                          return e.stamp && *e.stamp == stamp;
                        });
  if (!all_same) return;
  exceptions.clear();
  rest = stamp;
}

void RowMeta::not_written(uint32_t group, const Applied& applied) {
  const auto origin = static_cast<size_t>(rest.origin);
  if (origin > 0 && (origin >= applied.size() || rest.seq > applied[origin])) return;
  const auto at = std::lower_bound(exceptions.begin(), exceptions.end(), group,
                                   [](const Exception& e, uint32_t g) { return e.group < g; });
  if (at == exceptions.end() || at->group != group) exceptions.insert(at, {group, std::nullopt});
}

std::string encode_extras(const RowMeta& meta) {
  const bool rest = meta.rest != meta.row;
  const auto flags = static_cast<uint8_t>(
      (meta.tombstone ? kTombstone : 0) | (meta.siblings ? kSiblings : 0) |
      (meta.quarantined ? kQuarantined : 0) | (meta.held ? kHeld : 0) | (rest ? kRest : 0) |
      (meta.exceptions.empty() ? 0 : kExceptions) | (meta.retained.empty() ? 0 : kRetained) |
      (meta.keys_set.empty() ? 0 : kKeysSet));
  if (flags == 0) return {};
  ByteWriter out;
  out.u8(flags);
  if (rest) write_stamp(out, meta.rest, meta.row);
  if (!meta.exceptions.empty()) {
    out.varint(meta.exceptions.size());
    for (const auto& e : meta.exceptions) {
      const uint64_t kind = kind_of(e, meta.row);
      out.varint(static_cast<uint64_t>(e.group) << 2 | kind);
      if (kind == kOwnStamp) write_stamp(out, *e.stamp, meta.row);
    }
  }
  if (!meta.keys_set.empty()) {
    out.varint(meta.keys_set.size());
    for (const auto& [group, stamp] : meta.keys_set) {
      out.varint(group), write_stamp(out, stamp, meta.row);
    }
  }
  for (const auto& [column, value] : meta.retained) out.varint(column), out.value(value);
  return out.take();
}

Result<void> decode_extras(std::string_view x, RowMeta& meta) {
  meta.rest = meta.row;
  if (x.empty()) return {};
  ByteReader in(x);
  const uint8_t flags = in.u8();
  meta.tombstone = flags & kTombstone;
  meta.siblings = flags & kSiblings;
  meta.quarantined = flags & kQuarantined;
  meta.held = flags & kHeld;
  if (flags & kRest) meta.rest = read_stamp(in, meta.row);
  const size_t n = flags & kExceptions ? in.count(1) : 0;
  for (size_t i = 0; i < n && in.ok(); ++i) {
    const uint64_t word = in.varint();
    RowMeta::Exception e{static_cast<uint32_t>(word >> 2), std::nullopt};
    if ((word & 3) == kSameAsRow) e.stamp = meta.row;
    if ((word & 3) == kOwnStamp) e.stamp = read_stamp(in, meta.row);
    meta.exceptions.push_back(e);
  }
  const size_t sets = flags & kKeysSet ? in.count(4) : 0;
  for (size_t i = 0; i < sets && in.ok(); ++i) {
    const auto group = static_cast<uint32_t>(in.varint());
    meta.keys_set.emplace_back(group, read_stamp(in, meta.row));
  }
  while (flags & kRetained && in.ok() && in.left() > 0) {
    const auto column = static_cast<uint32_t>(in.varint());
    meta.retained.emplace_back(column, in.value());
  }
  if (!in.done()) {
    return fail(Code::kCorrupt, "a version row holds bytes that this gateway did not write");
  }
  return {};
}

Stamp stamp_of(const World& world, const Version& version) {
  const auto it = world.origin_ids.find(version.dot.origin);
  return {it == world.origin_ids.end() ? 0 : it->second, version.dot.seq, version.hlc.bits};
}

Version version_of(const World& world, const Stamp& stamp) {
  const auto id = static_cast<size_t>(stamp.origin);
  const Origin origin = id < world.origins.size() ? world.origins[id] : Origin{};
  return {Hlc{stamp.hlc}, {origin, stamp.seq}};
}

void append_version(ByteWriter& out, const World& world, const Version& version) {
  const Stamp stamp = stamp_of(world, version);
  out.varint(static_cast<uint64_t>(stamp.origin));
  out.varint(stamp.seq);
  out.u64(stamp.hlc);
}

Version read_version(const World& world, ByteReader& in) {
  Stamp stamp;
  stamp.origin = static_cast<int64_t>(in.varint());
  stamp.seq = in.varint();
  stamp.hlc = in.u64();
  return version_of(world, stamp);
}

bool covered(const World& world, const Stamp& stamp, const VersionVector& context) {
  return stamp.origin == 0 || context.covers(version_of(world, stamp).dot);
}

}  // namespace entente::sqlite
