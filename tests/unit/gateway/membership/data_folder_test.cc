#include "gateway/membership/data_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace entente {
namespace {

namespace fs = std::filesystem;

class DataFolderTest : public ::testing::Test {
 protected:
  DataFolderTest() {
    std::string name = (fs::temp_directory_path() / "entente-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~DataFolderTest() override { fs::remove_all(root_); }

  fs::path root_;
};

TEST_F(DataFolderTest, IsMadeWhenItIsNotThere) {
  const auto folder = DataFolder::open(root_ / "a" / "b");
  ASSERT_TRUE(folder);
  EXPECT_TRUE(fs::is_directory(root_ / "a" / "b"));
}

TEST_F(DataFolderTest, ALockThatIsALinkIsNotFollowed) {
  std::ofstream(root_ / "precious") << "kept";
  fs::create_symlink(root_ / "precious", root_ / "lock");
  EXPECT_FALSE(DataFolder::open(root_));
  EXPECT_EQ(fs::file_size(root_ / "precious"), 4u);
}

TEST_F(DataFolderTest, KeepsASecondGatewayOutAsLongAsItLives) {
  {
    const auto first = DataFolder::open(root_);
    ASSERT_TRUE(first);
    const auto second = DataFolder::open(root_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::kBusy);
    EXPECT_EQ(second.error().text, "the data folder " + root_.string() +
                                       " is in use by another gateway (pid " +
                                       std::to_string(::getpid()) + ")");
  }
  EXPECT_TRUE(DataFolder::open(root_));
}

TEST_F(DataFolderTest, TheMarkerIsReadAsItWasWritten) {
  const auto folder = DataFolder::open(root_);
  ASSERT_TRUE(folder);
  EXPECT_EQ(*folder->marker(), std::nullopt);
  const auto origin = random_origin();
  ASSERT_TRUE(origin);
  ASSERT_TRUE(folder->write_marker(*origin));
  EXPECT_EQ(*folder->marker(), *origin);
  const auto other = random_origin();
  ASSERT_NE(*other, *origin);
  ASSERT_TRUE(folder->write_marker(*other));
  EXPECT_EQ(*folder->marker(), *other);
}

TEST_F(DataFolderTest, AMarkerThatIsNoneIsAnErrorNotAbsent) {
  const auto folder = DataFolder::open(root_);
  ASSERT_TRUE(folder);
  for (const auto* text : {"", "abc\n", "zz000000000000000000000000000000\n"}) {
    std::ofstream(root_ / "incarnation") << text;
    const auto marker = folder->marker();
    ASSERT_FALSE(marker) << text;
    EXPECT_EQ(marker.error().code, Code::kCorrupt);
  }
}

TEST_F(DataFolderTest, WhatIsUnverifiedIsOfOneIncarnation) {
  const auto folder = DataFolder::open(root_);
  ASSERT_TRUE(folder);
  const Origin one = *random_origin(), other = *random_origin();
  EXPECT_FALSE(folder->unverified(one));
  for (const bool shipped : {false, true}) {
    ASSERT_TRUE(folder->set_unverified(one, {7, shipped}));
    ASSERT_TRUE(folder->unverified(one));
    EXPECT_EQ(folder->unverified(one)->after, 7u);
    EXPECT_EQ(folder->unverified(one)->shipped, shipped);
    EXPECT_FALSE(folder->unverified(other));
  }
  ASSERT_TRUE(folder->set_verified());
  EXPECT_FALSE(folder->unverified(one));
}

TEST_F(DataFolderTest, AFolderThatCannotBeMadeSaysWhy) {
  std::ofstream(root_ / "file") << "x";
  const auto folder = DataFolder::open(root_ / "file");
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().text.find("file"), std::string::npos);
}

TEST_F(DataFolderTest, WhatTheClusterHasGoneOverToIsReadAsItWasWritten) {
  const auto folder = DataFolder::open(root_);
  ASSERT_TRUE(folder);
  EXPECT_EQ(folder->topology()->epoch, 0u);
  VersionVector sealed;
  sealed.set(Origin{{7}}, 3);
  for (const TopologyEpoch& topology :
       {TopologyEpoch{4, "cluster: x\n", sealed, "b", "0f"}, TopologyEpoch{5, "", sealed, "b", ""},
        TopologyEpoch{6, "a\nb", VersionVector(), "", "0f"}}) {
    ASSERT_TRUE(folder->set_topology(topology));
    const auto read = folder->topology();
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(read->epoch, topology.epoch);
    EXPECT_EQ(read->yaml, topology.yaml);
    EXPECT_EQ(read->sealed, topology.sealed);
    EXPECT_EQ(read->leader, topology.leader);
    EXPECT_EQ(read->file_rules, topology.file_rules);
  }
}

}  // namespace
}  // namespace entente
