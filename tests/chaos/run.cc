#include "tests/chaos/run.h"

#include <algorithm>
#include <csignal>
#include <iostream>

#include "tests/chaos/checks.h"

namespace entente::chaos {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using testing::Cluster;
using testing::TcpProxy;
using Way = TcpProxy::Way;

constexpr size_t kShown = 8;  // violations of one checker
constexpr int kConvergeSeconds = 60;
constexpr size_t kRoundsNeverRead = 4;
constexpr int64_t kSlowPeer = 4 * 1024;  // bytes a second

#ifdef __SANITIZE_ADDRESS__
constexpr bool kClocks = false;  // AddressSanitizer must come before what is preloaded
#else
constexpr bool kClocks = true;
#endif

Options possible(Options options) {
  if (!kClocks) options.without.insert(Fault::kClock);
  return options;
}

std::string seconds(milliseconds length) { return std::to_string(length / 1s + 1) + "s"; }

// Links are judged and given up quickly. A long run keeps what it must for a round and no longer,
// so that files can be seen not to grow.
Cluster::Options cluster_of(const Plan& plan, const Options& options,
                            const std::vector<std::unique_ptr<Workload>>& workloads) {
  Cluster::Options out{plan.dcs, plan.topology, "", "", {}};
  for (const auto& [dc, priority] : plan.priorities) {
    out.datacenters[dc] = "priority: " + std::to_string(priority);
  }
  out.extra =
      "clock: {max_drift: 5s}\n"
      "limits: {heartbeat: 100ms, link_timeout: 700ms, reconnect_max: 200ms, "
      "changes_heartbeat: 300ms, session_wait: 400ms";
  if (options.endurance) {
    out.extra += ", changes_retention: 1m, context_lifetime: 15s, conflict_log_age: " +
                 seconds(std::max<milliseconds>(1min, 2 * plan.round));
  }
  out.extra += "}\ntables:\n";
  for (const auto& workload : workloads) {
    out.schema += "CREATE TABLE " + workload->table() + " (id TEXT PRIMARY KEY, v " +
                  workload->value_type() + ");\n";
    out.extra += "  " + workload->table() + ": " + workload->rules() + "\n";
  }
  return out;
}

void append(Violations& to, const std::string& what, const Violations& from) {
  for (size_t i = 0; i < from.size() && i < kShown; ++i) to.push_back(what + ": " + from[i]);
  if (from.size() > kShown) {
    to.push_back(what + ": and " + std::to_string(from.size() - kShown) + " more");
  }
}

}  // namespace

std::string to_line(const Tally& tally) {
  uint64_t all = 0;
  std::string kinds;
  for (size_t i = 0; i < kFaults; ++i) {
    all += tally.faults[i];
    kinds += (i == 0 ? "" : ", ") + std::string(to_string(static_cast<Fault>(i))) + " " +
             std::to_string(tally.faults[i]);
  }
  return "report: chaos: " + std::to_string(tally.topologies.size()) + " topologies, " +
         std::to_string(tally.workloads) + " workloads, " + std::to_string(all) + " faults (" +
         kinds + "; " + std::to_string(tally.flips) + " bits flipped, " +
         std::to_string(tally.cuts) + " streams cut), " + std::to_string(tally.operations) +
         " operations (" + std::to_string(tally.acknowledged) + " writes acknowledged, " +
         std::to_string(tally.unknown) + " of unknown outcome, " + std::to_string(tally.refused) +
         " refused, " + std::to_string(tally.reads) + " reads)";
}

ChaosRun::ChaosRun(const Options& options, Tally& tally)
    : options_(possible(options)),
      plan_(draw_plan(options_)),
      tally_(tally),
      workloads_(all_workloads(plan_.priorities)),
      cluster_(cluster_of(plan_, options_, workloads_)) {
  tally_.topologies.insert(plan_.kind);
  tally_.workloads = workloads_.size();
  for (const auto& a : plan_.dcs) {  // those that healing may open, too
    for (const auto& b : plan_.dcs) {
      if (a < b) cluster_.proxy(a, b);
    }
    if (kClocks) cluster_.shift_clock(a, 0ms);
  }
  for (size_t home = 0; home < plan_.dcs.size(); ++home) {
    for (size_t i = 0; i < options_.clients; ++i) {
      const std::string name = plan_.dcs[home] + std::to_string(i);
      auto actor = std::make_unique<Actor>(Actor{name, home, {}, {}, Random(options_.seed, name)});
      for (const auto& dc : plan_.dcs) {
        actor->everywhere.push_back(std::make_unique<Client>(name, dc, cluster_.port(dc)));
        actor->ports.push_back(cluster_.port(dc));
      }
      actor->reads_feed = i == 0;
      actors_.push_back(std::move(actor));
    }
  }
}

void ChaosRun::fail(std::string text) { violations_.push_back(std::move(text)); }

