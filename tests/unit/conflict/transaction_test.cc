#include "conflict/transaction.h"

#include <gtest/gtest.h>

#include <set>

#include "conflict/hex.h"
#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

using test::dot;
using test::origin;
using test::vector_of;

const Origin kSelf = origin(42);

Transaction first_of(test::Random& random) {
  Transaction t{
      {kSelf, 1}, Hlc::at(1000 + random.below(1000)), random.vector(), random.wide(), "tokyo", {}};
  for (size_t n = random.below(4); n > 0; --n) t.changes.push_back(random.change());
  for (auto& change : t.changes) {
    auto* row = std::get_if<RowChange>(&change);
    if (row && row->context) row->context->meet(t.context);
    if (row == nullptr) continue;
    for (auto& floor : row->floors) floor.seq = std::min(floor.seq, t.context.at(floor.origin));
    for (auto& [group, by] : row->keys_set) {
      by.dot.seq = std::min(by.dot.seq, t.context.at(by.dot.origin));
    }
  }
  return t;
}

// The bytes are a function of the content: equal bytes, equal transactions.
std::string bytes(const Transaction& t, const StreamState& before) {
  return encode_record(t, before);
}

StreamState after(const StreamState& before, const std::string& record) {
  return advance(before, *decode_head(kSelf, record, before), record);
}

TEST(Record, RoundTrips) {
  test::Random random(1);
  for (int i = 0; i < 500; ++i) {
    const Transaction t = first_of(random);
    const auto record = encode_record(t, {});
    const auto read = decode_record(kSelf, record, {});
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(read->dot, t.dot);
    EXPECT_EQ(read->hlc, t.hlc);
    EXPECT_EQ(read->context, t.context);
    EXPECT_EQ(read->epoch, t.epoch);
    EXPECT_EQ(read->declares_dc, "tokyo");
    EXPECT_EQ(read->changes.size(), t.changes.size());
    EXPECT_EQ(bytes(*read, {}), record);
  }
}

TEST(Record, EveryFieldOfARowChangeRoundTrips) {
  test::Random random(2);
  for (int i = 0; i < 2000; ++i) {
    const RowChange c = random.row_change();
    ByteWriter out;
    append_change(out, c);
    ByteReader in(out.view());
    const auto read = decode_change(in);
    ASSERT_TRUE(read && in.done());
    const auto& r = std::get<RowChange>(*read);
    EXPECT_EQ(r.table, c.table);
    EXPECT_EQ(r.key, c.key);
    EXPECT_EQ(r.erase, c.erase);
    EXPECT_EQ(r.inserted, c.inserted);
    EXPECT_TRUE(identical(r.columns, c.columns));
    EXPECT_TRUE(identical(r.base, c.base));
    EXPECT_TRUE(identical(r.old, c.old));
    EXPECT_EQ(r.context, c.context);
    EXPECT_EQ(r.kept, c.kept);
    EXPECT_EQ(r.decider, c.decider);
    EXPECT_EQ(r.decided_by, c.decided_by);
    EXPECT_EQ(r.keys_set, c.keys_set);
  }
}

TEST(Record, APlainChangeIsReadInItsPartsAndWrittenAgain) {
  test::Random random(3);
  for (int i = 0; i < 2000; ++i) {
    RowChange c = random.row_change();
    c.context.reset();
    c.base.clear();
    c.kept.clear();
    c.floors.clear();
    c.decider = Decider::kWriter;
    ByteWriter out, again;
    append_change(out, c);
    out.u8(7);  // what follows is not its own
    ByteReader in(out.view());
    const auto plain = next_plain_change(in);
    ASSERT_TRUE(plain);
    EXPECT_EQ(in.left(), 1u);
    EXPECT_EQ(plain->old.empty(), c.old.empty());
    EXPECT_EQ(decode_keys_set(plain->keys_set), c.keys_set);
    append_change(again, *plain);
    again.u8(7);
    EXPECT_EQ(again.view(), out.view());
  }
}

