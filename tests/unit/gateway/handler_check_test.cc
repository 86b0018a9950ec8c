#include "gateway/commands/handler_check.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/gateway/handlers/support.h"

namespace entente {
namespace {

struct Checked {
  int code = 0;
  std::string out, err;
};

Checked check(const std::string& file, const std::string& columns = "",
              OutputFormat format = OutputFormat::kTable) {
  HandlerCheckOptions options;
  options.file = file;
  options.host = testing::host_program();
  options.runs = 300;
  if (!columns.empty()) options.columns = columns;
  std::ostringstream out, err;
  const int code = handler_check(options, format, out, err);
  return {code, out.str(), err.str()};
}

class HandlerCheck : public ::testing::Test {
 protected:
  std::string script(const std::string& body) {
    return testing::write(folder_.path() / "h.lua", "function resolve(c) " + body + " end")
        .string();
  }
  nlohmann::json first_broken(const std::string& file, const std::string& columns = "") {
    const auto checked = check(file, columns, OutputFormat::kJson);
    EXPECT_EQ(checked.code, 1) << checked.out;
    const auto json = nlohmann::json::parse(checked.out);
    EXPECT_FALSE(json["fine"]);
    return json["broken"][0];
  }
  testing::TemporaryFolder folder_;
};

TEST_F(HandlerCheck, EveryExampleIsFine) {
  const auto conf = testing::kSource / "conf/handlers";
  const std::vector<std::pair<std::string, std::string>> examples{
      {conf / "highest_bid.lua", "bid:integer,bidder:text"},
      {conf / "highest_bid.lua", "bid:any"},
      {conf / "sum_of_three.lua", "amount:integer,who:text"},
      {conf / "cart_union.lua", "items:array,note:text"},
      {conf / "text_merge.lua", "body:text,title:text"},
      {conf / "text_merge.lua", "body:any"},
      {testing::compile(conf / "highest_bid.c", folder_.path()), "bid:integer,bidder:text"},
      {testing::compile(conf / "highest_bid.cc", folder_.path()), "bid:any,bidder:text"}};
  for (const auto& [file, columns] : examples) {
    const auto checked = check(file, columns);
    EXPECT_EQ(checked.code, 0) << file << ": " << checked.out << checked.err;
    EXPECT_TRUE(checked.out.starts_with(file + " is fine: 300 conflicts")) << checked.out;
  }
}

TEST_F(HandlerCheck, PrintsTheConflictOnWhichItFails) {
  const auto broken = first_broken(script("return {row = {nowhere = 1}}"));
  EXPECT_EQ(broken["law"], "answers");
  EXPECT_EQ(broken["answer"]["failed"], "its answer is wrong: no sibling has a column nowhere");
  EXPECT_GE(broken["conflict"]["siblings"].size(), 2u);
}

TEST_F(HandlerCheck, FindsAMistakeThatOnlyNullShows) {
  const auto file = script(
      "local sum = 0 for _, s in ipairs(c.siblings) do if s.row then sum = sum + s.row.n end end "
      "return {row = {n = 1}}");
  const auto broken = first_broken(file, "n:integer");
  EXPECT_EQ(broken["law"], "answers");
  EXPECT_NE(broken["answer"]["failed"].get<std::string>().find("arithmetic on a userdata value"),
            std::string::npos);
}

TEST_F(HandlerCheck, FindsStateBetweenCalls) {
  const auto path =
      testing::plugin(folder_, "static int n; host->pick(host->call, n++ % 2); return 0;");
  const auto broken = first_broken(path, "a:integer");
  EXPECT_EQ(broken["law"], "same_twice");
  EXPECT_NE(broken["answer"], broken["other_answer"]);
}

TEST_F(HandlerCheck, FindsWhatDiffersFromProcessToProcess) {
  const auto path = testing::plugin(
      folder_, "host->pick(host->call, seen(conflict) % 2); return 0;",
      "static size_t seen(const entente_conflict* c) { static size_t n; static int64_t last = -99;"
      " if (c->key->values[0].integer != last) ++n; last = c->key->values[0].integer; return n; }");
  const auto checked = check(path, "a:integer,b:text", OutputFormat::kJson);
  EXPECT_EQ(checked.code, 1);
  EXPECT_NE(checked.out.find("same_afresh"), std::string::npos) << checked.out;
}

TEST_F(HandlerCheck, FindsBudgetsThatDoNotSuffice) {
  const auto broken = first_broken(script("while true do end"));
  EXPECT_NE(broken["answer"]["failed"].get<std::string>().find("1000000 instructions"),
            std::string::npos);
}

TEST_F(HandlerCheck, OrderOfSiblingsIsANote) {
  const auto checked = check(script("return {pick = 1}"), "a:integer");
  EXPECT_EQ(checked.code, 0);
  EXPECT_NE(
      checked.out.find("Note: it answers differently when the siblings come in another order"),
      std::string::npos);
  EXPECT_EQ(check(script("return {keep = true}")).out.find("Note"), std::string::npos);
}

TEST_F(HandlerCheck, DecliningEverythingIsNotFine) {
  const auto checked = check(script("error('no')"));
  EXPECT_EQ(checked.code, 1);
  EXPECT_NE(checked.out.find("declined all 300 conflicts: nothing was checked"), std::string::npos);
}

TEST_F(HandlerCheck, WhatCannotBeLoadedIsAUsageError) {
  EXPECT_EQ(check("nowhere.lua").code, 2);
  EXPECT_EQ(check("nowhere.lua").err, "entente: nowhere.lua: No such file or directory\n");
  EXPECT_EQ(check(script("return {")).code, 2);
  EXPECT_EQ(check(script("return {keep = true}"), "a:colour").code, 2);
}

}  // namespace
}  // namespace entente
