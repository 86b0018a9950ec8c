#include "gateway/api/changes/changes_api.h"

#include <gtest/gtest.h>

#include <future>
#include <set>
#include <thread>

#include "adapters/sqlite/sqlite_database.h"
#include "conflict/context.h"
#include "tests/support/cluster.h"
#include "tests/support/feed_client.h"
#include "tests/unit/gateway/server/http_client.h"
#include "tests/unit/gateway/server/served.h"

namespace entente {
namespace {

using namespace std::chrono_literals;
using test::HttpClient;
using testing::FeedClient;
using testing::member;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// One datacenter over SQLite, as clients see it. The first one has the tables `carts` (id, item,
// n), `notes` (id, text) and `audit` (id, what), which is not replicated.
class Gateway {
 public:
  using Adjust = std::function<void(Limits&)>;

  Gateway(
      std::filesystem::path folder, uint8_t number, Adjust adjust = [](Limits&) {})
      : file_(folder / (std::to_string(number) + ".db")), number_(number), adjust_(adjust) {
    start();
    if (number != 1) return;
    sql("CREATE TABLE carts (id INTEGER PRIMARY KEY, item TEXT, n INTEGER)");
    sql("CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT)");
    sql("CREATE TABLE audit (id INTEGER PRIMARY KEY, what TEXT)");
  }

  void start() { served_.emplace(open(), adjust_); }
  void stop() { served_.reset(); }
  std::unique_ptr<Database> open() const {
    DatabaseOptions options;
    options.dc = "dc" + std::to_string(number_);
    options.fresh_origin.id.fill(number_);
    options.rules.tables["audit"].replicate = false;
    options.rules.tables["notes"].old_values = true;
    options.key_slot = number_;
    options.schema_leader = number_ == 1;
    options.schema_leader_name = "dc1";
    options.wall_ms = 1'700'000'000'000;
    return std::move(*open_sqlite(file_, options));
  }

  std::string sql(const std::string& statement) { return testing::sql(port(), statement); }
  // Writes a row; its dot.
  std::string put(int id, const std::string& item) {
    HttpClient client(port());
    const auto reply = client.ask("PUT", "/v1/tables/carts/rows/" + std::to_string(id),
                                  R"({"row":{"item":")" + item + R"("}})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    return member(reply.body, "dot");
  }
  // Everything that is in the log here and not there.
  void ship_to(Gateway& there) {
    auto chunks = served_->store().database().read_log(0, SIZE_MAX);
    ASSERT_TRUE(chunks);
    std::vector<Run> runs;
    for (auto& chunk : *chunks) runs.push_back(std::move(chunk.run));
    std::promise<bool> done;
    there.served_->store().apply(
        runs, [&](Result<std::vector<LogChunk>> r) { done.set_value(r.has_value()); });
    ASSERT_TRUE(done.get_future().get());
  }
  int port() const { return served_->port(); }
  test::Served& served() { return *served_; }

 private:
  const std::filesystem::path file_;
  const uint8_t number_;
  const Adjust adjust_;
  std::optional<test::Served> served_;
};

class ChangesApi : public ::testing::Test {
 protected:
  // All that `feed` says until it ends.
  static std::vector<std::string> lines(FeedClient& feed) {
    std::vector<std::string> all;
    while (auto line = feed.line()) all.push_back(std::move(*line));
    EXPECT_TRUE(feed.whole());
    return all;
  }
  static std::vector<std::string> everything(const Gateway& gateway, const std::string& query) {
    FeedClient feed(gateway.port(), "?until=now" + query);
    EXPECT_EQ(feed.status(), 200) << feed.head();
    return lines(feed);
  }
  // Where the log ends now.
  static std::string now(const Gateway& gateway) {
    return member(everything(gateway, "").back(), "cursor");
  }
  static std::vector<std::string> dots(const std::vector<std::string>& lines) {
    std::vector<std::string> all;
    for (const auto& line : lines) {
      if (const auto dot = member(line, "dot"); !dot.empty()) all.push_back(dot);
    }
    return all;
  }

