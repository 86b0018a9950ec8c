#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/chaos/client.h"
#include "tests/chaos/history.h"
#include "tests/simulation/random.h"

namespace entente::chaos {

using simulation::Random;

// One client: at home in one datacenter, and able to go to the others.
struct Actor {
  std::string name;
  size_t home = 0;
  std::vector<std::unique_ptr<Client>> everywhere;
  std::vector<int> ports;  // of everywhere
  Random random;
  bool reads_feed = false;

  Client& at_home() { return *everywhere[home]; }
  Client& somewhere() { return *everywhere[random.below(everywhere.size())]; }
};

// A kind of use that clients make of a table of its own, and what must come of it. Clients act on
// many threads at once, and record what they did and were told; check() is pure: the same history
// and final states give the same answer.
class Workload {
 public:
  explicit Workload(std::string table) : table_(std::move(table)) {}
  virtual ~Workload() = default;
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  // The table's name, and that of the workload.
  const std::string& table() const { return table_; }
  // The type of `v`.
  virtual std::string value_type() const { return "TEXT"; }
  // The conflict rules: YAML of a table, in flow style.
  virtual std::string rules() const { return "{policy: lww, granularity: row}"; }
  // Whether a final state has all of a row's values, and the losers of the conflict log.
  virtual bool wants_values() const { return false; }
  virtual bool wants_losers() const { return false; }

  // Everybody has the same, nothing is under way: keys of this round begin with `prefix`.
  virtual void begin(Actor& actor, const std::string& prefix) {
    (void)actor;
    prefix_ = prefix;
  }
  // One thing that a client does.
  virtual void step(Actor& actor) = 0;
  // As begin(), before the final reads.
  virtual void finish(Actor& actor) { (void)actor; }
  virtual Violations check(const History& history, const Finals& finals) const = 0;
  // Takes the round's rows away.
  virtual void clear(Client& client) {
    client.execute("DELETE FROM " + table_ + " WHERE id >= ''", "", "");
  }

  Recorder& recorder() { return recorder_; }

 protected:
  // A value that nobody else writes.
  std::string fresh(const Actor& actor) { return actor.name + "-" + std::to_string(++values_); }
  // One of `many` keys that everybody uses for a while, then of others: a few unknown outcomes do
  // not spoil the rest of the run.
  std::string hot_key(Actor& actor, uint64_t many, uint64_t uses) {
    return prefix_ + "-" + std::to_string(++hot_ / uses) + "-" +
           std::to_string(actor.random.below(many));
  }
  void record(Write write);
  void record(Read read) { recorder_.record(std::move(read)); }
  const std::string& prefix() const { return prefix_; }

 private:
  const std::string table_;
  std::string prefix_;
  std::atomic<uint64_t> values_{0}, hot_{0};
  Recorder recorder_;
};

using Priorities = std::map<std::string, int>;  // by datacenter

std::unique_ptr<Workload> make_set();
std::unique_ptr<Workload> make_last_write();
std::unique_ptr<Workload> make_priority(Priorities priorities);
std::unique_ptr<Workload> make_recreate();
std::unique_ptr<Workload> make_counter();
std::unique_ptr<Workload> make_siblings();
std::unique_ptr<Workload> make_causal_chain();
std::unique_ptr<Workload> make_pairs();
std::unique_ptr<Workload> make_unique_key();
std::unique_ptr<Workload> make_session();
std::unique_ptr<Workload> make_change_feed();
// One of each.
std::vector<std::unique_ptr<Workload>> all_workloads(const Priorities& priorities);

}  // namespace entente::chaos
