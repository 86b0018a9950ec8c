#include "conflict/codec.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

using test::Random;

std::string bytes_of(const std::function<void(ByteWriter&)>& write) {
  ByteWriter out;
  write(out);
  return out.take();
}

TEST(Codec, IntegersAreBigEndian) {
  EXPECT_EQ(bytes_of([](auto& out) { out.u32(0x01020304); }), "\x01\x02\x03\x04");
  EXPECT_EQ(bytes_of([](auto& out) { out.u64(0x0102030405060708); }),
            "\x01\x02\x03\x04\x05\x06\x07\x08");
}

TEST(Codec, VarintsRoundTrip) {
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t v = i < 64 ? 1ull << i : i < 128 ? (1ull << (i - 64)) - 1 : random.wide();
    const auto bytes =
        bytes_of([&](auto& out) { out.varint(v), out.zigzag(static_cast<int64_t>(v)); });
    ByteReader in(bytes);
    ASSERT_EQ(in.varint(), v);
    ASSERT_EQ(in.zigzag(), static_cast<int64_t>(v));
    ASSERT_TRUE(in.done());
  }
}

TEST(Codec, LargestVarintTakesTenBytes) {
  const auto bytes = bytes_of([](auto& out) { out.varint(~0ull); });
  EXPECT_EQ(bytes.size(), 10u);
  ByteReader in(bytes);
  EXPECT_EQ(in.varint(), ~0ull);
  EXPECT_TRUE(in.done());
}

TEST(Codec, AVarintHasOneEncoding) {
  using namespace std::string_literals;
  for (const auto& padded :
       {"\x80\x00"s, "\x81\x80\x00"s, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s,
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"s,
        "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"s}) {
    ByteReader in(padded);
    in.varint();
    EXPECT_FALSE(in.ok());
  }
}

TEST(Codec, ValuesRoundTrip) {
  Random random(2);
  auto values = test::nasty_values();
  for (int64_t i = -300; i < 300; ++i) values.push_back(i);
  for (int i = 0; i < 20000; ++i) values.push_back(random.value());
  for (const auto& v : values) {
    const auto bytes = bytes_of([&](auto& out) { out.value(v); });
    ByteReader in(bytes);
    ASSERT_TRUE(identical(in.value(), v)) << describe(v);
    ASSERT_TRUE(in.done());
  }
}

TEST(Codec, AValueHasOneEncoding) {
  for (int tag = 0; tag < 256; ++tag) {
    for (int n = 0; n < 256; ++n) {
      const std::string bytes{static_cast<char>(tag), static_cast<char>(n)};
      ByteReader in(bytes);
      const Value v = in.value();
      if (!in.done()) continue;
      EXPECT_EQ(bytes_of([&](auto& out) { out.value(v); }), bytes) << tag << " " << n;
    }
  }
}

TEST(Codec, NanIsRefused) {
  const auto bytes = bytes_of([](auto& out) { out.u8(kTagReal), out.u64(0x7ff8000000000001); });
  ByteReader in(bytes);
  in.value();
  EXPECT_FALSE(in.ok());
}

TEST(Codec, UnknownTagsAreRefused) {
  for (int tag = kTagBlob + 1; tag < kTagSmall; ++tag) {
    const std::string bytes(20, static_cast<char>(tag));
    ByteReader in(bytes);
    in.value();
    EXPECT_FALSE(in.ok()) << tag;
  }
}

TEST(Codec, ALengthPastTheEndIsRefused) {
  for (const uint64_t length : {uint64_t{4}, uint64_t{1} << 32, ~uint64_t{0}}) {
    const auto bytes = bytes_of([&](auto& out) { out.varint(length), out.raw("abc"); });
    ByteReader in(bytes);
    EXPECT_TRUE(in.string().empty());
    EXPECT_FALSE(in.ok());
  }
}

