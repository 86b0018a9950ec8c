#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/writer.h"

namespace entente::testing {

// One end of a link, as the gateway there shows it.
struct LinkFigures {
  std::string peer;
  bool up = false;
  bool spare = false;
  uint64_t sent = 0, received = 0, duplicates = 0;  // transactions
};

// A Cluster that is hurt while it is written to, and what must be true of it then and afterwards.
class HealingCluster {
 public:
  static constexpr std::chrono::milliseconds kFailoverAfter{1'000};

  // `topology`: `kind` and what belongs to it, without braces.
  HealingCluster(std::vector<std::string> dcs, const std::string& topology);

  Cluster& cluster() { return cluster_; }

  // Starts all and waits until they have the table, every link of the file and no other.
  bool start();
  void kill(const std::vector<std::string>& dcs);
  bool revive(const std::vector<std::string>& dcs);

  // A Writer at every datacenter, until expect_everything_everywhere().
  void write_everywhere();
  bool put(const std::string& dc, const std::string& key);
  bool shows(const std::string& dc, const std::string& key);
  // Writes a new row at each of these and waits until all of them show all of the rows: how long
  // that took. Nothing after twenty seconds.
  std::optional<std::chrono::milliseconds> exchange(const std::vector<std::string>& dcs);
  // Stops the Writers. All gateways come to have applied the same, and to show the same rows, among
  // them all that were acknowledged.
  void expect_everything_everywhere();

  std::vector<LinkFigures> links(const std::string& dc);
  LinkFigures link(const std::string& dc, const std::string& peer);
  // From which neighbour `dc` takes the changes of `origin` now; "" nobody.
  std::string upstream(const std::string& dc, const std::string& origin);
  bool has_spares(const std::string& dc);

 private:
  Cluster cluster_;
  std::vector<std::unique_ptr<Writer>> writers_;
  std::set<std::string> acknowledged_;
  int exchanges_ = 0;
};

}  // namespace entente::testing
