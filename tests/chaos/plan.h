#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace entente::chaos {

using std::chrono::milliseconds;

// What is done to a link (the first ones) or to a gateway.
enum class Fault : uint8_t {
  kDown,    // refused and cut
  kOneWay,  // nothing passes one way
  kStall,   // nothing passes
  kDelay,   // everything takes longer
  kSlow,    // little bandwidth
  kCut,     // cut after so many bytes, again and again
  kFlip,    // a bit flipped after so many bytes, again and again
  kKill,    // kill -9, and started again
  kStop,    // SIGSTOP, and SIGCONT
  kClock,   // its wall clock is so far from the others'
};
inline constexpr size_t kFaults = 10;
const char* to_string(Fault fault);
inline bool of_a_link(Fault fault) { return fault < Fault::kKill; }

// What a person asks for.
struct Options {
  uint64_t seed = 1;
  std::string topology;  // circle, star, all-to-all, links; "": the seed's
  size_t nodes = 0;      // 3 to 5; 0: the seed's
  size_t clients = 3;    // at each datacenter
  std::chrono::seconds lasts{8};
  bool endurance = false;  // with a slow peer and a reader who never reads; growth is a failure
  std::set<Fault> without;
  std::string keep;  // where to leave folders and logs of a run that failed
};

struct PlannedFault {
  Fault fault = Fault::kDown;
  milliseconds at{}, lasts{};
  std::string a, b;    // the link, which a opens, or the gateway a
  int64_t amount = 0;  // ms of a delay or clock; bytes; bytes a second
  bool back = false;   // from b to a
};

// What a seed decides, all of it: the cluster, and what is done to it when. What clients do, and
// who is faster, is not decided.
struct Plan {
  std::vector<std::string> dcs;
  std::string kind;
  std::string topology;  // YAML, in flow style
  std::vector<std::pair<std::string, std::string>> links, spares;
  std::map<std::string, int> priorities;
  std::vector<std::vector<PlannedFault>> rounds;  // each by time
  milliseconds round{};
};

Plan draw_plan(const Options& options);
std::string describe(const Plan& plan);
// The command that does it again.
std::string replay_line(const Options& options, const Plan& plan);

}  // namespace entente::chaos
