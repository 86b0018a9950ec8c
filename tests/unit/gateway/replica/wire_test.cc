#include "gateway/replica/wire.h"

#include <gtest/gtest.h>
#include <xxhash.h>
#include <zstd.h>

#include <random>

#include "conflict/codec.h"

namespace entente {
namespace {

constexpr size_t kLimit = 1 << 20;

Origin origin(uint8_t n) {
  Origin o;
  o.id.fill(n);
  return o;
}

Hello sample_hello() {
  Hello h;
  h.cluster = "shop";
  h.dc = "tokyo";
  h.incarnation = origin(7);
  h.topology = "t-print";
  h.rules = "r-print";
  h.handlers = {{"cart", "lua:1"}, {"geo", "plugin:2"}};
  h.wall_ms = 1'700'000'000'000;
  h.window = 8 << 20;
  h.frame_bytes = 80 << 20;
  h.applied.push_back({origin(1), "frankfurt", 300, {1, 2, 3}});
  h.applied.push_back({origin(7), "tokyo", 1, {9}});
  h.collected.advance(origin(1), 200);
  return h;
}

Changes sample_changes(size_t records) {
  ByteWriter bytes;
  for (size_t i = 0; i < records; ++i) bytes.string("record number " + std::to_string(i % 7));
  return Changes{{Run{origin(1), 41, records, bytes.take()}, Run{origin(2), 1, 1, "\x01x"}}};
}

// (Inside a TEST the name Run is gtest's.)
Changes one_run(uint64_t first, uint64_t count, std::string records) {
  return Changes{{Run{origin(1), first, count, std::move(records)}}};
}

Vectors sample_vectors() {
  Vectors v;
  MemberVector row{"tokyo", origin(7), {}};
  row.applied.set(origin(1), 300);
  row.applied.set(origin(7), 1);
  row.promise.floor.set(origin(1), 290);
  row.promise.after = 1;
  v.rows = {row, MemberVector{"virginia", origin(9), {}}};
  v.labels = {{origin(1), "frankfurt"}};
  return v;
}

std::vector<Frame> one_of_each() {
  return {sample_hello(),
          Subscribe{origin(1), 300},
          Unsubscribe{origin(2)},
          sample_changes(3),
          sample_changes(200),
          Credit{1 << 20},
          sample_vectors(),
          Ping{5},
          Pong{5, 1'700'000'000'001},
          Bye{"the peer's cluster is other"},
          Trimmed{origin(7)},
          Oversized{origin(7), 300, 1 << 20}};
}

// A frame as a liar would make it: any head, over any payload, with a checksum that holds.
std::string forge(uint8_t type, uint8_t flags, std::string_view payload, uint32_t plain,
                  uint8_t reserved = 0) {
  ByteWriter out;
  out.u8(0xE1), out.u8(type), out.u8(flags), out.u8(reserved);
  out.u32(static_cast<uint32_t>(payload.size())), out.u32(plain);
  out.u64(XXH3_64bits_withSeed(payload.data(), payload.size(), XXH3_64bits(out.view().data(), 12)));
  out.raw(payload);
  return out.take();
}

std::string forge(uint8_t type, std::string_view payload) {
  return forge(type, 0, payload, static_cast<uint32_t>(payload.size()));
}

std::string zstd(std::string_view plain) {
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 1));
  return out;
}

Code code_of(std::string_view bytes, size_t limit = kLimit) {
  const auto frame = decode_frame(bytes, limit);
  return frame ? Code::kBusy : frame.error().code;
}

TEST(Wire, EveryFrameComesBackAsItWent) {
  for (const auto& frame : one_of_each()) {
    const auto bytes = encode_frame(frame);
    const auto back = decode_frame(bytes, kLimit);
    ASSERT_TRUE(back) << back.error().text;
    EXPECT_EQ(back->index(), frame.index());
    EXPECT_EQ(encode_frame(*back), bytes);
  }
}

TEST(Wire, FieldsArriveInTheirPlaces) {
  const auto hello = decode_frame(encode_frame(sample_hello()), kLimit);
  ASSERT_TRUE(hello);
  const auto& h = std::get<Hello>(*hello);
  EXPECT_EQ(h.cluster + "/" + h.dc + "/" + h.topology + "/" + h.rules,
            "shop/tokyo/t-print/r-print");
  EXPECT_EQ(h.protocol, 8u);
  EXPECT_EQ(h.incarnation, origin(7));
  EXPECT_EQ(h.wall_ms, 1'700'000'000'000u);
  EXPECT_EQ(h.window, 8u << 20);
  EXPECT_EQ(h.frame_bytes, 80u << 20);
  EXPECT_EQ(h.handlers, sample_hello().handlers);
  ASSERT_EQ(h.applied.size(), 2u);
  EXPECT_EQ(h.applied[0].dc, "frankfurt");
  EXPECT_EQ(h.applied[0].seq, 300u);
  EXPECT_EQ(h.applied[0].chain[2], 3);
  EXPECT_EQ(h.collected.at(origin(1)), 200u);

  const auto changes = decode_frame(encode_frame(sample_changes(200)), kLimit);
  ASSERT_TRUE(changes);
  const auto& runs = std::get<Changes>(*changes).runs;
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].origin, origin(1));
  EXPECT_EQ(runs[0].last(), 240u);
  EXPECT_EQ(runs[0].records, sample_changes(200).runs[0].records);

  const auto vectors = decode_frame(encode_frame(sample_vectors()), kLimit);
  ASSERT_TRUE(vectors);
  EXPECT_EQ(std::get<Vectors>(*vectors).rows, sample_vectors().rows);
  EXPECT_EQ(std::get<Vectors>(*vectors).labels, sample_vectors().labels);
  EXPECT_EQ(std::get<Pong>(*decode_frame(encode_frame(Pong{5, 6}), kLimit)), (Pong{5, 6}));
}

