#include "gateway/api/sql/hrana_socket.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/unit/gateway/server/served.h"
#include "tests/unit/gateway/server/tiny_sql.h"
#include "tests/unit/gateway/server/web_socket_client.h"

namespace entente {
namespace {

using test::HttpClient;
using test::Served;
using test::WebSocketClient;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// `{"type":"request",…}`; `members` follow the request's type.
std::string request(int id, std::string_view type, std::string_view members) {
  return R"({"type":"request","request_id":)" + std::to_string(id) + R"(,"request":{"type":")" +
         std::string(type) + R"(",)" + std::string(members) + "}}";
}

std::string execute(int id, int stream, std::string_view sql) {
  return request(id, "execute",
                 R"("stream_id":)" + std::to_string(stream) + R"(,"stmt":{"sql":")" +
                     std::string(sql) + R"("})");
}

std::string on_stream(int id, std::string_view type, int stream) {
  return request(id, type, R"("stream_id":)" + std::to_string(stream));
}

class HranaSocketTest : public testing::Test {
 protected:
  explicit HranaSocketTest(const std::function<void(Limits&)>& adjust = [](Limits&) {})
      : served_(adjust, test::tiny_sql) {}

  // A connection that has said hello and opened stream 1.
  std::unique_ptr<WebSocketClient> connected() {
    auto client = std::make_unique<WebSocketClient>(served_.port());
    EXPECT_EQ(client->say(R"({"type":"hello","jwt":null})"), R"({"type":"hello_ok"})");
    EXPECT_EQ(client->say(on_stream(0, "open_stream", 1)),
              R"({"type":"response_ok","request_id":0,"response":{"type":"open_stream"}})");
    return client;
  }
  bool wrote(const std::string& sql) { return served_.database().snapshot().texts.contains(sql); }

  Served served_;
};

class ImpatientHranaSocketTest : public HranaSocketTest {
 protected:
  ImpatientHranaSocketTest()
      : HranaSocketTest([](Limits& l) {
          l.transaction_timeout = std::chrono::milliseconds(20);
          l.session_wait = std::chrono::milliseconds(5);
        }) {}
};

