#include "gateway/lifecycle/joining.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "gateway/lifecycle/new_life.h"
#include "gateway/lifecycle/waiting_room.h"
#include "gateway/membership/snapshot_api.h"
#include "gateway/membership/snapshot_download.h"
#include "gateway/store/database_options.h"
#include "topology/scalars.h"

namespace entente {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kSayEvery{1};
constexpr std::chrono::milliseconds kLookEvery{50}, kLongestPause{5'000};

// Says every second how far the download is, and how long it will take at this pace.
class Report {
 public:
  Report(const std::string& dc, const std::string& from) : dc_(dc), from_(from) {}

  void look(uint64_t bytes, uint64_t of) {
    const auto now = Clock::now();
    if (of == 0 || now < next_) return;
    next_ = now + kSayEvery;
    const double seconds = std::chrono::duration<double>(now - began_).count();
    const double left =
        bytes > 0 ? seconds * static_cast<double>(of - bytes) / static_cast<double>(bytes) : 0;
    spdlog::info("joining dc={} from={} bytes={} of={} percent={} seconds_left={:.0f}", dc_, from_,
                 bytes, of, 100 * bytes / of, left);
  }

 private:
  const std::string& dc_;
  const std::string& from_;
  const Clock::time_point began_ = Clock::now();
  Clock::time_point next_ = began_;
};

// What keeps every copy from being made, whoever gives it.
bool is_our_own(const Error& error) {
  return error.code == Code::kExhausted || error.code == Code::kBusy;
}

std::string and_also(std::string text, const std::string& more) {
  return text + (text.empty() || more.empty() ? "" : "; ") + more;
}

}  // namespace

Result<std::string> fetch_copy(const Config& config, const Datacenter& dc,
                               std::span<const Donor> donors, bool linked,
                               const std::filesystem::path& part,
                               const std::function<bool()>& stopped) {
  Error all{Code::kNotReached, "", ""};
  for (const auto& donor : donors) {
    Report report(dc.name, donor.name);
    const auto fetched = download_snapshot(config, dc.name, *config.find(donor.name), linked, part,
                                           [&](uint64_t bytes, uint64_t of) {
                                             report.look(bytes, of);
                                             return !stopped();
                                           });
    if (fetched) return donor.name;
    const Error& error = fetched.error();
    spdlog::info("no_copy dc={} from={} reason=\"{}\"", dc.name, donor.name, error.text);
    all = {error.code, and_also(all.text, error.text), error.tag};
    if (is_our_own(error) || error.tag == kRunsAlready || stopped()) break;
  }
  return tl::unexpected(all);
}

bool Retry::pause(const std::function<bool()>& stopped) {
  const auto until = Clock::now() + next_;
  next_ = std::min(2 * next_, kLongestPause);
  while (Clock::now() < until) {
    if (stopped()) return false;
    std::this_thread::sleep_for(kLookEvery);
  }
  return !stopped();
}

Result<void> keep_topology(const std::filesystem::path& data, const TopologyEpoch& topology) {
  return DataFolder::open(data).and_then(
      [&](const DataFolder& folder) { return folder.set_topology(topology); });
}

namespace {

// One attempt. True: it has a database; false: it may make an empty one.
Result<bool> join_once(const Config& config, const Datacenter& dc,
                       const std::filesystem::path& data, const Donors& donors,
                       const std::function<bool()>& stopped) {
  const std::filesystem::path part = database_path(dc, data).string() + ".joining";
  std::string from;
  const auto joined = begin_life_of_copy(config, dc, data, part, true, [&] {
    return fetch_copy(config, dc, donors.found, false, part, stopped).map([&](std::string name) {
      from = std::move(name);
    });
  });
  if (joined) spdlog::info("joined dc={} from={}", dc.name, from);
  return joined;
}

Result<Beginning> wait_for_a_copy(const Config& config, const Datacenter& dc,
                                  const std::filesystem::path& data,
                                  const std::vector<std::string>& from, bool first,
                                  const std::function<bool()>& stopped) {
  WaitingRoom room(config, dc);
  if (auto opened = room.open(); !opened) return tl::unexpected(opened.error());
  std::string said;
  Retry retry;
  do {
    Donors donors = find_donors(config, dc, from);
    if (donors.later) {
      return keep_topology(data, *donors.later).map([] { return Beginning::kTopology; });
    }
    if (first && !donors.anybody) return Beginning::kMayServe;
    sort_donors(donors.found, {}, "");
    const auto joined = join_once(config, dc, data, donors, stopped);
    if (joined) return Beginning::kMayServe;
    if (is_our_own(joined.error())) return tl::unexpected(joined.error());
    const std::string why = and_also(joined.error().text, donors.silent);
    if (why != said) spdlog::warn("waiting dc={} reason=\"{}\"", dc.name, why);
    said = why;
    room.say(dc.name + " has no database yet, and waits for a copy from " + listed(from) + " (" +
             why + "). To begin a new cluster: entente serve --first");
  } while (retry.pause(stopped));
  return Beginning::kStopped;
}

}  // namespace

Result<Beginning> join(const Config& config, const Datacenter& dc,
                       const std::filesystem::path& data, bool first,
                       const std::function<bool()>& stopped) {
  const auto destination = database_path(dc, data);
  std::error_code ec;
  if (dc.database_kind != "sqlite" || std::filesystem::exists(destination, ec)) {
    return Beginning::kMayServe;
  }
  const auto from = neighbours_with_files(config, dc);
  if (!from.empty()) return wait_for_a_copy(config, dc, data, from, first, stopped);
  if (first) return Beginning::kMayServe;
  return fail(Code::kRefused,
              dc.name + " has no database (" + destination.string() +
                  "), and no neighbour to copy one from. To begin a new cluster: entente serve "
                  "--first",
              "no_database");
}

}  // namespace entente
