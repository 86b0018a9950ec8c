#include "gateway/server/client_server.h"

#include <gtest/gtest.h>

#include <thread>

#include "conflict/context.h"
#include "tests/unit/gateway/server/http_client.h"
#include "tests/unit/gateway/server/served.h"

namespace entente {
namespace {

using test::HttpClient;
using test::Served;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(ClientServer, RowIsReadAsItWasWritten) {
  Served served;
  HttpClient client(served.port());
  const auto put = client.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{"v":"x"}})");
  ASSERT_EQ(put.status, 200) << put.body;
  EXPECT_TRUE(contains(put.body, R"("conflict":"none")"));
  const auto get = client.ask("GET", "/v1/tables/t/rows/1");
  ASSERT_EQ(get.status, 200) << get.body;
  EXPECT_TRUE(contains(get.body, R"("v":"x")"));
  EXPECT_NE(get.header("ETag"), "");
  EXPECT_EQ(get.header("Entente-Dc"), "here");
}

TEST(ClientServer, MissingRowHasAContext) {
  Served served;
  HttpClient client(served.port());
  const auto get = client.ask("GET", "/v1/tables/t/rows/1");
  EXPECT_EQ(get.status, 404);
  EXPECT_TRUE(contains(get.body, R"("context":")"));
  EXPECT_EQ(client.ask("GET", "/v1/tables/nothing/rows/1").status, 404);
}

TEST(ClientServer, EtagGuardsAWrite) {
  Served served;
  HttpClient client(served.port());
  client.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{"v":1}})");
  const auto etag = client.ask("GET", "/v1/tables/t/rows/1").header("ETag");
  const auto guard = "If-Match: " + etag + "\r\n";
  EXPECT_EQ(client.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{"v":2}})", guard).status, 200);
  const auto late = client.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{"v":3}})", guard);
  EXPECT_EQ(late.status, 412);
  EXPECT_TRUE(contains(late.body, R"("code":"etag")"));
  const auto twice =
      client.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{}})", "If-None-Match: *\r\n");
  EXPECT_EQ(twice.status, 412);
}

TEST(ClientServer, TransactionNamesTheWriteThatFailedAndChangesNothing) {
  Served served;
  HttpClient client(served.port());
  const auto reply = client.ask("POST", "/v1/transactions",
                                R"({"writes":[{"op":"put","table":"t","key":1,"row":{"v":1}},)"
                                R"({"op":"put","table":"none","key":1,"row":{}}]})");
  EXPECT_EQ(reply.status, 404);
  EXPECT_TRUE(contains(reply.body, "writes[1]")) << reply.body;
  EXPECT_EQ(client.ask("GET", "/v1/tables/t/rows/1").status, 404);
}

TEST(ClientServer, TransactionWritesAllRows) {
  Served served;
  HttpClient client(served.port());
  const auto reply = client.ask("POST", "/v1/transactions",
                                R"({"writes":[{"op":"put","table":"t","key":1,"row":{"v":1}},)"
                                R"({"op":"put","table":"pair","key":["a,b",2],"row":{"v":2}}]})");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(client.ask("GET", "/v1/tables/t/rows/1").status, 200);
  EXPECT_EQ(client.ask("GET", "/v1/tables/pair/rows/a%2Cb,2").status, 200);
}

// P9: a fresh answer or an explicit refusal.
TEST(ClientServer, SessionAheadOfThisGatewayIsRefusedAndNamesWhatIsMissing) {
  Served served([](Limits& l) { l.session_wait = std::chrono::milliseconds(5); });
  HttpClient client(served.port());
  VersionVector ahead;
  ahead.advance(test::FakeDatabase::self(), 99);
  const auto header = "Entente-Session: " + session_token(ahead) + "\r\n";
  const auto reply = client.ask("GET", "/v1/tables/t/rows/1", "", header);
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.header("Retry-After"), "1");
  EXPECT_TRUE(contains(reply.body, R"("have":1,"need":99)")) << reply.body;
  EXPECT_EQ(client.ask("GET", "/livez", "", "Entente-Session: nonsense\r\n").status, 400);
}

TEST(ClientServer, SessionOfAWriteIsHonouredByTheNextRead) {
  Served served;
  HttpClient client(served.port());
  const auto put = client.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{"v":1}})");
  const auto token = put.header("Entente-Session");
  const auto seen = parse_session_token(token);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->at(test::FakeDatabase::self()), 2u);
  EXPECT_EQ(
      client.ask("GET", "/v1/tables/t/rows/1", "", "Entente-Session: " + token + "\r\n").status,
      200);
}

