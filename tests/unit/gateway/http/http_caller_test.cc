#include "gateway/http/http_caller.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/process.h"
#include "tests/unit/gateway/server/scripted_server.h"

namespace entente {
namespace {

using namespace std::chrono_literals;
using test::http_answer;
using test::ScriptedServer;

class HttpCallerTest : public ::testing::Test {
 protected:
  static Destination at(uint16_t port) { return Destination(Endpoint{"127.0.0.1", port, false}); }

  Result<HttpAnswer> ask(HttpCaller& caller, const std::string& json,
                         HttpCaller::Patience patience = {10s, 10s}) {
    std::optional<Result<HttpAnswer>> answer;
    caller.ask({"/path", json, {{"X-Header", "value"}}}, patience,
               [&](Result<HttpAnswer> outcome) { answer = std::move(outcome); });
    io_.restart();
    io_.run();
    return answer.value_or(fail(Code::kCorrupt, "never called back"));
  }

  boost::asio::io_context io_{1};
};

TEST_F(HttpCallerTest, AsksAgainOnTheSameConnection) {
  ScriptedServer server({http_answer(200, "one"), http_answer(404, "two")});
  HttpCaller caller(io_.get_executor(), at(server.port()), 100);
  EXPECT_EQ(ask(caller, "1")->body, "one");
  const auto second = ask(caller, "2");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->status, 404u);
  EXPECT_EQ(second->body, "two");
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].substr(0, 20), "POST /path HTTP/1.1\r");
  EXPECT_NE(requests[0].find("X-Header: value\r\n"), std::string::npos);
  EXPECT_EQ(requests[1].back(), '2');
}

TEST_F(HttpCallerTest, AConnectionThatIsGoneIsNotOpenedAgain) {
  ScriptedServer server({"HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"});
  HttpCaller caller(io_.get_executor(), at(server.port()), 100);
  EXPECT_TRUE(ask(caller, "1"));
  const auto again = ask(caller, "2");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kNotReached);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(HttpCallerTest, TellsWhetherTheServerGotTheQuestion) {
  HttpCaller nobody(io_.get_executor(), at(static_cast<uint16_t>(testing::free_port())), 100);
  EXPECT_EQ(ask(nobody, "1").error().code, Code::kNotReached);
  ScriptedServer closes({});
  HttpCaller cut(io_.get_executor(), at(closes.port()), 100);
  EXPECT_EQ(ask(cut, "1").error().code, Code::kTimeout);
  ScriptedServer silent({ScriptedServer::kSilence});
  HttpCaller late(io_.get_executor(), at(silent.port()), 100);
  EXPECT_EQ(ask(late, "1", {10s, 50ms}).error().code, Code::kTimeout);
  ScriptedServer talks({http_answer(200, std::string(101, 'x'))});
  HttpCaller full(io_.get_executor(), at(talks.port()), 100);
  EXPECT_EQ(ask(full, "1").error().code, Code::kTimeout);
}

TEST_F(HttpCallerTest, GoneItCallsNobodyBack) {
  ScriptedServer silent({ScriptedServer::kSilence});
  bool called = false;
  {
    HttpCaller caller(io_.get_executor(), at(silent.port()), 100);
    caller.ask({"/", "1", {}}, {10s, 10s}, [&](Result<HttpAnswer>) { called = true; });
    io_.run_one();
  }
  io_.run();  // ends at once: nothing is left over
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace entente
