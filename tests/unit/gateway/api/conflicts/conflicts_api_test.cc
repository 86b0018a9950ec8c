#include <gtest/gtest.h>

#include "conflict/context.h"
#include "gateway/server/client_server.h"
#include "tests/unit/gateway/server/http_client.h"
#include "tests/unit/gateway/server/served.h"

namespace entente {
namespace {

using test::FakeDatabase;
using test::HttpClient;
using test::Served;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

RowVersion version(uint64_t seq, std::optional<Row> row) {
  return {{Hlc::at(1000 * seq), {FakeDatabase::self(), seq}}, "here", std::move(row)};
}

std::string dot(uint64_t seq) { return to_string(Dot{FakeDatabase::self(), seq}); }

// 3: open, of the whole row. 7: decided, of column v. 9: decided, of the whole row; the loser
// erased it.
std::vector<ConflictEntry> some_conflicts() {
  ConflictEntry open;
  open.id = 3;
  open.table = "t";
  open.key = *canonical_key(FakeDatabase::definitions()[0], std::vector<Value>{int64_t{1}});
  open.policy = PolicyKind::kSiblings;
  open.open = true;
  open.kind = "update-update";
  open.winner = version(2, Row{{"v", std::string("second")}});
  open.losers = {version(1, Row{{"v", std::string("first")}})};
  open.detected_ms = 1'700'000'000'123;
  open.note = "the handler failed";
  ConflictEntry column = open;
  column.id = 7;
  column.group = "v";
  column.open = false;
  column.policy = PolicyKind::kMerge;
  column.decided_by = "merge: text";
  column.note = "";
  ConflictEntry erased = column;
  erased.id = 9;
  erased.group = "";
  erased.losers = {version(1, std::nullopt)};
  return {open, column, erased};
}

class ConflictsApi : public testing::Test {
 protected:
  ConflictsApi() { served_.database().conflict_log = some_conflicts(); }

