#include "tests/crash/sweeps.h"

#include <algorithm>
#include <map>
#include <vector>

#include "tests/crash/workload.h"
#include "tests/simulation/random.h"

namespace entente::crash {
namespace {

using simulation::Random;
using Finding = std::optional<std::string>;

std::string said(const Error& e) { return e.text + " (" + e.tag + ")"; }

// Where two texts part.
std::string difference(const std::string& is, const std::string& expected) {
  const size_t at = static_cast<size_t>(
      std::mismatch(is.begin(), is.end(), expected.begin(), expected.end()).first - is.begin());
  const size_t line = at == 0 ? 0 : is.rfind('\n', at - 1) + 1;
  return "\n    is       " + is.substr(line, 200) + "\n    expected " +
         expected.substr(std::min(line, expected.size()), 200);
}

// ---- A run without faults, to be cut off anywhere
// ---------------------------------------------------

// A call of the database has returned.
struct Return {
  uint64_t ops = 0;  // done to the disk by then
  size_t next = 0;   // step
  World world;
  std::string dump;
  bool snapshot = false;
};

struct Recording {
  std::vector<DiskOp> ops;
  std::vector<Return> returns;  // the first: before there was anything
  Finding failure;
};

Recording record(uint64_t seed) {
  Recording out;
  seed_sqlite(seed);
  World world(seed);
  Live live(world);
  live.machine().record();
  size_t step = 0;
  const auto note = [&] {
    out.returns.push_back({live.machine().recorded(), step + 1, World(world), dump(live.path()),
                           kind_of(step) == StepKind::kSnapshot});
  };
  out.returns.push_back({0, 0, World(world), ""});
  live.returned = note;
  for (; step < step_count() && !out.failure; ++step) {
    const StepResult done = run_step(live, step);
    if (done.error) out.failure = said(*done.error);
    if (!out.failure) out.failure = verify(live);
    if (!out.failure && step % 9 == 0) out.failure = compare_with_fresh(live);
    if (out.failure)
      *out.failure = "step " + std::to_string(step) + ", " + to_string(kind_of(step)) +
                     ", without a fault: " + *out.failure;
    note();
  }
  out.ops = live.machine().take_record();
  return out;
}

// ---- Crashes
// -----------------------------------------------------------------------------------------

class CrashSweep {
 public:
  CrashSweep(const Selection& selection, Tally& tally)
      : selection_(selection), tally_(tally), recording_(record(selection.seed)) {}

  Finding run() {
    if (recording_.failure) return recording_.failure;
    Disk disk;
    size_t r = 0;
    for (uint64_t n = 1; n <= recording_.ops.size(); ++n) {
      disk.apply(recording_.ops[n - 1]);
      while (r + 1 < recording_.returns.size() && recording_.returns[r + 1].ops <= n) ++r;
      const bool returned = recording_.returns[r].ops == n;
      if (!returned && n % selection_.stride != selection_.seed % selection_.stride) continue;
      ++tally_.crash_points;
      const uint64_t images = disk.all_synced() ? 1 : 4;
      for (uint64_t image = 0; image < images; ++image) {
        const std::string name = std::to_string(n) + ":" + std::to_string(image);
        if (selection_.only && *selection_.only != name) continue;
        if (auto found = check(disk, n, image, recording_.returns[r])) {
          return "crash=" + name + " (step " + std::to_string(recording_.returns[r].next) + ", " +
                 to_string(kind_of(std::min(recording_.returns[r].next, step_count() - 1))) +
                 (returned ? ", after its return" : "") + "): " + *found;
        }
      }
    }
    return {};
  }