TEST(Record, ContextIsTheDifferenceToTheRecordBefore) {
  const VersionVector first = vector_of({dot(1, 5), dot(2, 7)});
  const auto r1 = encode_record({{kSelf, 1}, Hlc::at(1), first, 0, "tokyo", {}}, {});
  const auto s1 = after({}, r1);
  VersionVector second = vector_of({dot(1, 5), dot(2, 8), dot(3, 1)});
  second.advance(kSelf, 1);
  const auto r2 = encode_record({{kSelf, 2}, Hlc::at(2), second, 0, "", {}}, s1);
  EXPECT_EQ(decode_head(kSelf, r2, s1)->context, second);
  const auto s2 = after(s1, r2);
  EXPECT_EQ(s2.seq, 2u);
  VersionVector third = second;
  third.advance(kSelf, 2);
  const auto r3 = encode_record({{kSelf, 3}, Hlc::at(3), third, 0, "", {}}, s2);
  EXPECT_EQ(r3.size(), 12u) << "nothing new heard: flags, stamp, epoch, 0 entries, 0 changes";
  EXPECT_EQ(decode_head(kSelf, r3, s2)->context, third);
}

TEST(Record, AStampThatDoesNotGrowIsRefused) {
  const StreamState before{1, Hlc::at(10, 5), {}, {}};
  for (const auto& [stamp, fine] : {std::pair{Hlc::at(10, 6), true},
                                    {Hlc::at(10, 5), false},
                                    {Hlc::at(9, 9), false},
                                    {Hlc{}, false}}) {
    const auto record = encode_record({{kSelf, 2}, stamp, {}, 0, "", {}}, before);
    EXPECT_EQ(decode_record(kSelf, record, before).has_value(), fine);
  }
}

TEST(Record, AContextThatDoesNotGrowIsRefused) {
  const auto newer = encode_record({{kSelf, 2}, Hlc::at(2), vector_of({dot(1, 5)}), 0, "", {}},
                                   {1, Hlc::at(1), {}, {}});
  EXPECT_FALSE(decode_head(kSelf, newer, {1, Hlc::at(1), vector_of({dot(1, 5)}), {}}));
  EXPECT_FALSE(decode_head(origin(1), newer, {1, Hlc::at(1), {}, {}})) << "names its own origin";
}

TEST(Record, OnlyTheFirstNamesItsDatacenter) {
  const StreamState second{1, Hlc::at(1), {}, {}};
  const Transaction named{{kSelf, 1}, Hlc::at(2), {}, 0, "tokyo", {}};
  const Transaction unnamed{{kSelf, 1}, Hlc::at(2), {}, 0, "", {}};
  EXPECT_TRUE(decode_head(kSelf, encode_record(named, {}), {}));
  EXPECT_FALSE(decode_head(kSelf, encode_record(unnamed, {}), {}));
  EXPECT_FALSE(decode_head(kSelf, encode_record(named, second), second));
}

TEST(Record, ARowContextBeyondTheTransactionsIsRefused) {
  RowChange change{.table = "t", .key = "k", .columns = {}, .base = {}, .context = {}, .kept = {}};
  change.context = vector_of({dot(1, 6)});
  Transaction t{{kSelf, 1}, Hlc::at(1), vector_of({dot(1, 6)}), 0, "tokyo", {change}};
  EXPECT_TRUE(decode_record(kSelf, encode_record(t, {}), {}));
  t.context = vector_of({dot(1, 5)});
  EXPECT_FALSE(decode_record(kSelf, encode_record(t, {}), {})) << "it would diverge";
}

TEST(Record, AnEraseThatCarriesColumnsIsRefused) {
  ByteWriter out;
  append_change(out, RowChange{.table = "t",
                               .key = "k",
                               .columns = {{"a", int64_t{1}}},
                               .base = {},
                               .context = {},
                               .kept = {}});
  auto erased = out.take();
  erased[0] = 1;
  ByteReader in(erased);
  EXPECT_FALSE(decode_change(in));
}

TEST(Record, AColumnTwiceIsRefused) {
  const auto shape = [](const std::string& base) {
    using namespace std::string_literals;
    return "\x00\x06\x01t\x01\x61\x01"s + base + "\x01k\x08\x10\x10\x02\x01x\x10\x01y\x10";
  };
  for (const char second : {'a', 'b'}) {
    const auto change = shape(std::string(1, second));
    ByteReader in(change);
    EXPECT_EQ(decode_change(in).has_value(), second == 'b');
  }
  auto base_twice = shape("b");
  base_twice[base_twice.size() - 2] = 'x';
  ByteReader in(base_twice);
  EXPECT_FALSE(decode_change(in));
}

