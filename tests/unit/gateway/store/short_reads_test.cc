#include "gateway/store/short_reads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "adapters/sqlite/sqlite_database.h"
#include "tests/support/process.h"
#include "tests/unit/gateway/server/http_client.h"
#include "tests/unit/gateway/server/served.h"

namespace entente {
namespace {

using test::HttpClient;
using test::Served;

std::unique_ptr<Database> open(const std::filesystem::path& folder) {
  DatabaseOptions options;
  options.dc = "here";
  options.fresh_origin.id.fill(1);
  options.schema_leader_name = "here";
  options.wall_ms = 1'700'000'000'000;
  return std::move(*open_sqlite(folder / "here.db", options));
}

std::string pipeline(const std::string& sql) {
  return R"({"requests":[{"type":"execute","stmt":{"sql":")" + sql + R"("}},{"type":"close"}]})";
}

std::string run(HttpClient& client, const std::string& sql) {
  return client.ask("POST", "/v2/pipeline", pipeline(sql)).body;
}

std::string post(const std::string& sql) {
  const std::string body = pipeline(sql);
  return "POST /v2/pipeline HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

class ShortReadsTest : public ::testing::Test {
 protected:
  ShortReadsTest() : served_(open(folder_.path()), [](Limits&) {}), client_(served_.port()) {
    run(client_, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
    run(client_, "INSERT INTO t VALUES (1, 0)");
  }

  testing::TemporaryFolder folder_;
  Served served_;
  HttpClient client_;
};

// P9: reads share snapshots, but never one that is older than what somebody was told.
TEST_F(ShortReadsTest, WriteIsReadAtOnceWhileOthersRead) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      HttpClient client(served_.port());
      while (!stop) run(client, "SELECT v FROM t WHERE id = 1");
    });
  }
  for (int i = 1; i <= 500; ++i) {
    const std::string v = std::to_string(i);
    client_.send(post("UPDATE t SET v = " + v) + post("SELECT v FROM t WHERE id = 1"));
    ASSERT_EQ(client_.receive().status, 200);
    const auto read = client_.receive().body;
    EXPECT_NE(read.find(R"([[{"type":"integer","value":")" + v + "\"}]]"), std::string::npos)
        << i << ": " << read;
  }
  stop = true;
  for (auto& reader : readers) reader.join();
}

TEST_F(ShortReadsTest, LongReadHoldsUpNobody) {
  std::atomic<bool> over{false};
  std::thread slow([&] {
    HttpClient client(served_.port());
    const auto body = run(client,
                          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i "
                          "< 3000000) SELECT max(i) FROM n");
    EXPECT_NE(body.find("3000000"), std::string::npos) << body;
    over = true;
  });
  int meanwhile = 0;
  for (; !over; ++meanwhile) {
    EXPECT_NE(run(client_, "SELECT v FROM t WHERE id = 1").find(R"("value":"0")"),
              std::string::npos);
  }
  slow.join();
  EXPECT_GT(meanwhile, 20);
}

}  // namespace
}  // namespace entente