Violations ChaosRun::operator()() {
  std::cout << replay_line(options_, plan_) << "\n" << describe(plan_) << std::flush;
  if (start()) {
    for (size_t round = 0; round < plan_.rounds.size() && violations_.empty(); ++round) {
      run_round(round);
    }
  }
  for (const auto& a : plan_.dcs) {
    for (const auto& b : plan_.dcs) {
      if (a >= b) continue;
      tally_.flips += cluster_.proxy(a, b).flips();
      tally_.cuts += cluster_.proxy(a, b).cuts();
    }
  }
  if (options_.endurance) {
    std::cout << samples_.table();
    if (violations_.empty()) append(violations_, "growth", samples_.growth());
  }
  if (!violations_.empty()) {
    std::cout << "failed; again: " << replay_line(options_, plan_) << "\n";
    keep_files();
  }
  return violations_;
}

bool ChaosRun::start() {
  cluster_.start_all();
  if (wait_until_all_serve(30) && cluster_.wait_converged({}, 30)) return true;
  fail("the cluster did not start");
  return false;
}

bool ChaosRun::wait_until_all_serve(int seconds) {
  for (const auto& dc : plan_.dcs) {
    if (cluster_.wait_ready(dc, seconds)) continue;
    fail(dc + " does not serve: " + cluster_.output(dc));
    return false;
  }
  return true;
}

void ChaosRun::run_round(size_t round) {
  const std::string name = "round " + std::to_string(round + 1);
  if (!cluster_.wait_converged(acknowledged_, kConvergeSeconds))
    return fail(name + " cannot begin");
  if (round % kRoundsNeverRead == 0) never_read_.reset();
  for (const auto& actor : actors_) {
    for (const auto& workload : workloads_) workload->begin(*actor, "r" + std::to_string(round));
  }
  make_it_hard();
  stop_ = false;
  std::vector<std::thread> threads;
  for (const auto& actor : actors_) threads.emplace_back([&] { act(*actor); });
  std::thread sampler([&] { sample(); });
  inject(plan_.rounds[round]);
  stop_ = true;
  for (auto& thread : threads) thread.join();
  sampler.join();
  if (!wait_until_all_serve(30)) return;
  auto histories = take_histories();
  if (!cluster_.wait_converged(acknowledged_, kConvergeSeconds)) {
    for (const auto& dc : plan_.dcs) {
      append(violations_, "not converged",
             {dc + ": " + actors_[0]->everywhere[0]->body_of("/v1/status")});
    }
    return;
  }
  for (const auto& actor : actors_) {
    for (const auto& workload : workloads_) workload->finish(*actor);
  }
  for (auto& [workload, history] : histories) {  // what finish() saw
    auto rest = workload->recorder().take();
    for (auto& read : rest.reads) {
      history.reads.push_back(std::move(read));
      history.writes_before.push_back(history.writes.size());
    }
    append(history.complaints, "at the end", rest.complaints);
  }
  const auto finals = read_everything();
  check(histories, finals);
  if (round + 1 == plan_.rounds.size()) {
    restart_all(finals);
  } else {
    for (const auto& workload : workloads_) workload->clear(*actors_.front()->everywhere.front());
  }
  if (options_.endurance) {
    std::cout << name << ": " << tally_.operations << " operations so far, " << violations_.size()
              << " violations\n"
              << std::flush;
  }
}

// One thing after the other, of a workload drawn each time, with a little rest.
void ChaosRun::act(Actor& actor) {
  while (!stop_) {
    actor.random.pick(workloads_)->step(actor);
    std::this_thread::sleep_for(milliseconds(actor.random.between(2, 30)));
  }
}

// Begins and ends the faults as planned; ends all of them before the round does.
void ChaosRun::inject(const std::vector<PlannedFault>& faults) {
  struct Moment {
    milliseconds at;
    const PlannedFault* fault;
    bool begins;
  };
  std::vector<Moment> moments;
  for (const auto& fault : faults) {
    moments.push_back({fault.at, &fault, true});
    moments.push_back({fault.at + fault.lasts, &fault, false});
  }
  std::sort(moments.begin(), moments.end(),
            [](const Moment& a, const Moment& b) { return a.at < b.at; });
  const auto start = Clock::now();
  for (const auto& moment : moments) {
    std::this_thread::sleep_until(start + moment.at);
    moment.begins ? hurt(*moment.fault) : heal(*moment.fault);
  }
  std::this_thread::sleep_until(start + plan_.round);
  for (const auto& a : plan_.dcs) {
    for (const auto& b : plan_.dcs) {
      if (a < b) cluster_.proxy(a, b).heal();
    }
  }
}

