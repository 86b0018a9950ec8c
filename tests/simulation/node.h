#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "adapters/replay.h"
#include "gateway/replica/replica.h"
#include "gateway/replica/spare_links.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/network.h"
#include "tests/simulation/random.h"
#include "tests/simulation/world.h"

namespace entente::simulation {

// A gateway without sockets and threads: a real Replica over a real database, with the same
// duties as the gateway's shell: do what take() says and report back, one writer job at a time.
//
// A crash loses everything here but the disk. Work under way belongs to one life: what a former
// life had begun no longer reports to anybody.
class Node final : public Endpoint {
 public:
  using Replies = std::function<void(const std::vector<Result<Committed>>&)>;

  Node(World& world, Network& network, size_t index);
  // In the order of Plan::names: whose databases it may copy, and whom it asks for a topology.
  void attach(std::vector<Node*> all) { all_ = std::move(all); }

  // Begins with the others.
  void begin();
  // Somebody starts it, under a topology that has it, with a database that is a copy.
  void join(const Epoch& epoch);
  // It was told of a topology, by somebody who has applied this. If that is the later one it goes
  // over, or ends if it has no part in it.
  void adopt(const Epoch& epoch, const VersionVector& told_by);
  void start();
  void crash();
  // Crashes and stays down, whatever restart was planned, until start_again().
  void die();
  void upgrade();  // to the next version, which does not talk to the first
  void start_again();
  void reopen();  // the disk, at once, without any fault: for the last check

  // Client transactions, to be committed together. `replies` runs when the clients get theirs.
  void submit(std::vector<ClientTransaction> group, Replies replies);

  // ---- Faults.
  void slow_down_until(int64_t time) { slow_until_ = time; }
  void step_clock(int64_t ms) { clock_step_ = ms; }
  void set_clock_off(int64_t ms) { clock_off_ = ms; }
  void trim_log();    // what everybody has
  void forget_log();  // all of it
  void back_up();
  // Goes on with what it backed up last. `keep`: the present database is put aside, and goes on
  // when it is brought back. Nothing happens while anybody's history is in doubt.
  void go_back(bool keep);
  void bring_back();
  // Its database is all there, and nobody can tell that it is: it joins again.
  void lose_marker();
  bool has_aside() const { return aside_.has_value(); }

  // ---- As the network sees it.
  bool alive() const override { return replica_ != nullptr; }
  const Epoch* epoch() const override { return epoch_; }
  bool wants(const std::string& peer) const override;
  bool may_meet(const std::string& peer) const override;
  Hello hello() const override;
  bool link_up(const Hello& hello) override;
  void link_down(const std::string& peer) override;
  void receive(const std::string& peer, Message message) override;

  // ---- What is known.
  const std::string& name() const { return name_; }
  // The newest topology has it.
  bool takes_part() const;
  bool left() const { return left_; }
  bool has_disk() const { return disk_ != nullptr; }
  bool catching_up() const { return catching_up_; }
  Database& database() const { return *database_; }
  const Disk& disk() const { return *disk_; }
  const VersionVector& durable() const { return durable_; }
  // It writes under a name that others know with another history, and does not know it yet: what it
  // shows is not what the oracle has of that name.
  bool astray() const { return astray_; }
  // Under this, tombstones may be gone.
  const VersionVector& collected() const { return collected_; }
  // Everything is collected that there is, and everybody has promised all that there is.
  bool all_collected() const;
  const Replica& replica() const { return *replica_; }
  // It began with a copy of another database.
  bool from_copy() const { return from_copy_; }
  bool idle() const { return jobs_.empty() && !busy_ && untold_ == 0; }
  uint64_t changes_sent() const { return changes_sent_; }
  std::string describe() const;
  // When all is quiet: what was sent was given back as credit, but for a rest too small to tell.
  void check_credit() const;

 private:
  struct Job {
    std::vector<ClientTransaction> group;  // or, if empty, an apply
    Replies replies;
    std::vector<Run> runs;
    std::optional<VersionVector> promise{};  // or this
    std::optional<VersionVector> collect{};  // or a slice of this
  };

  // A database, and what the simulation knows of it.
  struct Past {
    std::unique_ptr<Disk> disk;
    VersionVector durable, collected, copied_promise;
    bool from_copy = false, catching_up = false;
    std::optional<Doubt> unverified;
    std::vector<std::string> astray;  // records of its own that are not what others have
  };

