#include "gateway/lifecycle/unshipped.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <utility>

#include "adapters/sqlite/sqlite_database.h"
#include "gateway/api/late/unshipped_export.h"
#include "gateway/async/wall_clock.h"
#include "gateway/membership/data_folder.h"
#include "gateway/membership/topology_news.h"
#include "gateway/store/database_options.h"
#include "topology/graph.h"

namespace entente {
namespace {

// Asks the others of the cluster, one after the other.
class Others {
 public:
  Others(Database& database, const Config& config, const std::string& dc)
      : database_(database), config_(config), dc_(dc), state_(database.state()) {}

  Result<void> ask_all(const VersionVector& sealed) {
    bool any = false;
    for (const auto& other : config_.datacenters) {
      if (other.name == dc_) continue;
      const auto answers = ask(other, heads());
      if (!answers) {
        silent_.push_back(other.name);
        continue;
      }
      any = true;
      for (const auto& theirs : *answers) {
        if (auto done = compare(other, theirs); !done) return done;
      }
    }
    for (const auto& [origin, stream] : state_.streams) {
      if (!any) shared_[origin].up_to = sealed.at(origin);
    }
    return {};
  }

  const SharedHistories& shared() const { return shared_; }
  const std::vector<std::string>& silent() const { return silent_; }

 private:
  std::vector<ChainPoint> heads() const {
    std::vector<ChainPoint> points;
    for (const auto& [origin, stream] : state_.streams) points.push_back({origin, stream.seq});
    return points;
  }

  Result<std::vector<ChainPoint>> ask(const Datacenter& other, std::vector<ChainPoint> points) {
    TopologyNewsItem mine{config_.epoch, topology_fingerprint(config_), "", state_.self};
    mine.histories = std::move(points);
    auto said = exchange_topology_news(config_, dc_, other, mine);
    if (!said) return tl::unexpected(said.error());
    return std::move(said->histories);
  }

  // What cannot be compared any more is the same.
  Result<bool> same(const ChainPoint& theirs) {
    if (theirs.seq == 0 || !theirs.known()) return true;
    const auto chain = database_.chain_at(theirs.origin, theirs.seq);
    if (!chain) return tl::unexpected(chain.error());
    return !*chain || **chain == theirs.chain;
  }

  Result<void> compare(const Datacenter& other, const ChainPoint& theirs) {
    const auto alike = same(theirs);
    if (!alike) return tl::unexpected(alike.error());
    SharedHistory& shared = shared_[theirs.origin];
    if (*alike) {
      shared.up_to = std::max(shared.up_to, theirs.seq);
      return {};
    }
    // A chain covers all before it: where it differs it goes on differing.
    uint64_t last = 0, differs = theirs.seq;
    while (differs - last > 1) {
      const uint64_t middle = last + (differs - last) / 2;
      const auto answer = ask(other, {{theirs.origin, middle}});
      if (!answer || answer->size() != 1) {
        return fail(Code::kNotReached, other.name + " went away while it was asked");
      }
      const auto there = same(answer->front());
      if (!there) return tl::unexpected(there.error());
      (*there ? last : differs) = middle;
    }
    shared.fork = std::min(shared.fork.value_or(UINT64_MAX), last);
    return {};
  }

  Database& database_;
  const Config& config_;
  const std::string& dc_;
  const DatabaseState state_;
  SharedHistories shared_;
  std::vector<std::string> silent_;
};

}  // namespace

Result<Unshipped> export_unshipped(const Config& file, const Config& cluster, const Datacenter& dc,
                                   const std::filesystem::path& data, const VersionVector& sealed) {
  const auto folder = DataFolder::open(data);
  if (!folder) return tl::unexpected(folder.error());
  const auto database =
      open_sqlite(database_path(dc, data), database_options(file, dc.name, {}, wall_ms()));
  if (!database) return tl::unexpected(database.error());
  Others others(**database, cluster, dc.name);
  if (auto asked = others.ask_all(sealed); !asked) return tl::unexpected(asked.error());
  Unshipped unshipped{data / "unshipped.ndjson", 0, others.silent()};
  std::ofstream out(unshipped.file, std::ios::trunc);
  const auto written = export_lines(**database, file.rules, others.shared(),
                                    [&](const std::string& line) { out << line; });
  if (!written) return tl::unexpected(written.error());
  out.close();
  if (!out) return fail(Code::kExhausted, "cannot write " + unshipped.file.string());
  unshipped.lines = *written;
  std::error_code ignored;
  if (*written == 0) std::filesystem::remove(std::exchange(unshipped.file, {}), ignored);
  return unshipped;
}

}  // namespace entente
