#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "topology/loader.h"

// Topology files for tests: good ones to add lines to, and what is said of bad ones.
namespace entente::test {

// Lines 1 to 6; what a case adds begins on line 7.
inline const std::string kThree =
    "cluster: shop\n"
    "security: {insecure: true}\n"
    "datacenters:\n"
    "  tokyo: {peers: 'ws://127.0.0.1:1', clients: '127.0.0.1:2'}\n"
    "  paris: {peers: 'ws://127.0.0.1:3', clients: '127.0.0.1:4'}\n"
    "  lima: {peers: 'ws://127.0.0.1:5', clients: '127.0.0.1:6'}\n";
// Lines 1 to 7; what a case adds begins on line 8.
inline const std::string kMesh = kThree + "topology: {kind: all-to-all}\n";
// Lines 1 to 4: the datacenters follow on line 5.
inline const std::string kHead =
    "cluster: shop\n"
    "security: {insecure: true}\n"
    "topology: {kind: all-to-all}\n"
    "datacenters:\n";

Loaded load(std::string_view yaml, const std::filesystem::path& folder = "/etc/entente");
std::string all(const Loaded& loaded);
// REQUIRES: the file is good; otherwise the test fails.
Config loaded(std::string_view yaml, const std::filesystem::path& folder = "/etc/entente");

struct Bad {
  std::string name;
  std::string yaml;
  int line;
  int column;
  std::string text;               // part of the sentence
  std::string did_you_mean = {};  // exactly
};

void PrintTo(const Bad& bad, std::ostream* out);
std::string name_of(const testing::TestParamInfo<Bad>& info);
void expect_reported_once(const Bad& bad, const std::filesystem::path& folder = "/etc/entente");

}  // namespace entente::test