 private:
  // image 0: the power goes and all that was not synced with it; 1 and 2: some of it, torn, by
  // sectors of 512 and 4096 bytes; 3: only the process goes.
  Finding check(const Disk& disk, uint64_t n, uint64_t image, const Return& before) {
    seed_sqlite(n);
    World world(before.world);
    const bool killed = image == 3;
    world.disk = killed ? disk : left_of(disk, n, image);
    killed ? ++tally_.kills : ++tally_.power_losses;
    const bool returned = before.ops == n;
    const Return& after = returned ? before : *(&before + 1);
    const uint64_t unsure = after.world.streams.contains(origin_of(1))
                                ? after.world.streams.at(origin_of(1)).seq - own_seq(before.world)
                                : 0;
    Live live(world);
    // What is dear is done after some of them.
    Random chance(n * 4 + image, "what is done then");
    const bool crashes_again = chance.chance(0.25), goes_on = chance.chance(0.25);
    if (crashes_again) live.machine().record();
    if (auto opened = live.open(); !opened) return "it does not open: " + said(opened.error());
    const std::string is = dump(live.path());
    if (is != before.dump && is != after.dump) {
      return "it is neither as before nor as after" + difference(is, before.dump) +
             difference(is, after.dump);
    }
    if (returned && before.snapshot) {
      const std::string copy = live.machine().folder() + "/copy" + std::to_string(before.next - 1);
      const std::string copied = dump(copy);
      if (copied != before.dump) {
        return "the snapshot is not what was copied" + difference(copied, before.dump);
      }
    }
    if (crashes_again) {
      if (auto found = crash_again(world, live.machine().take_record(), n, is)) return found;
    }
    if (killed) {
      world.disk = live.machine().disk().after({});
      if (auto found = reopens_as(world, is)) return "the power went after it opened: " + *found;
    }
    if (auto found = check_integrity(live)) return found;
    if (!goes_on) return {};
    if (auto found = verify(live, unsure)) return found;
    return go_on(live, before.next);
  }

  static uint64_t own_seq(const World& world) {
    const auto it = world.streams.find(origin_of(1));
    return it == world.streams.end() ? 0 : it->second.seq;
  }

  static Disk left_of(const Disk& disk, uint64_t n, uint64_t image) {
    if (image == 0) return disk.after({});
    return disk.after({n * 4 + image, image == 1 ? 512u : 4096u});
  }

  // The machine stops in the middle of opening the database.
  Finding crash_again(const World& world, const std::vector<DiskOp>& ops, uint64_t n,
                      const std::string& as) {
    if (ops.empty()) return {};
    Random random(n, "second crash");
    Disk disk = world.disk;
    const uint64_t until = 1 + random.below(ops.size());
    for (uint64_t i = 0; i < until; ++i) disk.apply(ops[i]);
    ++tally_.second_crashes;
    World again(world);
    again.disk = disk.after({random.next(), 512});
    auto found = reopens_as(again, as);
    return found ? "a second crash, " + std::to_string(until) +
                       " operations into the recovery: " + *found
                 : Finding();
  }

  static Finding reopens_as(const World& from, const std::string& as) {
    World world(from);
    Live live(world);
    if (auto opened = live.open(); !opened) return "it does not open: " + said(opened.error());
    const std::string is = dump(live.path());
    if (is != as) return "it is not what it was" + difference(is, as);
    return {};
  }

  Finding go_on(Live& live, size_t step) {
    for (size_t last = std::min(step + 3, step_count()); step < last; ++step) {
      if (auto done = run_step(live, step); done.error) return "then: " + said(*done.error);
    }
    if (auto found = verify(live)) return "then: " + *found;
    World& world = live.world();
    const Disk left = live.machine().disk().after({});
    World later(world);
    later.disk = left;
    Live again(later);
    if (auto opened = again.open(); !opened)
      return "then it does not open: " + said(opened.error());
    auto found = verify(again);
    return found ? "then, after a power loss: " + *found : Finding();
  }

