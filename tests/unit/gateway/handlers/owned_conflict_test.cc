#include "gateway/handlers/owned_conflict.h"

#include <gtest/gtest.h>

#include "gateway/handlers/conflict_maker.h"
#include "gateway/handlers/frames.h"

namespace entente {
namespace {

std::string bytes_of(const Conflict& conflict) {
  ByteWriter out;
  encode(out, conflict);
  return out.take();
}

TEST(OwnedConflict, ComesBackFromBytesAsItWas) {
  ConflictMaker maker(*parse_columns("a,b:blob,c:real,d:integer"), 7);
  for (int i = 0; i < 500; ++i) {
    const auto conflict = maker.next();
    const auto bytes = bytes_of(conflict.view());
    const auto decoded = decode_conflict(bytes);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(bytes_of(decoded->view()), bytes);
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      EXPECT_FALSE(decode_conflict(std::string_view(bytes).substr(0, cut)));
    }
    EXPECT_FALSE(decode_conflict(bytes + "x"));
  }
}

// A process that lies costs no more than the bytes it sends.
TEST(OwnedConflict, ColumnsThatDoNotAscendAreRefused) {
  const auto decision = [](const char* first, const char* second) {
    ByteWriter out;
    out.u8(0), out.varint(2);
    out.string(first), out.value(int64_t{1});
    out.string(second), out.value(int64_t{2});
    out.varint(0);
    return out.take();
  };
  EXPECT_TRUE(decode_decision(decision("a", "b")));
  EXPECT_FALSE(decode_decision(decision("b", "a")));
  EXPECT_FALSE(decode_decision(decision("a", "a")));
}

TEST(Frames, RepliesOfAnyBytesAreDecodedOrRefused) {
  Decision decision;
  decision.kind = Decision::Kind::kRow;
  decision.row = {{"a", int64_t{1}}, {"b", "x"}};
  std::string bytes = encode_reply(decision);
  EXPECT_TRUE(identical((*decode_reply(bytes))->row, decision.row));
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(byte);
      const auto reply = decode_reply(changed);
      EXPECT_TRUE(!reply || !*reply || (*reply)->kind <= Decision::Kind::kHold);
    }
  }
  EXPECT_FALSE(decode_reply(""));
  const auto declined = decode_reply(encode_reply(fail(Code::kInvalid, "why", "declined")));
  EXPECT_EQ(declined->error().text, "why");
  EXPECT_EQ(declined->error().tag, "declined");
}

TEST(ConflictMaker, MakesTheSameOnesFromTheSameSeed) {
  const auto columns = *parse_columns("a:array,b:json,c:text");
  ConflictMaker one(columns, 1), same(columns, 1), other(columns, 2);
  bool differs = false;
  for (int i = 0; i < 50; ++i) {
    const auto bytes = bytes_of(one.next().view());
    EXPECT_EQ(bytes, bytes_of(same.next().view()));
    differs |= bytes != bytes_of(other.next().view());
  }
  EXPECT_TRUE(differs);
}

TEST(ConflictMaker, ReachesEveryKindOfConflict) {
  ConflictMaker maker(*parse_columns("a"), 1);
  int no_base = 0, erased = 0, many = 0, null = 0, blob = 0, column = 0;
  for (int i = 0; i < 500; ++i) {
    const auto conflict = maker.next();
    no_base += !conflict.base;
    many += conflict.siblings.size() > 3;
    column += conflict.group == "a";
    for (const auto& sibling : conflict.siblings) {
      erased += !sibling.row;
      null += sibling.row && std::holds_alternative<Null>(sibling.row->at("a"));
      blob += sibling.row && std::holds_alternative<Blob>(sibling.row->at("a"));
    }
    EXPECT_TRUE(std::ranges::is_sorted(conflict.siblings, {}, &OwnedConflict::Sibling::hlc));
  }
  for (const int reached : {no_base, erased, many, null, blob, column}) EXPECT_GT(reached, 10);
}

TEST(ConflictMaker, RefusesColumnsThatItCannotRead) {
  for (const char* bad : {"", "a,", ":integer", "a:number", "a:"}) EXPECT_FALSE(parse_columns(bad));
  EXPECT_EQ(parse_columns("a:integer,b")->size(), 2u);
}

}  // namespace
}  // namespace entente
