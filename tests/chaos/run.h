#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/plan.h"
#include "tests/chaos/samples.h"
#include "tests/chaos/workload.h"
#include "tests/support/cluster.h"
#include "tests/support/feed_client.h"

namespace entente::chaos {

// What was done, over all runs.
struct Tally {
  std::set<std::string> topologies;
  size_t workloads = 0;
  uint64_t operations = 0, acknowledged = 0, unknown = 0, refused = 0, reads = 0;
  uint64_t flips = 0, cuts = 0;
  std::array<uint64_t, kFaults> faults{};
};
std::string to_line(const Tally& tally);

// One run: real gateways, every link through a proxy, clients of every workload everywhere, and the
// plan's faults. Each round ends with heal, convergence, final reads everywhere and the checkers;
// the last one also with all killed, started again, and the same reads.
class ChaosRun {
 public:
  ChaosRun(const Options& options, Tally& tally);
  // What was wrong; nothing when all is well.
  Violations operator()();

 private:
  bool start();
  void run_round(size_t round);
  void begin(const std::string& prefix);
  void act(Actor& actor);
  void inject(const std::vector<PlannedFault>& faults);
  void hurt(const PlannedFault& fault);
  void heal(const PlannedFault& fault);
  void sample();
  void make_it_hard();
  std::vector<std::pair<Workload*, History>> take_histories();
  std::map<Workload*, Finals> read_everything();
  void check(const std::vector<std::pair<Workload*, History>>& histories,
             const std::map<Workload*, Finals>& finals);
  void restart_all(const std::map<Workload*, Finals>& before);
  bool wait_until_all_serve(int seconds);
  void fail(std::string text);
  void keep_files();

  const Options options_;
  const Plan plan_;
  Tally& tally_;
  std::vector<std::unique_ptr<Workload>> workloads_;
  testing::Cluster cluster_;
  std::vector<std::unique_ptr<Actor>> actors_;
  std::atomic<bool> stop_{false};
  VersionVector acknowledged_;
  Samples samples_;
  std::unique_ptr<testing::FeedClient> never_read_;
  Violations violations_;
};

}  // namespace entente::chaos
