#include "gateway/commands/joining.h"

#include <spdlog/spdlog.h>

#include <chrono>

#include "gateway/commands/new_life.h"
#include "gateway/server/database_options.h"
#include "gateway/server/snapshot_download.h"
#include "topology/graph.h"

namespace entente {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kSayEvery{1};

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

// Whether another neighbour may do better.
bool is_this_ones(const Error& error) {
  return error.code == Code::kNotReached || error.code == Code::kNotFound ||
         error.code == Code::kRefused;
}

}  // namespace

Result<std::string> fetch_copy(const Config& config, const Datacenter& dc,
                               std::span<const std::string> from, bool linked,
                               const std::filesystem::path& part,
                               const std::function<bool()>& stopped) {
  Error last{Code::kNotFound, "no neighbour has a database to copy", ""};
  for (const auto& name : from) {
    const Datacenter& neighbour = *config.find(name);
    if (neighbour.database_kind != "sqlite") continue;
    Report report(dc.name, name);
    const auto fetched = download_snapshot(config, dc.name, neighbour, linked, part,
                                           [&](uint64_t bytes, uint64_t of) {
                                             report.look(bytes, of);
                                             return !stopped();
                                           });
    if (fetched) return name;
    last = fetched.error();
    if (!is_this_ones(last)) break;
    spdlog::info("no_copy dc={} from={} reason=\"{}\"", dc.name, name, last.text);
  }
  return tl::unexpected(last);
}

Result<bool> join(const Config& config, const Datacenter& dc, const std::filesystem::path& data,
                  const std::function<bool()>& stopped) {
  const auto destination = database_path(dc, data);
  std::error_code ec;
  if (dc.database_kind != "sqlite" || std::filesystem::exists(destination, ec)) return false;
  const std::filesystem::path part = destination.string() + ".joining";
  std::string from;
  const auto joined = begin_life_of_copy(config, dc, data, part, true, [&] {
    return fetch_copy(config, dc, Graph(config).neighbours(dc.name), false, part, stopped)
        .map([&](std::string name) { from = std::move(name); });
  });
  if (!joined) return is_this_ones(joined.error()) ? Result<bool>(false) : joined;
  spdlog::info("joined dc={} from={}", dc.name, from);
  return true;
}

}  // namespace entente