  const Selection& selection_;
  Tally& tally_;
  const Recording recording_;
};

// ---- Errors
// ------------------------------------------------------------------------------------------

const char* name_of(Fault::Kind kind) {
  constexpr std::array<const char*, 3> kNames = {"error", "full", "lie"};
  return kNames.at(static_cast<size_t>(kind));
}

class ErrorSweep {
 public:
  ErrorSweep(const Selection& selection, Tally& tally) : selection_(selection), tally_(tally) {}

  Finding run() {
    World world(selection_.seed);
    seed_sqlite(selection_.seed);
    Live live(world);
    std::vector<World> worlds;  // before each step
    for (size_t step = 0; step < step_count(); ++step) {
      World now(world);
      now.disk = live.machine().disk();
      worlds.push_back(std::move(now));
      if (auto done = run_step(live, step); done.error) return said(*done.error);
      if (auto found = verify(live)) return "without a fault: " + *found;
    }
    for (size_t step = 0; step < step_count(); ++step) {
      if (kind_of(step) == StepKind::kPeers) continue;
      // Half of the steps are met by a database that did the one before, and has pages in memory.
      const size_t from = step > 1 && step % 2 == 1 ? step - 1 : step;
      if (auto found = sweep_step(worlds[from], from, step)) return found;
    }
    return {};
  }

 private:
  struct Case {
    const World& world;
    size_t from;
    size_t step;
    Fault fault;
    std::vector<uint64_t> commits;  // own transactions of each of its calls, when they succeed
  };

  Finding sweep_step(const World& world, size_t from, size_t step) {
    World twin_world(world);
    Live twin(twin_world);
    if (auto found = begin(twin, from, step)) return found;
    twin.machine().arm({});
    const StepResult healthy = run_step(twin, step);
    if (healthy.error) return "without a fault: " + said(*healthy.error);
    for (const auto kind : {Fault::Kind::kError, Fault::Kind::kFull, Fault::Kind::kSyncLie}) {
      const std::vector<OpClass> met = twin.machine().met(kind);
      for (uint64_t at = 1; at <= met.size(); ++at) {
        const bool lie = kind == Fault::Kind::kSyncLie;
        if (!takes(kind, met[at - 1])) continue;
        for (const bool persistent : {false, true}) {
          if (lie && persistent) continue;
          const std::string name = std::string(name_of(kind)) + ":" + std::to_string(step) + ":" +
                                   std::to_string(at) + (persistent ? ":for-good" : "");
          if (selection_.only && *selection_.only != name) continue;
          auto found = check({world, from, step, {kind, at, persistent}, healthy.committed});
          if (found) {
            return "error=" + name + " (" + to_string(kind_of(step)) + what_ + "): " + *found;
          }
        }
      }
    }
    return {};
  }

  // Of what there is plenty of, one in so many.
  bool takes(Fault::Kind kind, OpClass c) {
    const bool plenty = c == OpClass::kRead || c == OpClass::kWrite;
    uint64_t& n = counters_[{kind, c}];
    return !plenty || ++n % selection_.stride == selection_.seed % selection_.stride;
  }

  // From the same world, with the same random numbers.
  static Finding begin(Live& live, size_t from, size_t step) {
    seed_sqlite(step);
    if (from == 0 && step == 0) return {};
    if (auto opened = live.open(); !opened) return "it does not open: " + said(opened.error());
    for (; from < step; ++from) {
      if (auto done = run_step(live, from); done.error) return said(*done.error);
    }
    return {};
  }

  void count(const Fault& fault, OpClass struck, bool failed) {
    if (fault.kind == Fault::Kind::kFull) ++tally_.full;
    if (fault.kind == Fault::Kind::kSyncLie) ++tally_.lies;
    if (fault.kind == Fault::Kind::kError) ++tally_.errors[static_cast<size_t>(struck)];
    tally_.persistent += fault.persistent;
    tally_.unnoticed += !failed;
    what_ = std::string(", ") + to_string(struck);
  }

