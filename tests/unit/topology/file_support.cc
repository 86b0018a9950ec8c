#include "tests/unit/topology/file_support.h"

namespace entente::test {
namespace {

std::optional<std::string> lookup(const std::string& name) {
  static const std::map<std::string, std::string> kVariables{
      {"PORT", "7000"}, {"EMPTY", ""}, {"NAME", "shop"}, {"LINES", "a\nb"}, {"BYTES", "\xFF"}};
  const auto found = kVariables.find(name);
  return found == kVariables.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

Loaded load(std::string_view yaml, const std::filesystem::path& folder) {
  return load_config(yaml, folder, lookup);
}

std::string all(const Loaded& loaded) {
  std::string out;
  for (const auto& p : loaded.problems) {
    out += std::to_string(p.line) + ":" + std::to_string(p.column) + " " + p.text + "\n";
  }
  return out;
}

Config loaded(std::string_view yaml, const std::filesystem::path& folder) {
  auto result = load(yaml, folder);
  EXPECT_TRUE(result.config.has_value()) << all(result);
  return result.config.value_or(Config{});
}

void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.yaml.substr(0, 2000); }

std::string name_of(const testing::TestParamInfo<Bad>& info) { return info.param.name; }

void expect_reported_once(const Bad& bad, const std::filesystem::path& folder) {
  const auto result = load(bad.yaml, folder);
  EXPECT_FALSE(result.config.has_value());
  ASSERT_EQ(result.problems.size(), 1u) << all(result);
  const Problem& problem = result.problems[0];
  EXPECT_EQ(std::pair(problem.line, problem.column), std::pair(bad.line, bad.column))
      << all(result);
  EXPECT_NE(problem.text.find(bad.text), std::string::npos) << all(result);
  EXPECT_EQ(problem.did_you_mean, bad.did_you_mean);
}

}  // namespace entente::test