  testing::TemporaryFolder folder_;
  Gateway a_{folder_.path(), 1};
};

// ---- What a line says --------------------------------------------------------------------------

TEST_F(ChangesApi, ATransactionIsOneLineWithItsOriginAndItsValues) {
  FeedClient feed(a_.port(), "");
  ASSERT_EQ(feed.status(), 200);
  EXPECT_TRUE(contains(feed.head(), "Content-Type: application/x-ndjson")) << feed.head();
  const auto first = feed.line();
  ASSERT_TRUE(first);
  EXPECT_TRUE(contains(*first, R"("heartbeat":true)")) << *first;
  a_.sql("INSERT INTO carts VALUES (7, 'lamp', 9007199254740993)");
  const auto insert = feed.transaction();
  ASSERT_TRUE(insert);
  EXPECT_TRUE(contains(*insert, R"("changes":[{"table":"carts","key":{"id":7},"op":"insert",)"
                                R"("new":{"item":"lamp","n":9007199254740993}}]})"))
      << *insert;
  EXPECT_EQ(member(*insert, "dc"), "dc1");
  EXPECT_EQ(member(*insert, "origin"), "01010101010101010101010101010101");
  EXPECT_EQ(member(*insert, "dot").substr(0, 32), member(*insert, "origin"));
  const uint64_t ms = std::stoull(member(*insert, "hlc"));
  EXPECT_EQ(member(*insert, "time"), iso_time(ms));
}

TEST_F(ChangesApi, AnUpdateTellsTheColumnsThatItWroteAndADeleteItsKey) {
  a_.sql("INSERT INTO carts VALUES (7, 'lamp', 1), (8, 'desk', 1)");
  const std::string cursor = now(a_);
  a_.sql("UPDATE carts SET n = 2 WHERE id = 7");
  a_.sql("DELETE FROM carts WHERE id = 8");
  const auto all = everything(a_, "&since=" + cursor);
  ASSERT_EQ(dots(all).size(), 2u);
  EXPECT_TRUE(contains(all[1], R"("key":{"id":7},"op":"update","new":{"n":2})")) << all[1];
  EXPECT_TRUE(contains(all[2], R"("key":{"id":8},"op":"delete")")) << all[2];
}

TEST_F(ChangesApi, WhereTheFileSaysSoTheOldValuesAreTold) {
  a_.sql("INSERT INTO notes VALUES ('n', 'x')");
  const std::string cursor = now(a_);
  a_.sql("UPDATE notes SET text = 'y'");
  a_.sql("DELETE FROM notes");
  const auto all = everything(a_, "&since=" + cursor);
  ASSERT_EQ(dots(all).size(), 2u);
  EXPECT_TRUE(contains(all[1], R"("op":"update","new":{"text":"y"},"old":{"text":"x"})")) << all[1];
  EXPECT_TRUE(contains(all[2], R"("op":"delete","old":{"text":"y"})")) << all[2];
}

TEST_F(ChangesApi, ValuesAreSpelledAsTheRowApiSpellsThem) {
  const std::string cursor = now(a_);
  a_.sql("INSERT INTO carts VALUES (9007199254740993, x'00ff', NULL)");
  const auto all = everything(a_, "&integers=text&since=" + cursor);
  EXPECT_TRUE(contains(all[1], R"("key":{"id":"9007199254740993"})")) << all[1];
  EXPECT_TRUE(contains(all[1], R"("new":{"item":{"base64":"AP8="},"n":null})")) << all[1];
}

// P5
TEST_F(ChangesApi, TheRowsOfATransactionComeTogether) {
  const std::string cursor = now(a_);
  HttpClient client(static_cast<uint16_t>(a_.port()));
  ASSERT_EQ(client
                .ask("POST", "/v1/transactions",
                     R"({"writes":[{"op":"put","table":"carts","key":1,"row":{"n":1}},)"
                     R"({"op":"put","table":"notes","key":"x","row":{"text":"y"}}]})")
                .status,
            200);
  const auto all = everything(a_, "&since=" + cursor);
  ASSERT_EQ(dots(all).size(), 1u);
  EXPECT_TRUE(contains(all[1], R"("table":"carts")") && contains(all[1], R"("table":"notes")"));
}

TEST_F(ChangesApi, ASchemaChangeIsToldWithItsSql) {
  const std::string cursor = now(a_);
  a_.sql("CREATE TABLE late (id INTEGER PRIMARY KEY)");
  const auto all = everything(a_, "&since=" + cursor);
  ASSERT_EQ(dots(all).size(), 1u);
  EXPECT_TRUE(contains(all[1], R"("changes":[],"schema":[{"epoch":)")) << all[1];
  EXPECT_TRUE(contains(all[1], R"_("sql":["CREATE TABLE late (id INTEGER PRIMARY KEY)"])_"))
      << all[1];
  EXPECT_TRUE(contains(all[1], R"("tables":["late"])")) << all[1];
}

TEST_F(ChangesApi, WhatIsNotReplicatedAndWhatChangedNothingIsNotTold) {
  const std::string cursor = now(a_);
  a_.sql("INSERT INTO audit VALUES (1, 'secret')");
  a_.sql("UPDATE carts SET n = 5 WHERE id = 99");
  EXPECT_TRUE(dots(everything(a_, "&since=" + cursor)).empty());
  const auto all = everything(a_, "&since=beginning");
  for (const auto& line : all) EXPECT_FALSE(contains(line, "secret")) << line;
  EXPECT_EQ(dots(all).size(), 3u);  // the three tables; not the declaration of the datacenter
}

// ---- Where it begins and ends ------------------------------------------------------------------

TEST_F(ChangesApi, WithoutACursorItBeginsNow) {
  a_.put(1, "before");
  FeedClient feed(a_.port(), "");
  const auto first = feed.line();
  const auto dot = a_.put(2, "after");
  EXPECT_EQ(member(*feed.transaction(), "dot"), dot);
  FeedClient again(a_.port(), "?until=now&since=" + member(*first, "cursor"));
  EXPECT_EQ(dots(lines(again)), std::vector{dot});
}

TEST_F(ChangesApi, FromTheCursorOfEachLineTheRestFollows) {
  for (int i = 0; i < 20; ++i) a_.put(i % 3, std::to_string(i));
  const auto all = everything(a_, "&since=beginning");
  const auto told = dots(all);
  ASSERT_EQ(told.size(), 23u);
  EXPECT_EQ(std::set<std::string>(told.begin(), told.end()).size(), told.size());
  for (size_t i = 0; i < all.size(); ++i) {
    const auto rest = dots(everything(a_, "&since=" + member(all[i], "cursor")));
    EXPECT_EQ(rest, std::vector<std::string>(told.begin() + static_cast<long>(i), told.end()));
  }
}

TEST_F(ChangesApi, ItGoesOnAfterARestart) {
  const auto before = a_.put(1, "x");
  const std::string cursor = now(a_);
  const auto missed = a_.put(2, "y");
  a_.stop();
  a_.start();
  const auto after = a_.put(3, "z");
  EXPECT_EQ(dots(everything(a_, "&since=" + cursor)), (std::vector{missed, after}));
}

TEST_F(ChangesApi, ALimitAndNowEndIt) {
  for (int i = 0; i < 5; ++i) a_.put(i, "x");
  FeedClient page(a_.port(), "?since=beginning&limit=4");
  const auto some = lines(page);
  EXPECT_EQ(dots(some).size(), 4u);
  const auto rest = everything(a_, "&since=" + member(some.back(), "cursor"));
  EXPECT_EQ(dots(rest).size(), 4u);
}

TEST_F(ChangesApi, HttpOneZeroGetsItUntilTheConnectionCloses) {
  a_.put(1, "x");
  FeedClient feed(a_.port(), "?since=beginning&until=now", "", "1.0");
  EXPECT_FALSE(contains(feed.head(), "Transfer-Encoding")) << feed.head();
  EXPECT_TRUE(contains(feed.head(), "Connection: close")) << feed.head();
  std::vector<std::string> all;
  while (auto line = feed.line()) all.push_back(*line);
  EXPECT_EQ(dots(all).size(), 4u);
}

TEST_F(ChangesApi, TheConnectionServesOnAfterwards) {
  HttpClient client(static_cast<uint16_t>(a_.port()));
  client.send(
      "GET /v1/changes?until=now HTTP/1.1\r\n\r\nHEAD /v1/changes HTTP/1.1\r\n\r\n"
      "GET /livez HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(contains(client.receive().head, "Transfer-Encoding: chunked"));
  const auto rest = client.receive();  // the body, and HEAD's answer behind it
  EXPECT_TRUE(contains(rest.head, "\"heartbeat\":true}\n\r\n0\r\n\r\n")) << rest.head;
  EXPECT_TRUE(contains(client.receive(true).head, "Content-Type: application/x-ndjson"));
  EXPECT_EQ(client.receive().status, 200);
}

TEST_F(ChangesApi, WhatIsNoCursorIsRefused) {
  for (const std::string query : {"?since=x", "?since=", "?until=then", "?limit=0", "?limit=x",
                                  "?since=AAAA", "?since=%zz"}) {
    FeedClient feed(a_.port(), query);
    EXPECT_EQ(feed.status(), 400) << query;
  }
  EXPECT_EQ(FeedClient(a_.port(), "?since=beginning", "Last-Event-ID: x\r\n").status(), 400);
  const auto session = session_token(VersionVector{});
  EXPECT_EQ(FeedClient(a_.port(), "?since=" + session).status(), 400);
}

// ---- Past the log's end ------------------------------------------------------------------------

class TrimmedFeed : public ChangesApi {
 protected:
  // Forgets all that is in the log.
  void trim() {
    a_.stop();
    const auto database = a_.open();
    VersionVector all;
    for (const auto& [origin, stream] : database->state().streams) all.set(origin, stream.seq);
    ASSERT_TRUE(database->trim_log(all, {}));
  }
};

TEST_F(TrimmedFeed, ACursorThatTheLogNoLongerReachesIsGone) {
  a_.put(1, "x");
  const std::string early = now(a_);
  a_.put(2, "y");
  const std::string late = now(a_);
  trim();
  a_.start();
  for (const auto& since : {early, std::string("beginning")}) {
    FeedClient feed(a_.port(), "?since=" + since);
    EXPECT_EQ(feed.status(), 410) << feed.head();
    EXPECT_TRUE(contains(feed.head(), "problem+json"));
  }
  const auto dot = a_.put(3, "z");
  EXPECT_EQ(dots(everything(a_, "&since=" + late)), std::vector{dot});
}

// ---- At another gateway ------------------------------------------------------------------------

class TwoGateways : public ChangesApi {
 protected:
  TwoGateways() { a_.ship_to(b_); }
  Gateway b_{folder_.path(), 2};
};

TEST_F(TwoGateways, ACursorFindsExactlyTheRestAtTheOther) {
  std::set<std::string> written;
  // The logs hold the same in other orders.
  for (int i = 0; i < 6; ++i) {
    written.insert(a_.put(1, "a" + std::to_string(i)));
    written.insert(b_.put(2, "b" + std::to_string(i)));
    if (i % 2 == 1) a_.ship_to(b_);
    if (i % 3 == 2) b_.ship_to(a_);
  }
  a_.ship_to(b_);
  b_.ship_to(a_);
  for (const auto* first : {&a_, &b_}) {
    const Gateway& second = first == &a_ ? b_ : a_;
    const auto all = everything(*first, "&since=beginning");
    for (size_t i = 0; i < all.size(); ++i) {
      auto had = dots({all.begin(), all.begin() + static_cast<long>(i) + 1});
      const auto rest = dots(everything(second, "&since=" + member(all[i], "cursor")));
      had.insert(had.end(), rest.begin(), rest.end());
      const std::set<std::string> once(had.begin(), had.end());
      EXPECT_EQ(once.size(), had.size()) << i;
      EXPECT_EQ(once.size(), written.size() + 3) << i;
    }
  }
}

TEST_F(TwoGateways, TheLineOfATransactionIsTheSameThere) {
  const std::string cursor = now(a_);
  a_.sql("INSERT INTO carts VALUES (7, 'lamp', 1)");
  a_.ship_to(b_);
  const auto after_cursor = [](const std::string& line) {
    return line.substr(line.find("\"dot\""));
  };
  const auto here = everything(a_, "&since=" + cursor), there = everything(b_, "&since=" + cursor);
  ASSERT_TRUE(here.size() == 2 && there.size() >= 2);
  EXPECT_EQ(after_cursor(here[1]), after_cursor(there[1]));
  EXPECT_EQ(member(there[1], "dc"), "dc1");
}

TEST_F(TwoGateways, AGatewayThatIsBehindTheCursorSkipsWhatTheReaderHasHad) {
  const auto had = a_.put(1, "x");
  const std::string cursor = now(a_);
  FeedClient feed(b_.port(), "?since=" + cursor);
  ASSERT_EQ(feed.status(), 200);
  ASSERT_TRUE(feed.line());
  const auto own = b_.put(2, "y");
  EXPECT_EQ(member(*feed.transaction(), "dot"), own);
  const auto next = a_.put(3, "z");
  a_.ship_to(b_);
  EXPECT_EQ(member(*feed.transaction(), "dot"), next);
}

TEST_F(TwoGateways, AnOriginThatWasNotKnownWhenTheFeedBeganHasItsName) {
  FeedClient feed(a_.port(), "");
  ASSERT_TRUE(feed.line());
  b_.put(1, "x");
  b_.ship_to(a_);
  EXPECT_EQ(member(*feed.transaction(), "dc"), "dc2");
}

// ---- Tables ------------------------------------------------------------------------------------

TEST_F(ChangesApi, OfSomeTablesOnlyTheirChangesAreToldAndTheCursorMovesOn) {
  const std::string cursor = now(a_);
  a_.sql("INSERT INTO notes VALUES ('n', 'x')");
  HttpClient client(static_cast<uint16_t>(a_.port()));
  client.ask("POST", "/v1/transactions",
             R"({"writes":[{"op":"put","table":"carts","key":1,"row":{"n":1}},)"
             R"({"op":"put","table":"notes","key":"x","row":{"text":"y"}}]})");
  a_.sql("INSERT INTO notes VALUES ('m', 'x')");
  const auto all = everything(a_, "&table=carts,late&since=" + cursor);
  ASSERT_EQ(dots(all).size(), 1u);
  EXPECT_TRUE(contains(all[1], R"("table":"carts")") && !contains(all[1], "notes")) << all[1];
  EXPECT_EQ(member(all.back(), "cursor"), now(a_));
  EXPECT_TRUE(contains(all.back(), "heartbeat"));
  const auto schema = everything(a_, "&since=beginning&table=notes");
  EXPECT_TRUE(contains(schema[1], "CREATE TABLE notes")) << schema[1];
}

// ---- Events ------------------------------------------------------------------------------------

TEST_F(ChangesApi, AsEventsItGoesOnAfterTheLastOne) {
  const std::string accept = "Accept: text/event-stream\r\n";
  FeedClient feed(a_.port(), "", accept);
  EXPECT_TRUE(contains(feed.head(), "Content-Type: text/event-stream")) << feed.head();
  EXPECT_EQ(feed.line(), "event: heartbeat");
  ASSERT_TRUE(feed.line() && feed.line() && feed.line());
  a_.put(1, "x");
  EXPECT_EQ(feed.line(), "event: transaction");
  const auto id = *feed.line(), data = *feed.line();
  EXPECT_EQ(feed.line(), "");
  ASSERT_TRUE(contains(id, "id: ") && contains(data, "data: {"));
  EXPECT_EQ(id.substr(4), member(data, "cursor"));
  const auto next = a_.put(2, "y");
  FeedClient again(a_.port(), "?since=beginning&until=now",
                   accept + "Last-Event-ID: " + id.substr(4) + "\r\n");
  std::vector<std::string> told = dots(lines(again));
  EXPECT_EQ(told, std::vector{next});
}

// ---- Silence, slow readers, limits, the end ----------------------------------------------------

TEST(Changes, ASilentFeedSaysWhereItStands) {
  testing::TemporaryFolder folder;
  Gateway a(folder.path(), 1, [](Limits& l) { l.changes_heartbeat = 10ms; });
  FeedClient feed(a.port(), "?table=carts");
  const auto first = feed.line(), second = feed.line();
  EXPECT_EQ(first, second);
  EXPECT_TRUE(contains(*second, R"("heartbeat":true)"));
  a.sql("INSERT INTO notes VALUES ('x', 'y')");
  std::string cursor;
  while ((cursor = member(*feed.line(), "cursor")) == member(*first, "cursor")) {
  }
  FeedClient rest(a.port(), "?until=now&since=" + cursor);
  rest.line();
  EXPECT_FALSE(rest.transaction());
}

TEST(Changes, AReaderThatDoesNotReadHoldsUpNobodyAndMissesNothing) {
  testing::TemporaryFolder folder;
  Gateway a(folder.path(), 1);
  FeedClient slow(a.port(), "", "", "1.1", 4096);
  FeedClient quick(a.port(), "");
  const std::string text(100'000, 'x');
  std::vector<std::string> written;
  for (int i = 0; i < 100; ++i) written.push_back(a.put(i, text));
  for (const auto& dot : written) EXPECT_EQ(member(*quick.transaction(), "dot"), dot);
  for (const auto& dot : written) EXPECT_EQ(member(*slow.transaction(), "dot"), dot);
}

TEST(Changes, AReaderThatTheLogDoesNotWaitForIsToldSo) {
  testing::TemporaryFolder folder;
  Gateway a(folder.path(), 1);
  FeedClient slow(a.port(), "", "", "1.1", 4096);
  for (int i = 0; i < 60; ++i) a.put(i, std::string(200'000, 'x'));
  auto& store = a.served().store();
  store.trim_log(store.applied(), {});
  while (!store.database().read_log(0, 1)->empty()) std::this_thread::yield();
  std::string last;
  while (const auto line = slow.line()) last = *line;
  EXPECT_TRUE(slow.whole());
  EXPECT_TRUE(contains(last, R"({"problem":{)") && contains(last, "cursor_expired")) << last;
}

TEST(Changes, ALargeTransactionIsOneLineInSmallPieces) {
  testing::TemporaryFolder folder;
  Gateway a(folder.path(), 1);
  FeedClient feed(a.port(), "");
  a.sql(
      "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000) "
      "INSERT INTO carts SELECT i, 'item', i FROM c");
  const auto line = feed.transaction();
  ASSERT_TRUE(line);
  size_t rows = 0;
  for (size_t at = 0; (at = line->find("\"op\":\"insert\"", at)) != std::string::npos; ++at) ++rows;
  EXPECT_EQ(rows, 100'000u);
  EXPECT_LT(feed.longest_piece(), 128u << 10);
}

TEST(Changes, FeedsPastTheLimitAreRefusedUntilOneIsGone) {
  testing::TemporaryFolder folder;
  Gateway a(folder.path(), 1, [](Limits& l) { l.changes_feeds = 1; });
  {
    FeedClient feed(a.port(), "");
    ASSERT_TRUE(feed.line());
    EXPECT_EQ(FeedClient(a.port(), "").status(), 503);
  }
  while (FeedClient(a.port(), "").status() == 503) {
  }
}

TEST(Changes, AStopEndsFeedsWhoseReadersReadAndCutsTheOthers) {
  testing::TemporaryFolder folder;
  Gateway a(folder.path(), 1);
  FeedClient idle(a.port(), ""), stuck(a.port(), "", "", "1.1", 4096);
  ASSERT_TRUE(idle.line() && stuck.line());
  for (int i = 0; i < 60; ++i) a.put(i, std::string(200'000, 'x'));
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(idle.transaction());
  const auto began = std::chrono::steady_clock::now();
  a.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  EXPECT_FALSE(idle.line());
  EXPECT_TRUE(idle.whole());
  while (stuck.line()) {
  }
  EXPECT_FALSE(stuck.whole());
}

}  // namespace
}  // namespace entente
