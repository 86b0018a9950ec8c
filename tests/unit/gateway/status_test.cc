#include "gateway/commands/status.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <sstream>

#include "gateway/commands/http_call.h"
#include "tests/unit/gateway/one_answer.h"

namespace entente {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using test::http;
using test::OneAnswer;

const std::string kHealthy = R"({"verdict": "All 2 datacenters are up.", "healthy": true,
  "cluster": "shop", "dc": "tokyo", "datacenters": [
  {"dc": "tokyo", "self": true, "link": "none", "reason": "", "lag_seconds": null, "behind": 0,
   "unacknowledged": 0, "round_trip_ms": null},
  {"dc": "paris", "self": false, "link": "up", "reason": "", "route": "paris",
   "preferred": "paris", "lag_seconds": 0.0125, "behind": 3,
   "unacknowledged": 18446744073709551615, "round_trip_ms": 0.44}]})";

const std::string kDegraded = R"({"verdict": "tokyo serves its clients; it has no link to paris.",
  "healthy": false, "dc": "tokyo", "notes": ["Changes of paris come from oslo rather than paris: )"
                              R"(the link to paris is down since 2026-01-01T00:00:00.000Z."],
  "datacenters": [
  {"dc": "tokyo", "self": true, "link": "none", "reason": ""},
  {"dc": "paris", "self": false, "link": "connecting", "reason": "Connection refused",
   "route": "oslo", "preferred": "paris", "lag_seconds": 1.5, "behind": 1, "unacknowledged": 2,
   "round_trip_ms": null}],
  "origins": [{"dc": "paris", "origin": "0123456789abcdef", "upstream": "oslo",
   "preferred": "paris", "applied": 7, "behind": 1, "lag_seconds": 1.5, "held": 1,
   "held_bytes": 120}],
  "links": [{"peer": "oslo", "state": "up", "round_trip_ms": 80.25, "clock_offset_ms": -3.4,
   "received_bytes_per_second": 1200.4, "received_changes_per_second": 10.04,
   "sent_bytes_per_second": 0, "sent_changes_per_second": 0, "held": 1, "held_bytes": 120}]})";

struct Outcome {
  int code = 0;
  std::string out, err;
};

Outcome status_of(const std::string& url, OutputFormat format = OutputFormat::kTable) {
  std::ostringstream out, err;
  const int code = status(url, format, {}, out, err);
  return {code, out.str(), err.str()};
}

TEST(Status, PutsTheVerdictFirstAndOneRowPerDatacenter) {
  const OneAnswer server(http("200 OK", kHealthy));
  const auto got = status_of(server.url());
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(got.out,
            "All 2 datacenters are up.\n"
            "\n"
            "DATACENTER  LINK      ROUTE  LAG      BEHIND  UNACKNOWLEDGED        ROUND TRIP\n"
            "tokyo       this one\n"
            "paris       up        paris  0.013 s  3       18446744073709551615  0.4 ms\n");
}

TEST(Status, SaysBelowTheTableWhatIsNotAsItShouldBe) {
  const auto picture = picture_status(kDegraded);
  ASSERT_TRUE(picture);
  EXPECT_EQ(picture->text,
            "tokyo serves its clients; it has no link to paris.\n"
            "\n"
            "DATACENTER  LINK        ROUTE             LAG    BEHIND  UNACKNOWLEDGED  ROUND TRIP\n"
            "tokyo       this one\n"
            "paris       connecting  oslo (not paris)  1.5 s  1       2               -\n"
            "\n"
            "paris: Connection refused\n"
            "Changes of paris come from oslo rather than paris: the link to paris is down since\n"
            "  2026-01-01T00:00:00.000Z.\n");
}

TEST(Status, ShowsOriginsAndLinksWhenAskedFor) {
  const auto picture = picture_status(kDegraded, {.origins = true, .links = true});
  ASSERT_TRUE(picture);
  for (const std::string line :
       {"ORIGIN  LIFE      ROUTE             APPLIED  BEHIND  LAG    HELD  BYTES\n"
        "paris   01234567  oslo (not paris)  7        1       1.5 s  1     120\n",
        "LINK  STATE  ROUND TRIP  CLOCK  IN B/S  IN TX/S  OUT B/S  OUT TX/S  HELD  BYTES\n"
        "oslo  up     80.3 ms     -3 ms  1200    10       0        0         1     120\n"}) {
    EXPECT_NE(picture->text.find("\n\n" + line), std::string::npos) << picture->text;
  }
}

TEST(Status, DegradedIsExitCodeOneAndJsonPassesThrough) {
  const std::string body = R"({"verdict": "paris is away", "healthy": false, "datacenters": []})";
  const OneAnswer server(http("200 OK", body));
  const auto got = status_of(server.url() + "/", OutputFormat::kJson);
  EXPECT_EQ(got.code, 1);
  EXPECT_EQ(got.out, body + "\n");
}

TEST(Status, AnswersThatAreNoStatusAreRefused) {
  for (const std::string& answer :
       {http("404 Not Found", ""), http("200 OK", "[]"), http("200 OK", "{\"datacenters\": 7}"),
        http("200 OK", "{\"datac"), std::string("SSH-2.0-OpenSSH\r\n"), std::string()}) {
    const OneAnswer server(answer);
    const auto got = status_of(server.url());
    EXPECT_EQ(got.code, 1) << answer;
    EXPECT_EQ(got.out, "");
    EXPECT_NE(got.err.find(server.url()), std::string::npos) << got.err;
  }
}

TEST(Status, NobodyListeningIsOneSentence) {
  std::string url;
  {
    asio::io_context io;
    const tcp::acceptor closed(io, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
    url = "http://127.0.0.1:" + std::to_string(closed.local_endpoint().port());
  }
  const auto got = status_of(url);
  EXPECT_EQ(got.code, 1);
  EXPECT_EQ(got.err, "entente: cannot reach " + url + ": Connection refused\n");
  EXPECT_NE(status_of(url, OutputFormat::kJson).out.find("\"healthy\": false"), std::string::npos);
}

TEST(Status, AUrlThatIsNoneIsAUsageError) {
  for (const std::string url : {"", "127.0.0.1:8080", "ftp://127.0.0.1:8080", "https://", "http://",
                                "http://127.0.0.1", "http://127.0.0.1:0", "http://a b:1"}) {
    EXPECT_EQ(status_of(url).code, 2) << url;
  }
}

TEST(HttpGet, GivesUpAtTheDeadline) {
  asio::io_context io;
  const tcp::acceptor silent(io, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
  const Endpoint endpoint{"127.0.0.1", silent.local_endpoint().port(), false};
  const auto answer = http_get(endpoint, "/", std::chrono::milliseconds(20));
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().text, "Connection timed out");
}

}  // namespace
}  // namespace entente