TEST(ClientServer, PipelinedRequestsAreAnsweredInOrder) {
  Served served;
  HttpClient client(served.port());
  client.send(
      "PUT /v1/tables/t/rows/1 HTTP/1.1\r\nContent-Length: 15\r\n\r\n{\"row\":{\"v\":1}}"
      "GET /v1/tables/t/rows/1 HTTP/1.1\r\n\r\n"
      "GET /nowhere HTTP/1.1\r\n\r\n"
      "HEAD /livez HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(contains(client.receive().body, R"("v":1)"));
  EXPECT_EQ(client.receive().status, 404);
  const auto head = client.receive(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Length"), "3");
}

TEST(ClientServer, AmbiguousFramingIsRefusedAndTheConnectionClosed) {
  Served served;
  const std::string_view heads[] = {
      "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
      "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
      "Content-Length: +3\r\n\r\nabc",
      "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
      "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "Transfer-Encoding: identity\r\n\r\n",
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
      "Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
      "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
  };
  for (const auto head : heads) {
    HttpClient client(served.port());
    client.send("POST /livez HTTP/1.1\r\n" + std::string(head));
    EXPECT_EQ(client.receive().status, 400) << head;
    EXPECT_TRUE(client.closed()) << head;
  }
}

TEST(ClientServer, ChunkedBodyIsRead) {
  Served served;
  HttpClient client(served.port());
  client.send(
      "PUT /v1/tables/t/rows/1 HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "7\r\n{\"row\":\r\n8\r\n{\"v\":5}}\r\n0\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(contains(client.ask("GET", "/v1/tables/t/rows/1").body, R"("v":5)"));
}

TEST(ClientServer, SizesAreBounded) {
  Served served([](Limits& l) { l.body_bytes = 100, l.header_bytes = 1024; });
  HttpClient large_body(served.port());
  EXPECT_EQ(large_body.ask("POST", "/livez", std::string(101, ' ')).status, 413);
  HttpClient chunked(served.port());
  chunked.send("POST /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n" +
               std::string(256, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.receive().status, 413);
  HttpClient large_head(served.port());
  EXPECT_EQ(large_head.ask("GET", "/livez", "", "X: " + std::string(2000, 'x') + "\r\n").status,
            431);
  HttpClient endless_head(served.port());
  endless_head.send("GET /livez HTTP/1.1\r\nX: " + std::string(100'000, 'x'));
  EXPECT_EQ(endless_head.receive().status, 431);
}

TEST(ClientServer, MalformedRequestsAreRefused) {
  Served served;
  for (const std::string_view bytes :
       {"nonsense\r\n\r\n", "GET /livez HTTP/9.9\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        "GET livez HTTP/1.1\r\n\r\n", "GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost : x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\r\n\r\n"}) {
    HttpClient client(served.port());
    client.send(bytes);
    EXPECT_EQ(client.receive().status, 400) << bytes;
    EXPECT_TRUE(client.closed());
  }
}

TEST(ClientServer, MethodsAndPathsThatAreNotThere) {
  Served served;
  HttpClient client(served.port());
  const auto wrong = client.ask("DELETE", "/v1/transactions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "POST");
  EXPECT_EQ(client.ask("BREW", "/v1/transactions").status, 405);
  EXPECT_EQ(client.ask("GET", "/v1/tables/t/rows").status, 404);
  EXPECT_EQ(client.ask("OPTIONS", "/v1/transactions").status, 204);
}

TEST(ClientServer, PagesOfOtherOriginsNeitherWriteNorRead) {
  Served served;
  HttpClient client(served.port());
  const char* row = R"({"row": {"v": 5}})";
  for (const std::string foreign :
       {"Origin: https://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"}) {
    EXPECT_EQ(client.ask("PUT", "/v1/tables/t/rows/1", row, foreign).status, 403);
    EXPECT_EQ(client.ask("GET", "/livez", "", foreign).header("Access-Control-Allow-Origin"), "");
  }
  EXPECT_EQ(client.ask("GET", "/v1/tables/t/rows/1").status, 404);
  client.send(
      "PUT /v1/tables/t/rows/1 HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_EQ(client.receive().status, 421);
  EXPECT_EQ(client.ask("GET", "/livez").header("X-Content-Type-Options"), "nosniff");
}

TEST(ClientServer, ClientThatWaitsToBeAskedForItsBodyIsAsked) {
  Served served;
  HttpClient client(served.port());
  client.send("POST /livez HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.receive().status, 100);
  client.send("ab");
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(client.ask("GET", "/livez", "", "Expect: tea\r\n").status, 417);
}

TEST(ClientServer, OldClientsAndThoseThatSaySoAreClosedAfterTheAnswer) {
  Served served;
  for (const std::string_view bytes :
       {"GET /livez HTTP/1.0\r\n\r\n", "GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"}) {
    HttpClient client(served.port());
    client.send(bytes);
    const auto reply = client.receive();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.header("Connection"), "close");
    EXPECT_TRUE(client.closed());
  }
}

TEST(ClientServer, SlowAndIdleClientsAreCut) {
  Served served([](Limits& l) {
    l.idle_timeout = l.header_timeout = l.body_timeout = std::chrono::milliseconds(30);
  });
  for (const std::string_view bytes :
       {"", "GET /livez HT", "POST /livez HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"}) {
    HttpClient client(served.port());
    client.send(bytes);
    EXPECT_TRUE(client.closed()) << bytes;
  }
}

TEST(ClientServer, ConnectionsAreBounded) {
  Served served([](Limits& l) { l.connections = 1; });
  HttpClient first(served.port());
  EXPECT_EQ(first.ask("GET", "/livez").status, 200);
  HttpClient second(served.port());
  EXPECT_EQ(second.receive().status, 503);
  EXPECT_TRUE(second.closed());
  EXPECT_EQ(first.ask("GET", "/livez").status, 200);
}

TEST(ClientServer, QueueThatIsFullIsToldAsBusy) {
  Served served([](Limits& l) { l.queued_writes = 1; });
  served.database().hold();
  HttpClient running(served.port()), waiting(served.port()), refused(served.port());
  const std::string put =
      "PUT /v1/tables/t/rows/1 HTTP/1.1\r\nContent-Length: 15\r\n\r\n{\"row\":{\"v\":1}}";
  running.send(put);
  served.database().wait_until_held();
  waiting.send(put);
  while (served.store().counters().queued_writes == 0) std::this_thread::yield();
  refused.send(put);
  const auto reply = refused.receive();
  EXPECT_EQ(reply.status, 503);
  EXPECT_TRUE(contains(reply.body, R"("code":"busy")"));
  served.database().let_go();
  EXPECT_EQ(running.receive().status, 200);
  EXPECT_EQ(waiting.receive().status, 200);
}

TEST(ClientServer, StopAnswersTheRequestsInFlight) {
  Served served;
  served.database().hold();
  HttpClient client(served.port());
  client.send("PUT /v1/tables/t/rows/1 HTTP/1.1\r\nContent-Length: 15\r\n\r\n{\"row\":{\"v\":1}}");
  served.database().wait_until_held();
  HttpClient idle(served.port());
  EXPECT_EQ(idle.ask("GET", "/livez").status, 200);
  std::thread stopping([&] { served.server().stop(); });
  EXPECT_TRUE(idle.closed());
  served.database().let_go();
  const auto reply = client.receive();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Connection"), "close");
  stopping.join();
}

TEST(ClientServer, FullDiskIsToldToTheClient) {
  Served served;
  served.database().fail_with(Error{Code::kExhausted, "the disk is full", ""});
  HttpClient client(served.port());
  const auto reply = client.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{"v":1}})");
  EXPECT_EQ(reply.status, 503);
  EXPECT_TRUE(contains(reply.body, R"("code":"disk_full")"));
  EXPECT_EQ(client.ask("GET", "/v1/tables/t/rows/1").status, 404);
}

TEST(ClientServer, BadBodiesChangeNothing) {
  Served served;
  HttpClient client(served.port());
  for (const std::string_view body :
       {"", "{", "[]", "7", R"({"row":{"v":true}})", R"({"row":{"v":[1]}})", R"({"row":7})",
        R"({"row":{"v":9223372036854775808}})", "{\"row\":{\"v\":\"\xff\"}}", R"({"row":{"v":01}})",
        R"({"row":{"v":NaN}})", R"({"row":{"v":1,"v":2}})", R"({"row":{"v":1}} x)",
        R"({"row":{"v":"\ud800"}})", R"({"row":{"v":{"base64":"!"}}})",
        R"({"row":{"v":1},"context":"nonsense"})"}) {
    EXPECT_EQ(client.ask("PUT", "/v1/tables/t/rows/1", body).status, 400) << body;
  }
  const std::string deep(65, '['), deep_end(65, ']');
  EXPECT_EQ(client.ask("PUT", "/v1/tables/t/rows/1", deep + deep_end).status, 400);
  EXPECT_EQ(client.ask("GET", "/v1/tables/t/rows/1").status, 404);
}

TEST(ClientServer, ValuesAreExact) {
  Served served;
  HttpClient client(served.port());
  const std::string_view row =
      R"({"v":9223372036854775807,"a":-9223372036854775808,"b":0.1,"c":1.0,"d":1e999,"e":null,)"
      R"("f":"é\u0000\n","g":{"base64":"AP8="},"h":-0.0,"i":5e-324})";
  ASSERT_EQ(client.ask("PUT", "/v1/tables/t/rows/1", R"({"row":)" + std::string(row) + "}").status,
            200);
  const auto body = client.ask("GET", "/v1/tables/t/rows/1").body;
  for (const std::string_view part :
       {R"("v":9223372036854775807)", R"("a":-9223372036854775808)", R"("b":0.1)", R"("c":1.0)",
        R"("d":1e999)", R"("e":null)", R"("f":"é\u0000\n")", R"("g":{"base64":"AP8="})",
        R"("h":-0.0)", R"("i":5e-324)"}) {
    EXPECT_TRUE(contains(body, part)) << part << " in " << body;
  }
  const auto text = client.ask("GET", "/v1/tables/t/rows/1?integers=text").body;
  EXPECT_TRUE(contains(text, R"("v":"9223372036854775807")"));
}

}  // namespace
}  // namespace entente
