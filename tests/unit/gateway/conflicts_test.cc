#include "gateway/commands/conflicts.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/gateway/one_answer.h"

namespace entente {
namespace {

using test::http;
using test::OneAnswer;

const std::string kOpen =
    R"({"id":3,"table":"carts","key":[7,"x"],"column":"","kind":"update-update",)"
    R"("policy":"siblings","state":"open",)"
    R"("winner":{"row":{"items":"lamp\u001b[2J","n":9223372036854775807},"dc":"tokyo",)"
    R"("hlc":"1700000000123.4","dot":"aa:2"},)"
    R"("losers":[{"deleted":true,"dc":"paris","hlc":"1700000000000.0","dot":"bb:1"}],)"
    R"("decided_by":"","note":"the handler failed","detected_at":"2023-11-14T22:13:20.123Z",)"
    R"("detected_in":"tokyo"})";
const std::string kResolved =
    R"({"id":4,"table":"carts","key":[8],"column":"n","kind":"update-update","policy":"lww",)"
    R"("state":"resolved","winner":{"row":{"n":1.0},"dc":"tokyo","hlc":"1.0","dot":"aa:3"},)"
    R"("losers":[{"row":{"n":null},"dc":"paris","hlc":"x","dot":"bb:2"}],"decided_by":"lww",)"
    R"("note":"","detected_at":"2023-11-14T22:13:20.124Z","detected_in":"tokyo"})";

struct Outcome {
  int code = 0;
  std::string out, err;
};

template <class Command>
Outcome run(Command command) {
  std::ostringstream out, err;
  const int code = command(out, err);
  return {code, out.str(), err.str()};
}

Outcome list(const std::string& url, const ConflictFilter& filter = {},
             OutputFormat format = OutputFormat::kTable) {
  return run([&](auto& out, auto& err) { return list_conflicts(url, filter, format, out, err); });
}

Outcome show(const std::string& url, OutputFormat format = OutputFormat::kTable) {
  return run([&](auto& out, auto& err) { return show_conflict(url, 3, format, out, err); });
}

Outcome resolve(const std::string& url, const ConflictChoice& choice,
                OutputFormat format = OutputFormat::kTable) {
  return run(
      [&](auto& out, auto& err) { return resolve_conflict(url, 3, choice, format, out, err); });
}

TEST(Conflicts, ListIsOneLineForEachAndSaysHowToGoOn) {
  OneAnswer server(
      http("200 OK", R"({"conflicts":[)" + kOpen + "," + kResolved + R"(],"next":"4"})"));
  const auto got = list(server.url(), {"open", "my carts", 2, 1});
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(got.out,
            "ID  STATE     TABLE  KEY   COLUMN  KIND           DECIDED BY          DETECTED\n"
            "3   open      carts  7, x  (row)   update-update  the handler failed  "
            "2023-11-14T22:13:20.123Z\n"
            "4   resolved  carts  8     n       update-update  lww                 "
            "2023-11-14T22:13:20.124Z\n"
            "\n"
            "More follow: --since 4\n");
  EXPECT_EQ(server.request().substr(0, server.request().find("\r\n")),
            "GET /v1/conflicts?state=open&limit=2&since=1&table=my%20carts HTTP/1.1");
}

TEST(Conflicts, AnEmptyListSaysSo) {
  OneAnswer server(http("200 OK", R"({"conflicts":[],"next":null})"));
  const auto got = list(server.url());
  EXPECT_EQ(got.code, 0);
  EXPECT_EQ(got.out, "No conflicts.\n");
}

TEST(Conflicts, ShowPutsEveryValueSideBySide) {
  OneAnswer server(http("200 OK", kOpen));
  const auto got = show(server.url());
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(got.out,
            "Conflict 3 is open: update-update of carts 7, x.\n"
            "Policy siblings; detected in tokyo at 2023-11-14T22:13:20.123Z.\n"
            "Note: the handler failed.\n"
            "\n"
            "         SHOWN                    WAITS\n"
            "dc       tokyo                    paris\n"
            "written  2023-11-14 22:13:20.123  2023-11-14 22:13:20.000\n"
            "dot      aa:2                     bb:1\n"
            "items    lamp?[2J                 (deleted)\n"
            "n        9223372036854775807      (deleted)\n");
}

TEST(Conflicts, ShowOfADecidedOneSaysWhoDecided) {
  OneAnswer server(http("200 OK", kResolved));
  const auto got = show(server.url());
  EXPECT_NE(got.out.find("Policy lww, decided by lww; detected"), std::string::npos) << got.out;
  EXPECT_NE(got.out.find("WON "), std::string::npos) << got.out;
  EXPECT_NE(got.out.find("n        1.0                      NULL\n"), std::string::npos) << got.out;
}

TEST(Conflicts, ResolveSendsTheChoice) {
  const std::vector<std::pair<ConflictChoice, std::string>> cases{
      {{"aa:2", std::nullopt, false}, R"({"pick":"aa:2"})"},
      {{std::nullopt, R"({"n": 1e999})", false}, R"({"row":{"n": 1e999}})"},
      {{std::nullopt, std::nullopt, true}, R"({"delete":true})"}};
  for (const auto& [choice, body] : cases) {
    OneAnswer server(http("200 OK", R"({"dot":"aa:9","conflict":"resolved"})"));
    const auto got = resolve(server.url(), choice);
    EXPECT_EQ(got.code, 0) << got.err;
    EXPECT_EQ(got.out, "Conflict 3 is resolved, by write aa:9.\n");
    const auto request = server.request();
    EXPECT_TRUE(request.starts_with("POST /v1/conflicts/3/resolve HTTP/1.1\r\n")) << request;
    EXPECT_TRUE(request.ends_with("\r\n\r\n" + body)) << request;
  }
}

TEST(Conflicts, ARowThatIsStillInConflictIsExitCodeOne) {
  OneAnswer server(http("200 OK", R"({"dot":"aa:9","conflict":"open"})"));
  EXPECT_EQ(resolve(server.url(), {std::nullopt, std::nullopt, true}).code, 1);
}

TEST(Conflicts, ARowThatIsNoJsonObjectIsAUsageErrorAndNobodyIsAsked) {
  for (const std::string row : {"{", "[]", "7", ""}) {
    const auto got = resolve("http://127.0.0.1:1", {std::nullopt, row, false});
    EXPECT_EQ(got.code, 2) << row;
    EXPECT_NE(got.err.find("--row: "), std::string::npos) << got.err;
  }
}

TEST(Conflicts, ARefusalIsTheGatewaysSentence) {
  const std::string body = R"({"status":404,"detail":"there is no\u001b conflict 3"})";
  OneAnswer server(http("404 Not Found", body));
  const auto got = show(server.url());
  EXPECT_EQ(got.code, 1);
  EXPECT_EQ(got.err, "entente: there is no? conflict 3\n");
  OneAnswer again(http("404 Not Found", body));
  EXPECT_EQ(show(again.url(), OutputFormat::kJson).out.find("{\"error\": "), 0u);
}

TEST(Conflicts, JsonPassesThrough) {
  OneAnswer server(http("200 OK", kOpen));
  EXPECT_EQ(show(server.url(), OutputFormat::kJson).out, kOpen + "\n");
}

TEST(Conflicts, AnswersThatAreNoGatewaysAreRefused) {
  for (const std::string& answer :
       {http("200 OK", "[]"), http("200 OK", "{\"confl"), http("500 Broken", "<html>"),
        std::string("SSH-2.0-OpenSSH\r\n"), std::string()}) {
    OneAnswer for_list(answer), for_show(answer), for_resolve(answer);
    EXPECT_EQ(list(for_list.url()).code, 1) << answer;
    EXPECT_EQ(show(for_show.url()).code, 1) << answer;
    EXPECT_EQ(resolve(for_resolve.url(), {"aa:1", std::nullopt, false}).code, 1) << answer;
  }
  EXPECT_EQ(list("ftp://x").code, 2);
}

}  // namespace
}  // namespace entente