TEST(Wire, TheReadmesExampleIsWhatIsSent) {
  const auto bytes = encode_frame(Credit{300});
  EXPECT_EQ(bytes.size(), 22u);
  EXPECT_EQ(bytes.substr(0, 12), std::string("\xE1\x05\0\0\0\0\0\x02\0\0\0\x02", 12));
  EXPECT_EQ(bytes.substr(20), "\xAC\x02");
}

TEST(Wire, LargeChangesTravelCompressed) {
  const auto bytes = encode_frame(sample_changes(200));
  EXPECT_EQ(bytes[2], 1);
  EXPECT_LT(bytes.size(), sample_changes(200).runs[0].records.size() / 4);
}

TEST(Wire, BytesThatDoNotShrinkTravelPlain) {
  std::mt19937_64 random(1);
  std::string noise(4096, '\0');
  for (auto& c : noise) c = static_cast<char>(random());
  const auto bytes = encode_frame(one_run(1, 1, noise));
  EXPECT_EQ(bytes[2], 0);
  EXPECT_TRUE(decode_frame(bytes, kLimit));
}

TEST(Wire, AFrameCutAnywhereIsRefused) {
  for (const auto& frame : one_of_each()) {
    const auto bytes = encode_frame(frame);
    for (size_t n = 0; n < bytes.size(); ++n) {
      EXPECT_EQ(code_of(bytes.substr(0, n)), Code::kInvalid) << frame.index() << " at " << n;
    }
    EXPECT_EQ(code_of(bytes + "x"), Code::kInvalid);
  }
}

TEST(Wire, AFlippedBitAnywhereIsRefused) {
  for (const auto& frame : one_of_each()) {
    auto bytes = encode_frame(frame);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
      EXPECT_FALSE(decode_frame(bytes, kLimit)) << frame.index() << " bit " << bit;
      bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    }
  }
}

// Past the checksum: a payload cut at every byte, with a head that agrees.
TEST(Wire, APayloadCutAnywhereIsRefusedThoughItsChecksumHolds) {
  for (const auto& frame : one_of_each()) {
    const auto bytes = encode_frame(frame);
    if (bytes[2] != 0) continue;
    const auto payload = bytes.substr(kFrameHeadBytes);
    for (size_t n = 0; n < payload.size(); ++n) {
      EXPECT_EQ(code_of(forge(static_cast<uint8_t>(bytes[1]), payload.substr(0, n))),
                Code::kInvalid);
    }
    EXPECT_EQ(code_of(forge(static_cast<uint8_t>(bytes[1]), payload + "x")), Code::kInvalid);
  }
}

TEST(Wire, LengthsBeyondTheLimitAreRefusedBeforeAnythingIsAllocated) {
  auto bytes = encode_frame(Credit{300});
  for (const size_t at : {4, 8}) {
    auto huge = bytes;
    huge.replace(at, 4, "\xFF\xFF\xFF\xFF");
    EXPECT_EQ(code_of(huge), Code::kTooLarge);
  }
  EXPECT_EQ(code_of(forge(4, 1, zstd("small"), 0xFFFFFFFF)), Code::kTooLarge);
  EXPECT_EQ(code_of(encode_frame(Bye{std::string(kLimit, 'x')}), kLimit), Code::kTooLarge);
  EXPECT_TRUE(decode_frame(encode_frame(Bye{std::string(1000, 'x')}), 1002));
  EXPECT_EQ(code_of(encode_frame(Bye{std::string(1000, 'x')}), 1001), Code::kTooLarge);
}