Result<Change> read_change(std::string_view bytes) {
  ByteReader in(bytes);
  return decode_change(in);
}

std::optional<PlainRowChange> read_plain(std::string_view bytes) {
  ByteReader in(bytes);
  return next_plain_change(in);
}

// Both readers take the same bytes: what one datacenter applies, no other refuses.
TEST(Record, NamesThatDoNotAscendAreRefusedByBothReaders) {
  using namespace std::string_literals;
  const auto put = [](const std::string& first, const std::string& second) {
    return "\x00\x06\x01t\x01"s + first + "\x01" + second + "\x01k\x00\x10\x11"s;
  };
  EXPECT_TRUE(read_change(put("a", "b")) && read_plain(put("a", "b")));
  for (const auto& bytes : {put("b", "a"), put("a", "a")}) {
    EXPECT_FALSE(read_change(bytes) || read_plain(bytes));
  }
  const auto erase = [](const std::string& first, const std::string& second) {
    return "\x01\x02\x01t\x01k\x40\x04\x01"s + first + "\x01" + second + "\x10\x11";
  };
  EXPECT_TRUE(read_change(erase("a", "b")) && read_plain(erase("a", "b")));
  for (const auto& bytes : {erase("b", "a"), erase("a", "a")}) {
    EXPECT_FALSE(read_change(bytes) || read_plain(bytes));
  }
  // An erase of columns; old values of which there are none.
  for (const auto& bytes : {"\x01\x04\x01t\x01\x61\x01k\x00\x10"s, "\x01\x02\x01t\x01k\x40\x00"s,
                            "\x00\x04\x01t\x01\x61\x01k\x40\x10\x05"s}) {
    EXPECT_FALSE(read_change(bytes) || read_plain(bytes));
  }
}

TEST(Record, AFloorThatNoCounterReachesIsRefused) {
  RowChange c{"t", "k", false, true, {{"n", int64_t{1}}}, {}, {}, {}};
  const auto read = [&](Int128 sum) {
    c.floors = {{"n", test::origin(5), 1, sum}};
    ByteWriter out;
    append_change(out, c);
    return read_change(out.view());
  };
  EXPECT_TRUE(read(Int128{1} << 100) && read(-(Int128{1} << 100)));
  EXPECT_FALSE(read((Int128{1} << 100) + 1) || read(Int128{1} << 126 << 1));
}

TEST(Record, AFloorThatItsWriterHadNotAppliedIsRefused) {
  RowChange c{"t", "k", false, true, {{"n", int64_t{1}}}, {}, {}, {}};
  Transaction t{{kSelf, 1}, Hlc::at(1), vector_of({dot(5, 7)}), 1, "tokyo", {}};
  for (const uint64_t seq : {7, 8}) {
    c.floors = {{"n", test::origin(5), seq, 1}};
    t.changes = {c};
    EXPECT_EQ(decode_record(kSelf, encode_record(t, {}), {}).has_value(), seq == 7);
  }
}

TEST(Record, AWriterOfKeysThatItsWriterHadNotAppliedIsRefused) {
  RowChange c{"t", "k", false, false, {{"n", int64_t{1}}}, {}, {}, {}};
  Transaction t{{kSelf, 1}, Hlc::at(9), vector_of({dot(5, 7)}), 1, "tokyo", {}};
  for (const uint64_t seq : {7, 8}) {
    c.keys_set = {{"", {Hlc::at(3), dot(5, seq)}}};
    t.changes = {c};
    EXPECT_EQ(decode_record(kSelf, encode_record(t, {}), {}).has_value(), seq == 7);
  }
}