  HttpClient::Reply resolve(const std::string& id, const std::string& body) {
    return client_.ask("POST", "/v1/conflicts/" + id + "/resolve", body);
  }
  // What was written for the last choice, which must have been taken.
  RowRequest written(const std::string& id, const std::string& body) {
    const auto reply = resolve(id, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_TRUE(contains(reply.body, R"("context":")")) << reply.body;
    const auto write = served_.database().last_write();
    EXPECT_TRUE(write && write->resolution && write->table == "t");
    return write.value_or(RowRequest{});
  }

  Served served_;
  HttpClient client_{served_.port()};
};

TEST_F(ConflictsApi, AnEntryIsListedWithWhoDecidedAndWhere) {
  const auto list = client_.ask("GET", "/v1/conflicts");
  ASSERT_EQ(list.status, 200) << list.body;
  for (const std::string_view part :
       {R"("id":3)", R"("state":"open")", R"("decided_by":"","note":"the handler failed")",
        R"("decided_by":"merge: text","note":"")", R"("detected_in":"here")",
        R"("detected_at":"2023-11-14T22:13:20.123Z")"}) {
    EXPECT_TRUE(contains(list.body, part)) << part << " in " << list.body;
  }
}

TEST_F(ConflictsApi, OneEntryIsFoundByItsIdAndOnlyThat) {
  const auto one = client_.ask("GET", "/v1/conflicts/7");
  ASSERT_EQ(one.status, 200) << one.body;
  EXPECT_TRUE(contains(one.body, R"("id":7)")) << one.body;
  EXPECT_TRUE(contains(one.body, R"("v":"first")")) << one.body;
  for (const std::string id : {"1", "4", "10", "0", "18446744073709551615"}) {
    const auto none = client_.ask("GET", "/v1/conflicts/" + id);
    EXPECT_EQ(none.status, 404) << id;
    EXPECT_TRUE(contains(none.body, "no_such_conflict")) << none.body;
  }
  for (const std::string id : {"x", "-1", "7x", "99999999999999999999"}) {
    EXPECT_EQ(client_.ask("GET", "/v1/conflicts/" + id).status, 400) << id;
  }
}

TEST_F(ConflictsApi, PickingAValueOfAnOpenOneTakesThatSibling) {
  const auto write = written("3", R"({"pick":")" + dot(1) + R"("})");
  EXPECT_EQ(write.kind, RowRequest::Kind::kPut);
  EXPECT_EQ(write.pick, (Dot{FakeDatabase::self(), 1}));
  ASSERT_TRUE(write.context);
  EXPECT_TRUE(write.context->covers({FakeDatabase::self(), 1}));
}

TEST_F(ConflictsApi, ARowForAnOpenOneIsWrittenOverAllThatIsHere) {
  const auto write = written("3", R"({"row":{"v":"both"}})");
  EXPECT_EQ(write.kind, RowRequest::Kind::kPut);
  EXPECT_FALSE(write.pick);
  EXPECT_EQ(write.columns, (Row{{"v", std::string("both")}}));
  const auto get = client_.ask("GET", "/v1/tables/t/rows/1");
  EXPECT_TRUE(contains(get.body, R"("v":"both")")) << get.body;
}

TEST_F(ConflictsApi, DeletingIsAChoiceToo) {
  EXPECT_EQ(written("3", R"({"delete":true})").kind, RowRequest::Kind::kErase);
}

TEST_F(ConflictsApi, AContextSaysWhatWasDecidedAbout) {
  RowContext seen;
  seen.seen.advance(FakeDatabase::self(), 1);
  seen.add({FakeDatabase::self(), 1});
  const auto write = written("3", R"({"row":{"v":1},"context":")" + context_token(seen) + R"("})");
  ASSERT_TRUE(write.context);
  EXPECT_EQ(context_token(*write.context), context_token(seen));
}

TEST_F(ConflictsApi, ADecidedOneIsDecidedAgainByWritingTheLosersValue) {
  ASSERT_EQ(client_.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{"v":"second"}})").status, 200);
  const auto write = written("7", R"({"pick":")" + dot(1) + R"("})");
  EXPECT_EQ(write.kind, RowRequest::Kind::kPatch);
  EXPECT_FALSE(write.pick);
  EXPECT_EQ(write.columns, (Row{{"v", std::string("first")}}));
  ASSERT_TRUE(write.context);
  EXPECT_TRUE(write.context->covers({FakeDatabase::self(), 2}));
}

TEST_F(ConflictsApi, PickingADeletionOfADecidedOneDeletes) {
  EXPECT_EQ(written("9", R"({"pick":")" + dot(1) + R"("})").kind, RowRequest::Kind::kErase);
  const auto put = written("9", R"({"pick":")" + dot(2) + R"("})");
  EXPECT_EQ(put.kind, RowRequest::Kind::kPut);
  EXPECT_EQ(put.columns, (Row{{"v", std::string("second")}}));
}

TEST_F(ConflictsApi, AColumnThatAValueDoesNotNameStaysAsItIs) {
  ASSERT_EQ(client_.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{"v":0,"w":5}})").status, 200);
  const auto put = written("9", R"({"pick":")" + dot(2) + R"("})");
  EXPECT_EQ(put.columns.at("v"), Value(std::string("second")));
  EXPECT_EQ(put.columns.at("w"), Value(int64_t{5}));
}

TEST_F(ConflictsApi, ChoicesThatAreNoneChangeNothing) {
  for (const std::string body :
       {"", "{}", "[]", R"({"pick":7})", R"({"pick":"x"})", R"({"row":7})", R"({"delete":false})",
        R"({"row":{},"delete":true})", R"({"picks":"x"})", R"({"row":{"v":true}})",
        R"({"row":{"v":1},"context":"nonsense"})"}) {
    EXPECT_EQ(resolve("3", body).status, 400) << body;
  }
  const auto unknown = resolve("7", R"({"pick":")" + dot(99) + R"("})");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_TRUE(contains(unknown.body, "unknown_dot")) << unknown.body;
  EXPECT_EQ(resolve("4", R"({"delete":true})").status, 404);
  EXPECT_FALSE(served_.database().last_write());
}

}  // namespace
}  // namespace entente
