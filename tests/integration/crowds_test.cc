// Many clients at once, and one with very much to write: nobody stops the others.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using Clock = std::chrono::steady_clock;

std::string execute(const std::string& statement, bool close) {
  return R"({"requests":[{"type":"execute","stmt":{"sql":")" + statement + "\"}}" +
         (close ? R"(,{"type":"close"}]})" : "]}");
}

// A client whose transaction stays open: it has the writer, or waits for it.
class Open {
 public:
  Open(int port, const std::string& begin)
      : client_(port),
        thread_([this, begin] { client_.request("POST", "/v2/pipeline", execute(begin, false)); }) {
  }
  Open(Open&&) = delete;
  ~Open() { thread_.join(); }

 private:
  HttpClient client_;
  std::thread thread_;
};

TEST(Crowds, FiveHundredOpenTransactionsDoNotStopAReader) {
  Cluster cluster({{"solo"},
                   "{kind: all-to-all}",
                   "CREATE TABLE t (id INTEGER PRIMARY KEY);",
                   "limits: {transaction_timeout: 2s}"});
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_ready("solo"));
  const int port = cluster.port("solo");
  ASSERT_TRUE(has(sql(port, "INSERT INTO t VALUES (7)"), "\"ok\""));
  std::vector<std::unique_ptr<Open>> crowd;
  for (int i = 0; i < 500; ++i) {
    crowd.push_back(std::make_unique<Open>(port, i % 10 == 0 ? "BEGIN READONLY" : "BEGIN"));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  HttpClient reader(port);
  for (int i = 0; i < 50; ++i) {
    const auto began = Clock::now();
    const auto answer =
        reader.request("POST", "/v2/pipeline",
                       execute(i % 2 == 0 ? "SELECT id FROM t WHERE id = 7"
                                          : "SELECT upper(hex(id)) FROM t WHERE id + 0 = 7",
                               true));
    EXPECT_TRUE(has(answer.body, i % 2 == 0 ? "\"value\":\"7\"" : "\"value\":\"37\""))
        << answer.body;
    EXPECT_LT(Clock::now() - began, std::chrono::seconds(1));
  }
  cluster.kill("solo");  // whoever still waits need not
}

TEST(Crowds, TransactionOfAHundredThousandRowsArrivesWholeAndLetsSmallOnesPass) {
  Cluster cluster({{"a", "b"},
                   "{kind: all-to-all}",
                   "CREATE TABLE big (id INTEGER PRIMARY KEY, v TEXT);"
                   "CREATE TABLE small (id INTEGER PRIMARY KEY, v TEXT);",
                   "limits: {statement_time: 1m}"});
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc));
  ASSERT_TRUE(cluster.wait_converged({}, 20));
  std::thread writer([&] {
    const auto answer = sql(cluster.port("a"),
                            "INSERT INTO big WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + "
                            "1 FROM c WHERE i < 100000) SELECT i, 'row ' || i FROM c");
    EXPECT_TRUE(has(answer, "\"affected_row_count\":100000")) << answer;
  });
  // Until b has it: never a part of it, and b's own writes go on, none longer than the apply.
  HttpClient b(cluster.port("b"));
  auto longest = Clock::duration::zero();
  std::string count;
  const auto deadline = Clock::now() + std::chrono::seconds(60);
  for (int i = 0; count != "100000" && Clock::now() < deadline; ++i) {
    const auto began = Clock::now();
    const auto put =
        b.request("PUT", "/v1/tables/small/rows/" + std::to_string(i + 1), R"({"row":{"v":"x"}})");
    EXPECT_EQ(put.status, 200) << put.body;
    longest = std::max(longest, Clock::now() - began);
    const auto answer =
        b.request("POST", "/v2/pipeline", execute("SELECT count(*) AS n FROM big", true));
    const auto at = answer.body.find(R"([[{"type":"integer","value":")");
    ASSERT_NE(at, std::string::npos) << answer.body;
    count = answer.body.substr(at + 29, answer.body.find('"', at + 29) - at - 29);
    EXPECT_TRUE(count == "0" || count == "100000") << count;
  }
  writer.join();
  EXPECT_EQ(count, "100000");
  EXPECT_LT(longest, std::chrono::seconds(10));
}

}  // namespace
}  // namespace entente::testing
