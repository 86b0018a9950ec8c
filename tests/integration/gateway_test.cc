// Whole gateways in this process: the data folder, the incarnation marker, start and stop, and a
// write through HTTP at one that is read at the other.

#include "gateway/server/gateway.h"

#include <gtest/gtest.h>

#include <fstream>
#include <future>
#include <thread>

#include "tests/integration/site.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Databases of an adapter that keeps a file: memory, with an empty file to show for it.
OpenDatabase open_with(std::shared_ptr<MemoryDisk> disk) {
  return [disk](const Datacenter&, const fs::path& path,
                const DatabaseOptions& options) -> Result<std::unique_ptr<Database>> {
    std::ofstream(path, std::ios::app).flush();
    return open_memory(disk, options);
  };
}

// A disk with table `items`, as the schema leader `a` leaves it.
std::shared_ptr<MemoryDisk> disk_with_items(const Config& config) {
  auto disk = make_memory_disk();
  DatabaseOptions options;
  options.dc = "a";
  options.fresh_origin.id.fill(0xA);
  options.rules = config.rules;
  options.schema_leader_name = "a";
  options.wall_ms = 1'700'000'000'000;
  const auto database = open_memory(disk, options);
  const ClientTransaction define[] = {[](WriteSession& session) {
    TableDef items{"items", {}};
    items.columns.push_back({"id", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 1});
    items.columns.push_back({"note", "TEXT", Affinity::kText, Collation::kBinary, false, 0});
    return session.define(items);
  }};
  EXPECT_TRUE(database->commit(define, options.wall_ms)->results.at(0));
  return disk;
}

class GatewayTest : public ::testing::Test {
 protected:
  GatewayTest() {
    for (auto& dc : config_.datacenters) dc.database_kind = "sqlite";
  }

  Gateway gateway(const std::string& dc, std::shared_ptr<MemoryDisk> disk) {
    return Gateway(config_, dc, folder(dc), true, open_with(std::move(disk)));
  }
  fs::path folder(const std::string& dc) const { return root_.path() / dc; }

  std::string marker(const std::string& dc) const {
    std::string line;
    std::ifstream in(folder(dc) / "incarnation");
    std::getline(in, line);
    return line;
  }

  Config config_ = loopback_config({"a", "b"});
  TemporaryFolder root_;
};

TEST_F(GatewayTest, ARowPutAtOneIsReadAtTheOther) {
  for (auto& dc : config_.datacenters) dc.database_kind = "memory";
  auto a = gateway("a", disk_with_items(config_));
  auto b = gateway("b", make_memory_disk());
  ASSERT_TRUE(a.start() && b.start());
  const auto put = HttpClient(a.client_port())
                       .request("PUT", "/v1/tables/items/rows/1", R"({"row":{"note":"hello"}})");
  ASSERT_EQ(put.status, 200) << put.body;
  const std::string session = "Entente-Session: " + put.headers.at("entente-session") + "\r\n";
  const auto got =
      HttpClient(b.client_port()).request("GET", "/v1/tables/items/rows/1", "", session);
  EXPECT_EQ(got.status, 200) << got.body;
  EXPECT_NE(got.body.find("hello"), std::string::npos);
}

TEST_F(GatewayTest, ASecondGatewayOnOneFolderIsRefused) {
  const auto disk = make_memory_disk();
  {
    auto first = gateway("a", disk);
    ASSERT_TRUE(first.start());
    auto second = gateway("a", disk);
    const auto started = second.start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, Code::kBusy);
    EXPECT_NE(started.error().text.find("is in use by another gateway (pid "), std::string::npos);
  }
  auto later = gateway("a", disk);
  EXPECT_TRUE(later.start());
}

TEST_F(GatewayTest, ARestartKeepsTheIncarnation) {
  const auto disk = make_memory_disk();
  auto first = gateway("a", disk);
  ASSERT_TRUE(first.start());
  first.stop();
  const auto before = marker("a");
  EXPECT_EQ(before.size(), 32u);
  auto second = gateway("a", disk);
  ASSERT_TRUE(second.start());
  EXPECT_EQ(marker("a"), before);
}

TEST_F(GatewayTest, ADatabaseWithoutItsMarkerIsRefused) {
  const auto disk = make_memory_disk();
  auto first = gateway("a", disk);
  ASSERT_TRUE(first.start());
  first.stop();
  fs::remove(folder("a") / "incarnation");
  auto second = gateway("a", disk);
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::kFork);
  EXPECT_NE(started.error().text.find("restored or copied"), std::string::npos);
}

TEST_F(GatewayTest, ADatabaseUnderAnotherMarkerIsRefused) {
  const auto disk = make_memory_disk();
  auto first = gateway("a", disk);
  ASSERT_TRUE(first.start());
  first.stop();
  std::ofstream(folder("a") / "incarnation") << std::string(32, '7') << "\n";
  auto second = gateway("a", disk);
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::kFork);
  EXPECT_NE(started.error().text.find(std::string(32, '7')), std::string::npos);
}

TEST_F(GatewayTest, ADatabaseThatIsGoneStartsANewLife) {
  auto first = gateway("a", make_memory_disk());
  ASSERT_TRUE(first.start());
  first.stop();
  const auto before = marker("a");
  fs::remove(folder("a") / "a.db");
  auto second = gateway("a", make_memory_disk());
  ASSERT_TRUE(second.start());
  EXPECT_NE(marker("a"), before);
}

TEST_F(GatewayTest, ASchemaThatCannotBeReadOrRunStopsTheStart) {
  config_.schema_path = (root_.path() / "schema.sql").string();
  const auto missing = gateway("a", make_memory_disk()).start();
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text.find("schema.sql"), std::string::npos);
  std::ofstream(config_.schema_path) << "CREATE TABLE t(id INTEGER PRIMARY KEY);";
  fs::remove(folder("a") / "a.db");
  const auto refused = gateway("a", make_memory_disk()).start();  // memory runs no SQL
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("the schema " + config_.schema_path), std::string::npos);
  // Others have nothing to do with it, nor has a leader with tables.
  EXPECT_TRUE(gateway("b", make_memory_disk()).start());
  for (auto& dc : config_.datacenters) dc.database_kind = "memory";
  EXPECT_TRUE(gateway("a", disk_with_items(config_)).start());
}

TEST_F(GatewayTest, WaitEndsWhenItIsStopped) {
  auto a = gateway("a", make_memory_disk());
  ASSERT_TRUE(a.start());
  auto waiting = std::async(std::launch::async, [&] { return a.wait(); });
  EXPECT_EQ(waiting.wait_for(20ms), std::future_status::timeout);
  a.stop();
  EXPECT_TRUE(waiting.get());
}

TEST_F(GatewayTest, APortThatIsTakenStopsTheStartWithItsName) {
  auto a = gateway("a", make_memory_disk());
  ASSERT_TRUE(a.start());
  config_.datacenters[1].peers.port = a.peer_port();
  const auto started = gateway("b", make_memory_disk()).start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().text.find("127.0.0.1:" + std::to_string(a.peer_port())),
            std::string::npos);
}

}  // namespace
}  // namespace entente::testing
