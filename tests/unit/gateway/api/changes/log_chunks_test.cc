#include "gateway/api/changes/log_chunks.h"

#include <gtest/gtest.h>

#include "tests/unit/gateway/server/fake_database.h"

namespace entente {
namespace {

// A log of four chunks of a megabyte.
class LongLog : public test::FakeDatabase {
 public:
  Result<std::vector<LogChunk>> read_log(LogPosition after, size_t) override {
    ++reads;
    if (after >= 4) return std::vector<LogChunk>();
    std::vector<LogChunk> chunks(1);
    chunks[0].position = after + 1;
    chunks[0].run.records = std::string(1 << 20, 'x');
    return chunks;
  }
  int reads = 0;
};

TEST(LogChunks, ReadersOfOnePlaceShareItsBytes) {
  LongLog log;
  LogChunks chunks(2 << 20);
  const auto one = chunks.after(log, 0), other = chunks.after(log, 0);
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->get(), other->get());
  EXPECT_EQ((*one)->position, 1u);
  EXPECT_EQ(log.reads, 1);
}

TEST(LogChunks, P10TheLatestAreKeptAndOthersReadAgain) {
  LongLog log;
  LogChunks chunks(2 << 20);
  std::vector<std::weak_ptr<const LogChunk>> seen;
  for (LogPosition after = 0; after < 4; ++after) seen.push_back(*chunks.after(log, after));
  EXPECT_TRUE(seen[0].expired() && seen[1].expired());
  EXPECT_FALSE(seen[2].expired() || seen[3].expired());
  ASSERT_TRUE(chunks.after(log, 2));
  EXPECT_EQ(log.reads, 4);
  ASSERT_TRUE(chunks.after(log, 0));
  EXPECT_EQ(log.reads, 5);
  EXPECT_TRUE(seen[3].expired());
}

TEST(LogChunks, ThereIsNothingPastTheEnd) {
  LongLog log;
  LogChunks chunks(1);
  const auto none = chunks.after(log, 4);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace entente
