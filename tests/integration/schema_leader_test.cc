// Schema changes at a datacenter that does not lead, while the leader lives, is killed, and
// returns.

#include <gtest/gtest.h>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"

namespace entente::testing {
namespace {

TEST(SchemaLeader, KilledItStopsSchemaChangesAndNoDataUntilItReturns) {
  Cluster cluster({{"tokyo", "frankfurt", "virginia"},
                   "{kind: star, hub: frankfurt}",  // virginia and tokyo have no link
                   "CREATE TABLE t (id TEXT PRIMARY KEY);",
                   ""});
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc));
  ASSERT_TRUE(cluster.wait_converged({}, 20));
  const auto at = [&](const std::string& dc, const std::string& statement) {
    return sql(cluster.port(dc), statement);
  };
  auto answer = at("virginia", "CREATE TABLE before (id TEXT PRIMARY KEY)");
  EXPECT_TRUE(has(answer, "\"type\":\"ok\"")) << answer;
  answer = at("virginia", "INSERT INTO before VALUES ('x')");  // it is here at once
  EXPECT_TRUE(has(answer, "\"type\":\"ok\"")) << answer;
  ASSERT_TRUE(cluster.wait_converged(cluster.applied("virginia"), 20));

  cluster.kill("tokyo");
  answer = at("virginia", "CREATE TABLE during (id TEXT PRIMARY KEY)");
  EXPECT_TRUE(has(answer, "\"code\":\"schema_leader\"")) << answer;
  EXPECT_TRUE(has(answer, "datacenter tokyo")) << answer;
  answer = at("virginia", "INSERT INTO t VALUES ('goes on')");
  EXPECT_TRUE(has(answer, "\"type\":\"ok\"")) << answer;
  answer = at("frankfurt", "SELECT id FROM before");
  EXPECT_TRUE(has(answer, "\"value\":\"x\"")) << answer;

  cluster.start("tokyo");
  ASSERT_TRUE(cluster.wait_ready("tokyo"));
  // The leader waits until it has what was written here meanwhile.
  do {
    answer = at("virginia", "CREATE INDEX after ON t (id)");
  } while (has(answer, "\"code\":\"session_not_reached\""));
  EXPECT_TRUE(has(answer, "\"type\":\"ok\"")) << answer;
  ASSERT_TRUE(cluster.wait_converged(cluster.applied("virginia"), 20));
  answer = at("tokyo", "SELECT id FROM t INDEXED BY after");
  EXPECT_TRUE(has(answer, "goes on")) << answer;
}

}  // namespace
}  // namespace entente::testing
