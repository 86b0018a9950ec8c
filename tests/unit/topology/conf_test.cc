#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "topology/graph.h"
#include "topology/limit_fields.h"
#include "topology/loader.h"
#include "topology/scalars.h"

namespace entente {
namespace {

namespace fs = std::filesystem;

const fs::path kConf = fs::path(ENTENTE_SOURCE) / "conf";

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<fs::path> examples() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(kConf)) {
    if (entry.path().extension() == ".yaml") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::optional<std::string> nothing_set(const std::string&) { return std::nullopt; }

TEST(Conf, EveryExampleLoadsAndHasADifferentShape) {
  std::set<TopologyKind> kinds;
  for (const auto& path : examples()) {
    const auto yaml = contents(path);
    const auto loaded = load_config(yaml, kConf, nothing_set);
    for (const auto& problem : loaded.problems)
      ADD_FAILURE() << render(problem, path.c_str(), yaml);
    if (loaded.config) kinds.insert(loaded.config->topology.kind);
  }
  EXPECT_EQ(kinds.size(), 4u);
}

TEST(Conf, LimitFieldsAreAllOfLimits) {
  EXPECT_EQ(limit_fields().size() * sizeof(size_t), sizeof(Limits));
  std::set<std::string_view> names;
  for (const auto& field : limit_fields()) EXPECT_TRUE(names.insert(field.name).second);
}

TEST(Conf, ReferenceAndJsonSchemaHaveEveryKeyOfAPolicyAndOfAHandler) {
  const auto reference = contents(kConf / "README.md");
  const auto schema = contents(kConf / "entente.schema.json");
  for (const std::string key :
       {"policy",      "merge",  "separator",     "markers",   "handler",      "run",
        "granularity", "blind",  "delete_update", "unique",    "orphans",      "replicate",
        "lua",         "plugin", "old_values",    "numbering", "instructions", "memory",
        "sha256",      "config", "trusted",       "time"}) {
    EXPECT_NE(reference.find("| `" + key + "` |"), std::string::npos) << key;
    EXPECT_NE(schema.find("\"" + key + "\": {"), std::string::npos) << key;
  }
}

// The example shows every policy: who copies from it finds what there is.
TEST(Conf, PoliciesExampleUsesEveryPolicyAndMerge) {
  const auto loaded = load_config(contents(kConf / "policies.yaml"), kConf, nothing_set);
  ASSERT_TRUE(loaded.config.has_value());
  std::set<PolicyKind> kinds;
  std::set<MergeKind> merges;
  ConflictRules rules = loaded.config->rules;
  rules.for_each_policy([&](const Policy& policy) {
    kinds.insert(policy.kind);
    if (policy.kind == PolicyKind::kMerge) merges.insert(policy.merge);
  });
  EXPECT_EQ(kinds.size(), 6u);
  EXPECT_EQ(merges.size(), 5u);  // max is min's mirror
}

std::string as_written(const LimitField& field, uint64_t value) {
  switch (field.unit) {
    case LimitField::Unit::kCount:
      return std::to_string(value);
    case LimitField::Unit::kBytes:
      return format_size(value);
    case LimitField::Unit::kTime:
      return format_duration(std::chrono::milliseconds(value));
  }
  return "";
}

TEST(Conf, ReferenceAndJsonSchemaHaveEveryLimitWithItsDefaultAndRange) {
  const auto reference = contents(kConf / "README.md");
  const auto schema = contents(kConf / "entente.schema.json");
  for (const auto& field : limit_fields()) {
    const std::string name(field.name);
    const auto least = as_written(field, field.least), most = as_written(field, field.most);
    const std::string row =
        "| `" + name + "` | `" + field.format(Limits{}) + "` | `" + least + "` to `" + most + "` |";
    EXPECT_NE(reference.find(row), std::string::npos) << row;
    EXPECT_NE(schema.find("\"" + name + "\": {"), std::string::npos) << name;
    EXPECT_NE(schema.find("(" + least + " to " + most + ")"), std::string::npos) << name;
  }
}

TEST(Conf, ALimitIsAcceptedAtBothEndsOfItsRange) {
  const auto yaml = contents(kConf / "links.yaml");
  for (const auto& field : limit_fields()) {
    for (const uint64_t value : {field.least, field.most}) {
      const std::string line =
          "limits: {" + std::string(field.name) + ": " + as_written(field, value) + "}\n";
      const auto loaded = load_config(yaml + line, kConf, nothing_set);
      for (const auto& problem : loaded.problems) {
        EXPECT_NE(problem.text.find("must be less than"), std::string::npos) << problem.text;
      }
    }
  }
}

// What a hand or a disk can do to a file.
std::string mutated(std::string text, std::mt19937& random) {
  static const std::vector<std::string> kPieces{"{",        "}",
                                                "[",        "]",
                                                ":",        "-",
                                                "\t",       "\n",
                                                "\"",       "'",
                                                "&a ",      "*a",
                                                "!!int ",   "${",
                                                "}",        "---\n",
                                                "%",        "?",
                                                "|",        ">",
                                                "\xFF",     std::string(1, '\0'),
                                                "é",        "999999999999999999999",
                                                "~",        "<<: ",
                                                "[[[[[[[[", "    "};
  const int edits = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < edits && !text.empty(); ++i) {
    const size_t at = random() % text.size();
    const auto& piece = kPieces[random() % kPieces.size()];
    switch (random() % 5) {
      case 0:
        text.insert(at, piece);
        break;
      case 1:
        text.erase(at, 1 + random() % 12);
        break;
      case 2:
        text[at] = static_cast<char>(random());
        break;
      case 3:
        text.replace(at, piece.size(), piece);
        break;
      case 4:
        text.insert(at, text.substr(random() % text.size(), random() % 60));
        break;
    }
  }
  return text;
}

TEST(Conf, MutatedFilesGiveAConfigOrProblemsButNeverBothOrNeither) {
  std::mt19937 random(20'240);
  size_t good = 0, bad = 0;
  for (const auto& path : examples()) {
    const auto yaml = contents(path);
    for (int i = 0; i < 1500; ++i) {
      const auto text = mutated(yaml, random);
      const auto loaded = load_config(text, kConf, nothing_set);
      ASSERT_NE(loaded.config.has_value(), !loaded.problems.empty()) << text;
      loaded.config ? ++good : ++bad;
      for (const auto& problem : loaded.problems) render(problem, "f", text);
      if (loaded.config) Graph(*loaded.config).bridges();
    }
  }
  EXPECT_GT(good, 100u);
  EXPECT_GT(bad, 100u);
}

}  // namespace
}  // namespace entente