// The example of conflict/README.md: keep them alike.
TEST(Record, IsWhatTheReadmeShowsByteByByte) {
  Transaction t{{kSelf, 1}, Hlc::at(0x018bcfe56800, 1), vector_of({dot(7, 300)}), 2, "fra", {}};
  t.changes.push_back(RowChange{.table = "cart",
                                .key = "\x17",
                                .inserted = true,
                                .columns = {{"n", int64_t{-1}}, {"who", std::string("Ada")}},
                                .base = {},
                                .context = {},
                                .kept = {}});
  const std::string expected =
      "01"
      "018bcfe568000001"
      "02"
      "01"
      "07000000000000000000000000000000"
      "ac02"
      "03667261"
      "01"
      "00"
      "0b"
      "0463617274"
      "016e"
      "0377686f"
      "0117"
      "01"
      "0101"
      "0303416461";
  EXPECT_EQ(to_hex(encode_record(t, {})), expected);
}

TEST(Chain, ChangesWithAnyBitOfTheRecordOrOfTheChainBefore) {
  test::Random random(3);
  const auto record = encode_record(first_of(random), {});
  const RecordHead head = *decode_head(kSelf, record, {});
  std::set<std::array<uint8_t, 16>> chains{advance({}, head, record).chain};
  size_t tried = 1;
  for (size_t bit = 0; bit < record.size() * 8; ++bit, ++tried) {
    auto changed = record;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    chains.insert(advance({}, head, changed).chain);
  }
  for (size_t bit = 0; bit < 128; ++bit, ++tried) {
    StreamState before;
    before.chain[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    chains.insert(advance(before, head, record).chain);
  }
  EXPECT_EQ(chains.size(), tried);
}

TEST(Chain, IsTheSameForTheSameHistory) {
  test::Random random(4);
  const auto record = encode_record(first_of(random), {});
  EXPECT_EQ(after({}, record).chain, after({}, record).chain);
  EXPECT_NE(after(after({}, record),
                  encode_record({{kSelf, 2}, Hlc::at(9000), {}, 0, "", {}}, after({}, record)))
                .chain,
            after({}, record).chain);
}

Run run_of(uint64_t first, uint64_t count) {
  ByteWriter out;
  for (uint64_t i = 0; i < count; ++i) out.string("record " + std::to_string(first + i));
  return {kSelf, first, count, out.take()};
}

TEST(Run, SliceAfterEverySeqIsTheRest) {
  const auto whole = run_of(10, 5);
  for (uint64_t seq = 0; seq < 20; ++seq) {
    const auto rest = slice_after(whole, seq);
    ASSERT_TRUE(rest);
    const uint64_t first = std::clamp<uint64_t>(seq + 1, 10, 15);
    EXPECT_EQ(rest->first, first);
    EXPECT_EQ(rest->count, 15 - first);
    EXPECT_EQ(rest->records, run_of(first, 15 - first).records) << seq;
    EXPECT_EQ(rest->origin, kSelf);
  }
}

TEST(Run, SlicesOfAnyLengthMakeUpTheWhole) {
  const auto whole = run_of(10, 5);
  const size_t record = run_of(10, 1).records.size();
  for (size_t most = 0; most < whole.records.size() + 2; ++most) {
    std::string together;
    for (uint64_t seq = 0; seq < whole.last();) {
      const auto part = slice_after(whole, seq, most);
      ASSERT_TRUE(part);
      EXPECT_EQ(part->first, std::max<uint64_t>(seq + 1, 10));
      ASSERT_GT(part->count, 0u);
      EXPECT_LE(part->records.size(), std::max(most, record));
      const bool one_more_fits = part->records.size() + record <= most;
      EXPECT_FALSE(one_more_fits && part->last() < whole.last()) << most;
      together += part->records;
      seq = part->last();
    }
    EXPECT_EQ(together, whole.records) << most;
    EXPECT_EQ(slice_after(whole, whole.last(), most)->count, 0u);
  }
}

TEST(Run, CountsThatAreNotItsOwnAreRefused) {
  for (const uint64_t count : {0ull, 1ull, 4ull, 6ull, ~0ull}) {
    auto lying = run_of(10, 5);
    lying.count = count;
    EXPECT_FALSE(slice_after(lying, 11)) << count;
  }
  const auto from_zero = run_of(0, 2);
  EXPECT_FALSE(slice_after(from_zero, 0));
}

}  // namespace
}  // namespace entente
