#include "tests/chaos/checks.h"
#include "tests/chaos/workload.h"

namespace entente::chaos {
namespace {

constexpr uint64_t kUses = 60;

// Every link names one that its writer had read, here or elsewhere: who sees it sees that (P4).
class CausalChain : public Workload {
 public:
  CausalChain() : Workload("chains") {}

  void step(Actor& actor) override {
    const std::string chain = hot_key(actor, 1, kUses);
    Client& reader = actor.somewhere();
    const auto links = reader.select("SELECT id, v FROM chains WHERE id >= '" + chain +
                                     "/' AND id < '" + chain + "0'");  // 0 comes after /
    if (!links) return;
    const std::string session = reader.session();
    record(Read{actor.name, reader.dc(), *links, {}});
    if (actor.random.chance(0.3)) return;
    std::string parent;
    if (!links->empty()) {
      auto at = links->begin();
      std::advance(at, static_cast<int64_t>(actor.random.below(links->size())));
      parent = at->first;
    }
    // At home it may have to wait for what was read elsewhere.
    record(actor.at_home().put(table(), chain + "/" + fresh(actor), parent, "", session));
  }

  Violations check(const History& history, const Finals& finals) const override {
    Violations out;
    for (const auto& read : history.reads)
      check_links(read.client + " at " + read.dc, read.rows, out);
    const auto written = by_key(history);
    for (const auto& [dc, state] : finals) {
      check_links(dc + " in the end", state.rows, out);
      for (const auto& [key, writes] : written) {
        check_register(dc, state, key, writes, later, false, out);
      }
    }
    return out;
  }

 private:
  static void check_links(const std::string& who, const Rows& links, Violations& out) {
    for (const auto& [link, parent] : links) {
      if (parent.empty() || links.contains(parent)) continue;
      out.push_back(who + " saw " + link + " and not its cause " + parent);
    }
  }
};

}  // namespace

std::unique_ptr<Workload> make_causal_chain() { return std::make_unique<CausalChain>(); }

}  // namespace entente::chaos