  Finding check(const Case& c) {
    World world(c.world);
    Live live(world);
    if (auto found = begin(live, c.from, c.step)) return found;
    live.machine().arm(c.fault);
    StepResult done = run_step(live, c.step);
    const auto struck = live.machine().struck();
    if (!struck) return {};
    count(c.fault, *struck, done.error.has_value());
    if (auto found = check_answer(live, c, done, *struck)) return found;
    live.machine().disarm();
    const bool stops = done.error && done.error->code == Code::kCorrupt && !done.read_only;
    if (stops || !live.is_open()) {
      if (stops && live.is_open()) {
        if (auto found = refuses(live, c.step + 1)) return found;
        if (c.fault.at % 2 == 0) live.close();  // it ends in order, and must not tidy up
      }
      if (auto found = restart(live)) return found;
      const size_t call = done.committed.size();
      const uint64_t unsure = call < c.commits.size() ? c.commits[call] : 0;
      if (auto found = verify(live, unsure)) return "after a restart: " + *found;
    } else if (auto found = verify(live)) {
      return *found;
    }
    return go_on(live, c.step + 1);
  }

  // Nothing is written after the disk cannot be trusted.
  static Finding refuses(Live& live, size_t step) {
    while (step < step_count() && kind_of(step) != StepKind::kGroup) ++step;
    if (step == step_count()) return {};
    const uint64_t before = live.world().log.size();
    const StepResult next = run_step(live, step);
    if (live.world().log.size() == before && next.error && next.error->code == Code::kCorrupt) {
      return {};
    }
    return "it was answered that the database cannot be trusted, and the next write was taken";
  }

  static Finding check_answer(Live& live, const Case& c, const StepResult& done, OpClass struck) {
    if (done.error && !done.read_only) {
      const Code expected = c.fault.kind == Fault::Kind::kFull ? Code::kExhausted : Code::kCorrupt;
      if (done.error->code != expected) return "the answer was: " + said(*done.error);
    }
    if (c.fault.kind == Fault::Kind::kSyncLie || struck == OpClass::kSync) return {};
    if (c.fault.kind != Fault::Kind::kFull || !live.is_open()) return {};
    auto reader = live.db().reader();
    if (!reader) return "reads do not go on: " + said(reader.error());
    if (auto tables = (*reader)->tables(); !tables) return "reads do not go on";
    return {};
  }

  // The process ends and is started again: what it wrote is in the page cache.
  static Finding restart(Live& live) {
    live.kill();
    if (auto opened = live.open(); !opened)
      return "it does not open again: " + said(opened.error());
    return {};
  }

  static Finding go_on(Live& live, size_t step) {
    for (size_t last = std::min(step + 4, step_count()); step < last; ++step) {
      const StepResult done = run_step(live, step);
      // What went wrong behind a call that succeeded may be told by the next one.
      if (done.error && done.error->code == Code::kCorrupt && !done.read_only) {
        if (auto found = restart(live)) return "then: " + *found;
        continue;
      }
      if (done.error) return "then: " + said(*done.error);
    }
    if (auto found = verify(live)) return "then: " + *found;
    if (step % 8 == 0) {
      if (auto found = compare_with_fresh(live)) return "then: " + *found;
    }
    World later(live.world());
    later.disk = live.machine().disk().after({});
    Live again(later);
    if (auto opened = again.open(); !opened)
      return "then it does not open: " + said(opened.error());
    auto found = verify(again);
    return found ? "then, after a power loss: " + *found : Finding();
  }

  const Selection& selection_;
  Tally& tally_;
  std::map<std::pair<Fault::Kind, OpClass>, uint64_t> counters_;
  std::string what_;
};

}  // namespace

std::optional<std::string> sweep_crashes(const Selection& selection, Tally& tally) {
  return CrashSweep(selection, tally).run();
}

std::optional<std::string> sweep_errors(const Selection& selection, Tally& tally) {
  return ErrorSweep(selection, tally).run();
}

}  // namespace entente::crash