TEST(Codec, AfterOneBadReadEveryReadIsZeroAndNotOk) {
  ByteReader in(
      "\x05"
      "ab");
  in.string();
  EXPECT_EQ(in.u8(), 0);
  EXPECT_EQ(in.u32(), 0u);
  EXPECT_EQ(in.u64(), 0u);
  EXPECT_EQ(in.varint(), 0u);
  EXPECT_EQ(in.origin(), Origin{});
  EXPECT_TRUE(in.raw(0).empty());
  EXPECT_EQ(in.left(), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_FALSE(in.done());
}

// ---- Whole structures, as outside bytes ---------------------------------------------------------

// A structure that is read from outside: how to make one, and whether the bytes are one.
struct Decoder {
  const char* name;
  std::string (*sample)(Random&);
  bool (*accepts)(std::string_view);
};

const Origin kSelf = test::origin(42);

const StreamState kSecond{1, Hlc::at(1), {}, {}};

const Decoder kDecoders[] = {
    {"Value", [](Random& r) { return bytes_of([&](auto& out) { out.value(r.value()); }); },
     [](std::string_view bytes) {
       ByteReader in(bytes);
       in.value();
       return in.done();
     }},
    {"VersionVector",
     [](Random& r) { return bytes_of([&](auto& out) { encode(out, r.vector()); }); },
     [](std::string_view bytes) {
       ByteReader in(bytes);
       return decode_version_vector(in) && in.done();
     }},
    {"TableDef", [](Random& r) { return bytes_of([&](auto& out) { encode(out, r.table()); }); },
     [](std::string_view bytes) {
       ByteReader in(bytes);
       return decode_table(in) && in.done();
     }},
    {"Change",
     [](Random& r) { return bytes_of([&](auto& out) { append_change(out, r.change()); }); },
     [](std::string_view bytes) {
       ByteReader in(bytes);
       return decode_change(in) && in.done();
     }},
    {"Record",
     [](Random& r) {
       Transaction t{{kSelf, 2}, Hlc::at(2), r.vector(), r.wide(), "", {}};
       t.context.advance(kSelf, 1);
       for (size_t n = r.below(4); n > 0; --n) {
         t.changes.push_back(r.change());
         if (auto* row = std::get_if<RowChange>(&t.changes.back())) {
           row->context.reset(), row->floors.clear(), row->keys_set.clear();
         }
       }
       return encode_record(t, kSecond);
     },
     [](std::string_view bytes) { return decode_record(kSelf, bytes, kSecond).has_value(); }},
    {"Run",
     [](Random& r) {
       return bytes_of([&](auto& out) {
         for (int i = 0; i < 3; ++i) out.string("x" + r.text());
       });
     },
     [](std::string_view bytes) {
       return slice_after({kSelf, 7, 3, std::string(bytes)}, 8).has_value();
     }},
};

class OutsideBytes : public testing::TestWithParam<Decoder> {
 protected:
  // Each input in a heap block of its own size, so that a sanitizer sees a read past its end.
  bool accepts(const std::string& bytes) const {
    const std::vector<char> exact(bytes.begin(), bytes.end());
    return GetParam().accepts({exact.data(), exact.size()});
  }
  static constexpr int kSamples = 150;
};

TEST_P(OutsideBytes, WholeOnesAreAccepted) {
  Random random(4);
  for (int i = 0; i < kSamples; ++i) ASSERT_TRUE(accepts(GetParam().sample(random)));
}

TEST_P(OutsideBytes, EveryTruncationIsRefused) {
  Random random(5);
  for (int i = 0; i < kSamples; ++i) {
    const auto bytes = GetParam().sample(random);
    for (size_t n = 0; n < bytes.size(); ++n) {
      ASSERT_FALSE(accepts(bytes.substr(0, n))) << n << " of " << bytes.size();
    }
  }
}

TEST_P(OutsideBytes, BytesAfterTheEndAreRefused) {
  Random random(6);
  for (int i = 0; i < kSamples; ++i) ASSERT_FALSE(accepts(GetParam().sample(random) + '\0'));
}

TEST_P(OutsideBytes, EveryChangedByteIsRefusedOrRead) {
  Random random(7);
  for (int i = 0; i < kSamples / 10; ++i) {
    const auto bytes = GetParam().sample(random);
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (int bit = 0; bit < 256; ++bit) {
        auto broken = bytes;
        broken[at] = static_cast<char>(bit);
        accepts(broken);
      }
    }
  }
}

TEST_P(OutsideBytes, NoiseIsRefusedOrRead) {
  Random random(8);
  for (int i = 0; i < 20000; ++i) {
    std::string noise(random.below(60), '\0');
    for (char& c : noise) c = static_cast<char>(random.one_in(2) ? random.below(8) : random.next());
    accepts(noise);
  }
}

INSTANTIATE_TEST_SUITE_P(All, OutsideBytes, testing::ValuesIn(kDecoders),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace entente