TEST(Wire, ACompressedPayloadThatGrowsBeyondItsWordIsRefused) {
  const auto bomb = zstd(std::string(64 << 20, '\0'));
  ASSERT_LT(bomb.size(), 16u << 10);
  EXPECT_EQ(code_of(forge(4, 1, bomb, 64 << 20)), Code::kTooLarge);
  EXPECT_EQ(code_of(forge(4, 1, bomb, 1000)), Code::kInvalid);
  // One that hides its size, and two in a row.
  std::string lying = zstd(std::string(5000, 'x'));
  EXPECT_EQ(code_of(forge(9, 1, lying + lying, 10'000)), Code::kInvalid);
  EXPECT_EQ(code_of(forge(9, 1, lying, 4999)), Code::kInvalid);
  EXPECT_EQ(code_of(forge(9, 1, lying, 5001)), Code::kInvalid);
  EXPECT_EQ(code_of(forge(9, 1, "not zstd", 5000)), Code::kInvalid);
  EXPECT_EQ(code_of(forge(9, 1, "", 0)), Code::kInvalid);
}

TEST(Wire, UnknownTypesFlagsAndReservedBitsAreRefused) {
  const auto payload = encode_frame(Credit{300}).substr(kFrameHeadBytes);
  ASSERT_TRUE(decode_frame(forge(5, 0, payload, 2), kLimit));
  EXPECT_EQ(code_of(forge(0, 0, payload, 2)), Code::kInvalid);
  EXPECT_EQ(code_of(forge(10, 0, payload, 2)), Code::kInvalid);
  EXPECT_EQ(code_of(forge(255, 0, payload, 2)), Code::kInvalid);
  EXPECT_EQ(code_of(forge(5, 2, payload, 2)), Code::kInvalid);
  EXPECT_EQ(code_of(forge(5, 0, payload, 2, 1)), Code::kInvalid);
  EXPECT_EQ(code_of(forge(5, 0, payload, 3)), Code::kInvalid);
}

TEST(Wire, CountsThatCannotFitAreRefused) {
  ByteWriter payload;
  payload.varint(1ull << 40);
  for (const uint8_t type : {4, 6}) EXPECT_EQ(code_of(forge(type, payload.view())), Code::kInvalid);
}

TEST(Wire, HandlersThatDoNotAscendAreRefused) {
  std::string payload = encode_frame(sample_hello()).substr(kFrameHeadBytes);
  ASSERT_TRUE(decode_frame(forge(1, payload), kLimit));
  const size_t at = payload.find("cart");
  payload.replace(at, 4, "same");
  EXPECT_EQ(code_of(forge(1, payload)), Code::kInvalid);
}

TEST(Wire, RunsThatNoLogHoldsAreRefused) {
  EXPECT_TRUE(decode_frame(encode_frame(one_run(1, 1, "x")), kLimit));
  EXPECT_EQ(code_of(encode_frame(one_run(0, 1, "x"))), Code::kInvalid);
  EXPECT_EQ(code_of(encode_frame(one_run(1, 0, ""))), Code::kInvalid);
  EXPECT_EQ(code_of(encode_frame(one_run(1, 2, "x"))), Code::kInvalid);
  EXPECT_EQ(code_of(encode_frame(one_run(~0ull, 2, "xx"))), Code::kInvalid);
}

TEST(Wire, RandomBytesNeverDoHarm) {
  std::mt19937_64 random(42);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 200, '\0');
    for (auto& c : bytes) c = static_cast<char>(random());
    EXPECT_FALSE(decode_frame(bytes, kLimit));
    // The same behind a head and a checksum that hold: whatever it says must be whole.
    const auto forged = forge(static_cast<uint8_t>(random() % 11), bytes);
    const auto frame = decode_frame(forged, kLimit);
    if (!frame) continue;
    EXPECT_EQ(encode_frame(*frame).size(), forged.size());
  }
}

// The figure of DESIGN.md §10: bytes on the link per 100-byte row change, in batches of 100.
TEST(Wire, ABatchOfHundredByteRowChangesStaysWithinItsBudget) {
  std::mt19937_64 random(7);
  const char* words[] = {"order", "paid", "shipped", "green", "tea", "kettle", "parcel", "blue"};
  StreamState at;
  ByteWriter records;
  for (int i = 0; i < 100; ++i) {
    Transaction t;
    t.dot = {origin(1), at.seq + 1};
    t.hlc = Hlc::at(1'700'000'000'000 + i * 3);
    t.declares_dc = i == 0 ? "tokyo" : "";
    RowChange c;
    c.table = "orders";
    ByteWriter key;
    key.value(static_cast<int64_t>(random() % 1'000'000));
    c.key = key.take();
    c.inserted = true;
    c.columns["customer"] = static_cast<int64_t>(random() % 100'000);
    c.columns["total"] = static_cast<double>(random() % 100'000) / 100;
    std::string note;
    while (note.size() < 72)
      note += words[random() % 8] + std::string(" ") + std::to_string(random() % 1000) + " ";
    c.columns["note"] = note;
    t.changes.push_back(c);
    const auto record = encode_record(t, at);
    at = advance(at, *decode_head(t.dot.origin, record, at), record);
    records.string(record);
  }
  const auto bytes = encode_frame(one_run(1, 100, records.take()));
  RecordProperty("bytes_per_change", static_cast<int>(bytes.size() / 100));
  EXPECT_LE(bytes.size() / 100, 60u);
}

}  // namespace
}  // namespace entente
