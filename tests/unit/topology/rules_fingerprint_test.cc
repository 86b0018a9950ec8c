#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "conflict/handler.h"
#include "topology/graph.h"

namespace entente {
namespace {

class NamedVersion : public Handler {
 public:
  explicit NamedVersion(std::string version) : version_(std::move(version)) {}
  Result<Decision> decide(const Conflict&) const override { return Decision{}; }
  const std::string& version() const override { return version_; }

 private:
  std::string version_;
};

Policy policy(PolicyKind kind) {
  Policy out;
  out.kind = kind;
  return out;
}

Policy merge(MergeKind kind) {
  Policy out = policy(PolicyKind::kMerge);
  out.merge = kind;
  return out;
}

Policy handler(std::string name) {
  Policy out = policy(PolicyKind::kHandler);
  out.handler = std::move(name);
  return out;
}

// Table `t` has a column `c` and a group `g` of its own, and what decides is a handler `h`.
Config shop() {
  Config config;
  config.rules.priorities = {{"paris", 0}, {"tokyo", 0}};
  TableRules t;
  t.policy = handler("h");
  t.columns["c"] = merge(MergeKind::kConcat);
  t.columns["d"] = merge(MergeKind::kText);
  t.groups["g"] = {{"x", "y"}, policy(PolicyKind::kPriority)};
  config.rules.tables["t"] = t;
  config.rules.handlers["h"].path = "/etc/h.lua";
  return config;
}

TEST(RulesFingerprint, DiffersWithEverythingThatMustAgree) {
  using Edit = std::function<void(ConflictRules&, TableRules&)>;
  const std::vector<Edit> edits{
      [](auto& r, auto&) { r.defaults.policy.kind = PolicyKind::kSiblings; },
      [](auto& r, auto&) { r.defaults.granularity = Granularity::kRow; },
      [](auto& r, auto&) { r.defaults.blind = Blind::kRequire; },
      [](auto& r, auto&) { r.defaults.delete_update = DeleteUpdate::kDeleteWins; },
      [](auto& r, auto&) { r.defaults.delete_update = DeleteUpdate::kUpdateWins; },
      [](auto& r, auto&) { r.defaults.unique = UniqueWins::kLast; },
      [](auto& r, auto&) { r.defaults.orphans = Orphans::kHide; },
      [](auto& r, auto&) { r.priorities["paris"] = 1; },
      [](auto& r, auto&) { r.tables["u"].replicate = false; },
      [](auto& r, auto&) { r.defaults.old_values = !r.defaults.old_values; },
      [](auto&, auto& t) { t.policy.run = RunWhen::kRead; },
      [](auto&, auto& t) { t.columns["c"].merge = MergeKind::kUnion; },
      [](auto&, auto& t) { t.columns["c"].separator = "+"; },
      [](auto&, auto& t) { t.columns["d"].markers = true; },
      [](auto&, auto& t) { t.columns["e"] = Policy{}; },
      [](auto&, auto& t) {
        t.groups["g"].columns = {"x", "z"};
      },
      [](auto&, auto& t) { t.groups["g"].policy.kind = PolicyKind::kLww; },
      [](auto&, auto& t) {
        t.groups["f"] = {{"p", "q"}, Policy{}};
      },
      [](auto& r, auto&) { r.handlers["h"].path = "/etc/other.lua"; },
      [](auto& r, auto&) { r.handlers["h"].kind = HandlerSource::Kind::kPlugin; },
      [](auto& r, auto&) { r.handlers["h"].sha256 = std::string(64, '0'); },
      [](auto& r, auto&) { r.handlers["h"].config = "{}"; },
      [](auto& r, auto&) { r.handlers["h"].instructions = 5'000; },
      [](auto& r, auto&) { r.handlers["h"].memory = 1 << 20; },
      [](auto&, auto& t) { t.policy.run_this = std::make_shared<NamedVersion>("lua:1"); },
      [](auto&, auto& t) { t.policy.run_this = std::make_shared<NamedVersion>("lua:2"); },
  };
  std::set<std::string> seen{rules_fingerprint(shop())};
  for (size_t i = 0; i < edits.size(); ++i) {
    Config other = shop();
    edits[i](other.rules, other.rules.tables["t"]);
    EXPECT_TRUE(seen.insert(rules_fingerprint(other)).second) << "edit " << i;
  }
}

TEST(RulesFingerprint, IsTheSameWhenNothingDecidesDifferently) {
  Config other = shop();
  auto& rules = other.rules;
  rules.tables["u"] = rules.defaults;
  rules.tables["t"].groups["g"].columns = {"y", "x"};
  rules.handlers["h"].path = "/home/me/h.lua";
  rules.handlers["h"].time_ms = 10;
  rules.handlers["nobody_uses_it"].path = "x.lua";
  rules.tables["t"].columns["d"].separator = "means nothing here";
  EXPECT_EQ(rules_fingerprint(shop()), rules_fingerprint(other));
}

TEST(RulesFingerprint, ALoadedHandlerIsKnownByItsVersionAloneWhereverItsFileLies) {
  Config one = shop(), two = shop();
  one.rules.tables["t"].policy.run_this = std::make_shared<NamedVersion>("lua:1");
  two.rules.tables["t"].policy.run_this = std::make_shared<NamedVersion>("lua:1");
  two.rules.handlers["h"].path = "/elsewhere/renamed.lua";
  EXPECT_EQ(rules_fingerprint(one), rules_fingerprint(two));
  EXPECT_EQ(handler_versions(one.rules).at("h"), "lua:1");
  EXPECT_EQ(handler_versions(shop().rules).at("h"), "lua file h.lua");
}

TEST(RulesFingerprint, HowRowsAreNumberedMayDiffer) {
  Config by_time = shop(), small = shop(), one_small = shop();
  small.rules.defaults.numbering = Numbering::kInterleaved;
  for (auto& [_, rules] : small.rules.tables) rules.numbering = Numbering::kInterleaved;
  one_small.rules.tables["other"] = one_small.rules.defaults;
  one_small.rules.tables["other"].numbering = Numbering::kInterleaved;
  EXPECT_EQ(rules_fingerprint(by_time), rules_fingerprint(small));
  EXPECT_EQ(rules_fingerprint(by_time), rules_fingerprint(one_small));
}

}  // namespace
}  // namespace entente