class NarrowHranaSocketTest : public HranaSocketTest {
 protected:
  NarrowHranaSocketTest() : HranaSocketTest([](Limits& l) { l.body_bytes = 10'000; }) {}
};

TEST_F(HranaSocketTest, ChoosesTheBestSubprotocolOfThoseOffered) {
  const auto chosen = [&](std::string_view offered) {
    const WebSocketClient client(served_.port(), offered);
    return std::to_string(client.answer().status) + " " +
           client.answer().header("Sec-WebSocket-Protocol");
  };
  EXPECT_EQ(chosen("hrana1"), "101 hrana1");
  EXPECT_EQ(chosen("hrana2, hrana3"), "101 hrana3");
  EXPECT_EQ(chosen("hrana3-protobuf,hrana2"), "101 hrana2");
  EXPECT_EQ(chosen(""), "101 ");
  EXPECT_EQ(chosen("chat"), "400 ");
}

TEST_F(HranaSocketTest, AnOfferThatIsNoGoodIsRefused) {
  HttpClient elsewhere(served_.port());
  const std::string upgrade = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
  EXPECT_EQ(elsewhere.ask("GET", "/v1/status", "", upgrade).status, 405);
  HttpClient keyless(served_.port());
  EXPECT_EQ(keyless.ask("GET", "/", "", upgrade + "Sec-WebSocket-Version: 13\r\n").status, 400);
  HttpClient hasty(served_.port());
  hasty.send("GET / HTTP/1.1\r\n" + upgrade +
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nx");
  EXPECT_TRUE(hasty.closed());
}

TEST_F(HranaSocketTest, WhoBreaksTheProtocolIsToldHowAndClosed) {
  const auto fate = [&](std::string_view text, WebSocketClient::Opcode opcode) {
    WebSocketClient client(served_.port());
    client.send_frame(text, opcode);
    return client.next();
  };
  EXPECT_EQ(fate("{", WebSocketClient::kText), "closed 1007");
  EXPECT_EQ(fate("\xff", WebSocketClient::kText), "closed 1007");
  EXPECT_EQ(fate("{}", WebSocketClient::kBinary), "closed 1003");
  EXPECT_EQ(fate(R"({"type":"dance"})", WebSocketClient::kText), "closed 1008");
  EXPECT_EQ(fate(on_stream(1, "open_stream", 1), WebSocketClient::kText), "closed 1008");
  const auto client = connected();
  EXPECT_EQ(client->say(R"({"type":"request","request":{}})"), "closed 1008");
}

TEST_F(HranaSocketTest, AMistakeInARequestClosesNothing) {
  const auto client = connected();
  for (const auto& mistake :
       {execute(7, 9, "SELECT"), on_stream(7, "open_stream", 1), on_stream(7, "dance", 1),
        on_stream(7, "execute", 1), request(7, "fetch_cursor", R"("cursor_id":1,"max_count":1)"),
        execute(7, 1, "BAD"), on_stream(7, "close", 1)}) {
    const auto answer = client->say(mistake);
    EXPECT_TRUE(contains(answer, R"({"type":"response_error","request_id":7,"error":{)")) << answer;
  }
  EXPECT_TRUE(contains(client->say(execute(8, 1, "SELECT")), R"("value":"1")"));
  EXPECT_TRUE(contains(client->say(on_stream(9, "close_stream", 55)), "response_ok"));
}

TEST_F(HranaSocketTest, RequestsOfAStreamRunInOrder) {
  const auto client = connected();
  client->send_frame(execute(1, 1, "BEGIN"));
  client->send_frame(execute(2, 1, "WRITE 1"));
  client->send_frame(on_stream(3, "get_autocommit", 1));
  client->send_frame(execute(4, 1, "COMMIT"));
  client->send_frame(on_stream(5, "close_stream", 1));
  client->send_frame(on_stream(6, "open_stream", 1));  // the name is free at once
  std::vector<std::string> answers;
  for (int i = 0; i < 6; ++i) answers.push_back(client->next());
  std::string order;
  for (const auto& answer : answers) {
    EXPECT_TRUE(contains(answer, "response_ok")) << answer;
    order += answer[answer.find("request_id") + 12];
  }
  std::erase(order, '6');
  EXPECT_EQ(order, "12345");
  EXPECT_TRUE(contains(answers[2] + answers[3], R"("is_autocommit":false)"));
  EXPECT_TRUE(wrote("WRITE 1"));
}

TEST_F(HranaSocketTest, AStreamThatWaitsForTheWriterKeepsNoOtherWaiting) {
  const auto client = connected();
  EXPECT_TRUE(contains(client->say(on_stream(1, "open_stream", 2)), "response_ok"));
  EXPECT_TRUE(contains(client->say(execute(2, 1, "BEGIN")), "response_ok"));
  client->send_frame(execute(3, 2, "BEGIN"));  // waits for the commit below
  EXPECT_TRUE(contains(client->say(execute(4, 1, "WRITE 1")), R"("request_id":4)"));
  client->send_frame(execute(5, 1, "COMMIT"));
  const auto both = client->next() + client->next();
  EXPECT_TRUE(contains(both, R"("response_ok","request_id":3)")) << both;
  EXPECT_TRUE(contains(both, R"("response_ok","request_id":5)")) << both;
}

TEST_F(HranaSocketTest, AClientThatVanishesIsRolledBackAtOnce) {
  for (const bool waiting : {false, true}) {
    auto client = connected();
    EXPECT_TRUE(contains(client->say(execute(1, 1, "BEGIN")), "response_ok"));
    EXPECT_TRUE(contains(client->say(execute(2, 1, "WRITE 1")), "response_ok"));
    if (waiting) {  // a second stream of the same client is in the queue for the writer
      EXPECT_TRUE(contains(client->say(on_stream(3, "open_stream", 2)), "response_ok"));
      client->send_frame(execute(4, 2, "BEGIN"));
    }
    client.reset();
    const auto other = connected();
    EXPECT_TRUE(contains(other->say(execute(1, 1, "WRITE 2")), "response_ok"));
    EXPECT_FALSE(wrote("WRITE 1"));
    EXPECT_TRUE(wrote("WRITE 2"));
  }
}

TEST_F(HranaSocketTest, TextsBelongToTheConnection) {
  const auto client = connected();
  client->send_frame(request(1, "store_sql", R"("sql_id":1,"sql":"WRITE 9")"));
  client->send_frame(request(2, "execute", R"("stream_id":1,"stmt":{"sql_id":1})"));
  client->send_frame(request(3, "close_sql", R"("sql_id":1)"));  // 2 was read before
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(contains(client->next(), "response_ok"));
  EXPECT_TRUE(wrote("WRITE 9"));
}

TEST_F(HranaSocketTest, ACursorIsFetchedInParts) {
  const auto client = connected();
  const std::string batch = R"("batch":{"steps":[{"stmt":{"sql":"SELECT"}},{"stmt":{"sql":"BAD"}},)"
                            R"({"stmt":{"sql":"WRITE 1"},"condition":{"type":"ok","step":1}}]})";
  client->send_frame(request(1, "open_cursor", R"("stream_id":1,"cursor_id":7,)" + batch));
  EXPECT_TRUE(contains(client->next(), R"("response_ok","request_id":1)"));
  const auto fetch = [&](int max_count) {
    return client->say(
        request(2, "fetch_cursor", R"("cursor_id":7,"max_count":)" + std::to_string(max_count)));
  };
  EXPECT_TRUE(contains(fetch(2), R"("entries":[{"type":"step_begin","step":0,"cols":[{"name":"one")"
                                 R"(,"decltype":null}]},{"type":"row","row":[{"type":"integer",)"
                                 R"("value":"1"}]}],"done":false)"));
  EXPECT_TRUE(contains(fetch(9),
                       R"("entries":[{"type":"step_end","affected_row_count":0,)"
                       R"("last_insert_rowid":null},{"type":"step_error","step":1,)"
                       R"("error":{"message":"bad","code":"SQLITE_ERROR"}}],"done":true)"));
  EXPECT_FALSE(wrote("WRITE 1"));
  EXPECT_TRUE(contains(client->say(request(3, "close_cursor", R"("cursor_id":7)")), "response_ok"));
  EXPECT_TRUE(contains(fetch(1), "CURSOR_NOT_FOUND"));
}

TEST_F(NarrowHranaSocketTest, AFloodIsAnsweredWholeAndInOrder) {
  const auto client = connected();
  constexpr int kMany = 1000;  // far more than are read before some are answered
  served_.database().hold();
  for (int i = 0; i < kMany; ++i) client->send_frame(execute(i, 1, "WRITE x"));
  served_.database().wait_until_held();
  served_.database().let_go();
  for (int i = 0; i < kMany; ++i) {
    ASSERT_TRUE(contains(client->next(), "\"request_id\":" + std::to_string(i) + ","));
  }
}

// Of a thousand that want the writer one has it: it must be heard, and so must who only reads.
TEST_F(HranaSocketTest, AThousandThatWaitForTheWriterStopNoReader) {
  const auto client = connected();
  constexpr int kMany = 1000;
  for (int i = 2; i <= kMany; ++i) client->send_frame(on_stream(0, "open_stream", i));
  for (int i = 2; i <= kMany; ++i) ASSERT_TRUE(contains(client->next(), "response_ok"));
  EXPECT_TRUE(contains(client->say(execute(1, 1, "BEGIN")), "response_ok"));
  for (int i = 2; i <= kMany; ++i) client->send_frame(execute(i, i, "BEGIN"));
  EXPECT_TRUE(contains(client->say(execute(2000, 1, "SELECT")), R"("request_id":2000)"));
  const auto reader = connected();
  EXPECT_TRUE(contains(reader->say(execute(1, 1, "SELECT")), R"("value":"1")"));
}

TEST_F(HranaSocketTest, StoppingClosesWhoIsIdle) {
  const auto client = connected();
  served_.server().stop();
  EXPECT_EQ(client->next(), "gone");
}

TEST_F(HranaSocketTest, WhatTheClientHasSeenIsCarriedByTheReplicationIndex) {
  const auto client = connected();
  const auto wrote = client->say(execute(1, 1, "WRITE 1"));
  const std::string mark = R"("replication_index":")";
  const auto at = wrote.find(mark);
  ASSERT_NE(at, std::string::npos) << wrote;
  const auto index = std::stoull(wrote.substr(at + mark.size()));
  const auto read = [&](uint64_t seen) {
    return client->say(request(2, "execute",
                               R"("stream_id":1,"stmt":{"sql":"SELECT","replication_index":")" +
                                   std::to_string(seen) + R"("})"));
  };
  EXPECT_TRUE(contains(read(index), "response_ok"));
}

TEST_F(ImpatientHranaSocketTest, WhatIsNotAppliedHereYetIsRefusedAfterAWhile) {
  const auto client = connected();
  const auto wrote = client->say(execute(1, 1, "WRITE 1"));
  const std::string mark = R"("replication_index":")";
  const auto index = std::stoull(wrote.substr(wrote.find(mark) + mark.size()));
  for (const uint64_t ahead : {index + 9, index ^ (uint64_t{1} << 60)}) {
    const auto answer =
        client->say(request(2, "execute",
                            R"("stream_id":1,"stmt":{"sql":"SELECT","replication_index":)" +
                                std::to_string(ahead) + "}"));
    EXPECT_TRUE(contains(answer, "SESSION_NOT_REACHED")) << answer;
  }
}

TEST_F(ImpatientHranaSocketTest, ATransactionThatIsHeldTooLongIsLetGo) {
  const auto client = connected();
  for (const std::string_view begin : {"BEGIN", "BEGIN TRANSACTION READONLY"}) {
    EXPECT_TRUE(contains(client->say(execute(1, 1, begin)), "response_ok"));
    std::string answer;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!contains(answer, "TRANSACTION_TIMEOUT") &&
           std::chrono::steady_clock::now() < deadline) {
      answer = client->say(execute(2, 1, "SELECT"));
    }
    EXPECT_TRUE(contains(answer, "TRANSACTION_TIMEOUT")) << begin;
    client->say(execute(3, 1, "ROLLBACK"));
    EXPECT_TRUE(contains(client->say(execute(4, 1, "SELECT")), "response_ok"));
  }
}

}  // namespace
}  // namespace entente
