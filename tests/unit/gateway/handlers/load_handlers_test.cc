#include "gateway/handlers/load_handlers.h"

#include <gtest/gtest.h>

#include "conflict/handler.h"
#include "tests/unit/gateway/handlers/support.h"

namespace entente {
namespace {

using testing::two_bids;

class LoadHandlers : public ::testing::Test {
 protected:
  HandlerSource& source(const std::string& name, const std::string& file) {
    auto& out = rules_.handlers[name];
    out.kind = file.ends_with(".lua") ? HandlerSource::Kind::kLua : HandlerSource::Kind::kPlugin;
    if (out.kind == HandlerSource::Kind::kPlugin) out.memory = 256 << 20;
    out.path = (folder_.path() / file).string();
    return out;
  }
  Policy handled_by(const std::string& name) {
    Policy policy;
    policy.kind = PolicyKind::kHandler;
    policy.handler = name;
    return policy;
  }
  std::vector<std::string> problems() {
    std::vector<std::string> out;
    for (const auto& problem : load_handlers(rules_, testing::host_program())) {
      out.push_back(problem.handler + " | " + problem.text);
    }
    return out;
  }
  std::string in_folder(const std::string& rest) { return folder_.path().string() + "/" + rest; }

  testing::TemporaryFolder folder_;
  ConflictRules rules_;
};

TEST_F(LoadHandlers, PutsOneHandlerIntoEveryPolicyThatNamesIt) {
  testing::write(folder_.path() / "a.lua", "function resolve(c) return {pick = 2} end");
  source("a", "a.lua");
  rules_.defaults.policy = handled_by("a");
  rules_.tables["t"].columns["c"] = handled_by("a");
  rules_.tables["t"].groups["g"].policy = handled_by("a");
  EXPECT_EQ(problems(), std::vector<std::string>{});
  const auto handler = rules_.defaults.policy.run_this;
  ASSERT_TRUE(handler);
  EXPECT_EQ(rules_.tables["t"].columns["c"].run_this, handler);
  EXPECT_EQ(rules_.tables["t"].groups["g"].policy.run_this, handler);
  EXPECT_FALSE(rules_.tables["t"].policy.run_this);
  EXPECT_EQ(handler->decide(two_bids().view())->pick, 1u);
}

TEST_F(LoadHandlers, LoadsPluginsBothWays) {
  const auto path =
      testing::compile(testing::kSource / "conf/handlers/highest_bid.c", folder_.path());
  source("isolated", path.filename());
  source("trusted", path.filename()).trusted = true;
  rules_.tables["a"].policy = handled_by("isolated");
  rules_.tables["b"].policy = handled_by("trusted");
  EXPECT_EQ(problems(), std::vector<std::string>{});
  for (const char* table : {"a", "b"}) {
    EXPECT_EQ(rules_.tables[table].policy.run_this->decide(two_bids().view())->pick, 1u);
  }
}

TEST_F(LoadHandlers, SaysWhatIsWrongWithEachAtOnce) {
  testing::write(folder_.path() / "syntax.lua", "function resolve(c)\n  return {\nend");
  testing::write(folder_.path() / "text.so", "text");
  source("missing", "missing.lua");
  source("syntax", "syntax.lua");
  source("text", "text.so").sha256 = std::string(64, 'a');
  rules_.defaults.policy = handled_by("nobody");
  const auto got = problems();
  ASSERT_EQ(got.size(), 4u);
  EXPECT_EQ(got[0], "missing | " + in_folder("missing.lua: No such file or directory"));
  EXPECT_TRUE(got[1].starts_with("syntax | " + in_folder("syntax.lua:3: "))) << got[1];
  EXPECT_TRUE(got[2].starts_with("text | " + in_folder("text.so: its sha256 is "))) << got[2];
  EXPECT_EQ(got[3], "nobody | `nobody` is not defined under `handlers`");
}

TEST_F(LoadHandlers, BudgetsReachTheScript) {
  testing::write(folder_.path() / "a.lua", "function resolve(c) while true do end end");
  source("a", "a.lua").instructions = 5000;
  rules_.defaults.policy = handled_by("a");
  EXPECT_EQ(problems(), std::vector<std::string>{});
  EXPECT_EQ(testing::failure(rules_.defaults.policy.run_this->decide(two_bids().view())),
            "budget " + in_folder("a.lua: it used up its budget of 5000 instructions"));
}

}  // namespace
}  // namespace entente