void ChaosRun::hurt(const PlannedFault& fault) {
  ++tally_.faults[static_cast<size_t>(fault.fault)];
  TcpProxy* link = of_a_link(fault.fault) ? &cluster_.proxy(fault.a, fault.b) : nullptr;
  const Way way = fault.back ? Way::kFromTarget : Way::kToTarget;
  const auto bytes = static_cast<uint64_t>(fault.amount);
  switch (fault.fault) {
    case Fault::kDown:
      return link->set_up(false);
    case Fault::kOneWay:
      return link->block(way, true);
    case Fault::kStall:
      link->block(Way::kToTarget, true);
      return link->block(Way::kFromTarget, true);
    case Fault::kDelay:
      return link->delay(milliseconds(fault.amount));
    case Fault::kSlow:
      return link->slow_down(bytes);
    case Fault::kCut:
      return link->cut_every(way, bytes);
    case Fault::kFlip:
      return link->flip_every(way, bytes);
    case Fault::kKill:
      return cluster_.kill(fault.a);
    case Fault::kStop:
      return cluster_.process(fault.a).signal(SIGSTOP);
    case Fault::kClock:
      return cluster_.shift_clock(fault.a, milliseconds(fault.amount));
  }
}

void ChaosRun::heal(const PlannedFault& fault) {
  if (of_a_link(fault.fault)) cluster_.proxy(fault.a, fault.b).heal();
  if (fault.fault == Fault::kKill) cluster_.start(fault.a);
  if (fault.fault == Fault::kStop) cluster_.process(fault.a).signal(SIGCONT);
  if (fault.fault == Fault::kClock) cluster_.shift_clock(fault.a, 0ms);
  if (options_.endurance) make_it_hard();
}

// A slow peer, and a reader of the change feed who never reads.
void ChaosRun::make_it_hard() {
  if (!options_.endurance) return;
  const auto& [a, b] = plan_.links.back();
  cluster_.proxy(a, b).slow_down(kSlowPeer);
}

void ChaosRun::sample() {
  if (!options_.endurance) return;
  if (!never_read_)
    never_read_ = std::make_unique<testing::FeedClient>(cluster_.port(plan_.dcs.front()), "", "",
                                                        "1.1", 4'096);
  while (!stop_) {
    for (const auto& dc : plan_.dcs) {
      samples_.look(dc, cluster_.process(dc).pid(), cluster_.folder() / dc);
      testing::HttpClient client(cluster_.port(dc));
      samples_.look(dc, client.request("GET", "/metrics").body);
    }
    for (int i = 0; i < 20 && !stop_; ++i) std::this_thread::sleep_for(100ms);
  }
}

std::vector<std::pair<Workload*, History>> ChaosRun::take_histories() {
  std::vector<std::pair<Workload*, History>> out;
  for (const auto& workload : workloads_) {
    out.emplace_back(workload.get(), workload->recorder().take());
    const History& history = out.back().second;
    tally_.operations += history.writes.size() + history.reads.size();
    tally_.reads += history.reads.size();
    for (const auto& write : history.writes) {
      const Dot& dot = write.version.dot;
      if (write.outcome == Outcome::kAcknowledged) acknowledged_.advance(dot.origin, dot.seq);
      (write.outcome == Outcome::kAcknowledged ? tally_.acknowledged
       : write.outcome == Outcome::kUnknown    ? tally_.unknown
                                               : tally_.refused)++;
    }
  }
  return out;
}

std::map<Workload*, Finals> ChaosRun::read_everything() {
  std::map<Workload*, Finals> out;
  // Connections to those who were killed are noticed now.
  for (const auto& client : actors_.front()->everywhere) client->body_of("/livez");
  for (const auto& workload : workloads_) {
    for (const auto& client : actors_.front()->everywhere) {
      Final& state = out[workload.get()][client->dc()];
      const auto rows = client->select("SELECT id, v FROM " + workload->table());
      if (rows) {
        state.rows = *rows;
      } else {
        fail(client->dc() + " does not show " + workload->table() + ": " + client->last().body);
      }
      if (workload->wants_losers()) state.losers = client->losers(workload->table());
      if (!workload->wants_values()) continue;
      for (const auto& [key, value] : state.rows) {
        state.values[key] = client->get(workload->table(), key).values;
      }
    }
  }
  return out;
}

void ChaosRun::check(const std::vector<std::pair<Workload*, History>>& histories,
                     const std::map<Workload*, Finals>& finals) {
  for (const auto& [workload, history] : histories) {
    const Finals& states = finals.at(workload);
    append(violations_, workload->table(), history.complaints);
    append(violations_, workload->table(), check_alike(states));
    append(violations_, workload->table(), workload->check(history, states));
    if (history.writes.empty()) fail(workload->table() + ": nothing was written");
  }
}

void ChaosRun::restart_all(const std::map<Workload*, Finals>& before) {
  for (const auto& dc : plan_.dcs) cluster_.kill(dc);
  cluster_.start_all();
  if (!wait_until_all_serve(30)) return;
  const auto after = read_everything();
  for (const auto& [workload, finals] : before) {
    for (const auto& [dc, state] : finals) {
      if (after.at(workload).at(dc) == state) continue;
      fail(workload->table() + ": " + dc + " shows something else after all were killed");
    }
  }
}

void ChaosRun::keep_files() {
  if (options_.keep.empty()) return;
  std::error_code error;
  std::filesystem::copy(
      cluster_.folder(), options_.keep,
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing,
      error);
  std::cout << (error ? "not kept: " + error.message() : "databases and logs: " + options_.keep)
            << "\n";
}

}  // namespace entente::chaos