  uint64_t wall_ms() const;
  Past present() const;
  void put_back(Past past);
  uint64_t others_have(const Origin& origin) const;
  void look_whether_astray();
  uint64_t shared() const;                       // how far its own history is the others'
  bool lacks_a_promise() const;                  // by which others have forgotten something
  bool remembers_more(const Node& other) const;  // of it: a later life, or a promise
  Node& node(const std::string& name) const { return *all_[world_.index_of(name)]; }
  bool reaches(const Node& other) const;
  VersionVector somewhere() const;
  void try_to_join();
  void leave(const VersionVector& told_by);
  void look_whether_taken_back();
  void ask_for_news();
  void heal_links();
  bool drawn(const std::string& peer) const;  // the topology has a link with it
  Replica::Instant now() const { return Replica::Instant(world_.scheduler.now()); }
  // Runs `what` after `delay`, unless the node crashed meanwhile.
  void later(int64_t delay, std::function<void()> what);
  void tick();
  void pump();
  void check_bounds();
  void check_sent(const Send& send);
  void check_promise(const VersionVector& floor);
  void charge(const std::string& peer, const Changes& changes);
  void check_changes(const Changes& changes);
  void watch(const Ready& ready);
  void note_clocks();

  void enqueue(Job job);
  void start_job();
  void run(Job job);
  void run_commit(Job job);
  void run_apply(Job job);
  void run_promise(const VersionVector& floor);
  void run_collect(const VersionVector& stable);
  void collect();
  DatabaseOptions options() const;
  // Replaces its database by a copy of a neighbour's, with what it alone has.
  void rejoin(const Rejoin& why);
  void rejoin_without_marker();
  std::unique_ptr<Disk> give_copy(const std::string& to, const DatabaseOptions& as);
  void take_reissued(Database& fresh, const Origin& as, uint64_t count);
  void declare(Database& database);
  void look_whether_caught_up();
  // Something became durable: tell it after a while, in order; or crash before.
  void tell(std::function<void()> what, Met if_crashed);

  int64_t read_ms();
  void read_log(const ReadLog& read);
  void locate(const Locate& locate);

  World& world_;
  Network& network_;
  const size_t index_;
  const std::string name_;
  std::vector<Node*> all_;
  std::set<std::string> gave_copies_to_;
  const Epoch* epoch_ = nullptr;
  bool left_ = false;
  int64_t news_at_ = 0;
  std::set<std::string> linked_;
  std::optional<SpareLinks> spares_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Replica> replica_;
  uint64_t life_ = 0;
  uint64_t incarnations_ = 0;
  bool from_copy_ = false;
  VersionVector copied_promise_;
  std::optional<Rejoin> rejoin_;
  std::optional<Past> backup_, aside_;
  uint32_t version_ = 0;
  bool astray_ = false;
  std::vector<std::string> astray_records_;
  std::optional<Doubt> unverified_;  // since it was started, unlinked since
  // Of a copy: no client is served before it has caught up with a neighbour.
  bool catching_up_ = false;
  bool marker_lost_ = false;
  bool dead_ = false;  // no restart that was planned wakes it

  Random work_;   // how long things take
  Random news_;   // … and when others are asked for a topology
  Random crash_;  // crashes right after something became durable
  Random busy_faults_;
  int64_t clock_offset_ = 0, clock_step_ = 0, clock_off_ = 0;
  double clock_drift_ = 0;
  int64_t slow_until_ = 0;

  std::deque<Job> jobs_;
  bool busy_ = false;
  int64_t last_told_ = 0;
  size_t untold_ = 0;
  Met untold_kind_ = Met::kCount;
  VersionVector durable_;                     // what the disk holds
  std::map<int64_t, VersionVector> history_;  // since when it holds what
  VersionVector collected_;                   // what the database was told to collect, ever
  VersionVector collecting_;                  // … and last, in this life
  bool round_runs_ = false;                   // slices of a round follow each other
  bool another_round_ = false;                // … and more became collectable meanwhile
  VersionVector received_;                    // in this life
  std::map<std::string, uint64_t> link_lives_;
  std::map<std::string, int64_t> credit_;    // what each peer still lets us send
  std::map<std::string, uint64_t> windows_;  // … at most: the smaller of both sides'
  uint64_t changes_sent_ = 0;
};

}  // namespace entente::simulation
