#include "gateway/replica/handshake.h"

#include <algorithm>
#include <set>
#include <string>

namespace entente {
namespace {

tl::unexpected<Error> mismatch(std::string text) { return fail(Code::kMismatch, std::move(text)); }

// "the peer is … and this gateway is …": one sentence for all that must be equal.
Result<void> agree(const std::string& what, const std::string& mine, const std::string& theirs,
                   const std::string& advice) {
  if (mine == theirs) return {};
  return mismatch("the peer's " + what + " is " + theirs + " and this gateway's is " + mine +
                  advice);
}

// The first handler that is not the same code at both; what only one of them has is seen in the
// rules.
Result<void> check_handlers(const Hello& mine, const Hello& theirs) {
  for (const auto& [name, version] : mine.handlers) {
    const auto other = theirs.handlers.find(name);
    if (other == theirs.handlers.end()) continue;
    auto same = agree("handler " + name, version, other->second,
                      ": give both the same file, and restart the one with the old");
    if (!same) return same;
  }
  return {};
}

Result<void> check_topology(const Hello& mine, const Hello& theirs) {
  return agree("topology fingerprint", mine.topology, theirs.topology,
               ": give both the same topology file");
}

Result<void> check_datacenter(const Hello& mine, const Hello& theirs, const Graph& graph) {
  if (theirs.dc == mine.dc) {
    return mismatch("the peer says that it is " + mine.dc + ", which is this datacenter");
  }
  const auto& all = graph.datacenters();
  if (std::find(all.begin(), all.end(), theirs.dc) == all.end()) {
    return mismatch("the peer says that it is " + theirs.dc + ", which is not in the topology of " +
                    mine.dc);
  }
  return {};
}

Result<void> check_neighbour(const Hello& mine, const Hello& theirs, const Graph& graph) {
  if (!graph.may_link(mine.dc, theirs.dc)) {
    return mismatch("the topology has no link between " + mine.dc + " and " + theirs.dc);
  }
  return {};
}

Result<void> check_origins(const Hello& theirs) {
  const size_t named = std::max(theirs.applied.size(), theirs.collected.size());
  if (named <= kMostOrigins) return {};
  return mismatch(theirs.dc + " names " + std::to_string(named) + " origins; at most " +
                  std::to_string(kMostOrigins) + " are listened to");
}

Result<void> check_incarnation(const Hello& mine, const Hello& theirs) {
  if (theirs.incarnation == Origin{}) return mismatch(theirs.dc + " names no incarnation");
  if (theirs.incarnation != mine.incarnation) return {};
  return mismatch(theirs.dc + " runs a copy of the database of " + mine.dc + " (incarnation " +
                  to_hex(mine.incarnation) + "): one of the two must start with a new data folder");
}

uint64_t seq_of(const Hello& hello, const Origin& origin) {
  const auto it = std::find_if(hello.applied.begin(), hello.applied.end(),
                               [&](const Hello::Position& p) { return p.origin == origin; });
  return it == hello.applied.end() ? 0 : it->seq;
}

std::set<Origin> lives_of(const Hello& hello, const std::string& dc) {
  std::set<Origin> lives;
  for (const auto& position : hello.applied) {
    if (position.dc == dc && position.seq > 0) lives.insert(position.origin);
  }
  return lives;
}

// Two know different histories of a datacenter. It gives up the one that others do not know and
// begins a new life: who knows that life, and the other does not, has the right one.
std::string what_to_do(const Hello& mine, const Hello& theirs, const std::string& dc) {
  const auto here = lives_of(mine, dc), there = lives_of(theirs, dc);
  const bool theirs_is_later = there.size() > here.size() &&
                               std::includes(there.begin(), there.end(), here.begin(), here.end());
  const bool mine_is_later = here.size() > there.size() &&
                             std::includes(here.begin(), here.end(), there.begin(), there.end());
  const std::string wrong = theirs_is_later ? mine.dc : mine_is_later ? theirs.dc : "";
  const std::string heal = [](const std::string& who) {
    return "`entente topology remove " + who +
           " FILE`, `entente topology submit` with the "
           "unshipped.ndjson that it leaves, and `entente topology apply` of a file with it again";
  }(wrong.empty() ? "NAME" : wrong);
  if (!wrong.empty()) {
    return wrong + " took the one that " + dc + " has given up. Nothing is lost by " + heal;
  }
  return "if " + dc +
         " has met both and this stays so, take one of the two out and in again; "
         "nothing is lost by " +
         heal;
}

Result<void> check_position(const Hello& mine, const Hello& theirs, const Hello::Position& at,
                            const ChainAt& chain_at) {
  const uint64_t ours = seq_of(mine, at.origin);
  if (at.origin == mine.incarnation && at.seq > ours) {
    return fail(Code::kFork,
                "this database is a restored copy: " + theirs.dc + " has its changes up to " +
                    std::to_string(at.seq) + ", it has only " + std::to_string(ours) +
                    "; it joins again by itself, as a new incarnation",
                kOwnFork);
  }
  const bool chain_known = at.chain != decltype(at.chain){};
  if (at.seq == 0 || at.seq > ours || !chain_known) return {};
  const auto chain = chain_at(at.origin, at.seq);
  if (!chain) return tl::unexpected(chain.error());
  if (!*chain || **chain == at.chain) return {};
  return fail(Code::kFork,
              "two histories of " + at.dc + " (incarnation " + to_hex(at.origin) + "): change " +
                  std::to_string(at.seq) + " is not the same at " + mine.dc + " and at " +
                  theirs.dc + "; " + what_to_do(mine, theirs, at.dc),
              at.origin == mine.incarnation ? kOwnFork : "");
}

}  // namespace

Result<void> check_cluster(const Hello& mine, const Hello& theirs) {
  return agree("protocol", std::to_string(mine.protocol), std::to_string(theirs.protocol),
               ": run the same version at both")
      .and_then([&] { return agree("cluster", mine.cluster, theirs.cluster, ""); });
}

Result<void> check_hello(const Hello& mine, const Hello& theirs, const Graph& graph) {
  return check_cluster(mine, theirs)
      .and_then([&] { return check_datacenter(mine, theirs, graph); })
      .and_then([&] { return check_neighbour(mine, theirs, graph); })
      .and_then([&] { return check_topology(mine, theirs); })
      .and_then([&] { return check_handlers(mine, theirs); })
      .and_then([&] {
        return agree("conflict rules fingerprint", mine.rules, theirs.rules,
                     ": give both the same conflicts, tables and priorities");
      })
      .and_then([&] { return check_origins(theirs); })
      .and_then([&] { return check_incarnation(mine, theirs); });
}

Result<void> check_asker(const Hello& mine, const Hello& theirs, const Graph& graph) {
  return check_cluster(mine, theirs)
      .and_then([&] { return check_datacenter(mine, theirs, graph); })
      .and_then([&] { return check_topology(mine, theirs); });
}

Result<void> check_history(const Hello& mine, const VersionVector& promised, const Hello& theirs,
                           const ChainAt& chain_at) {
  if (!promised.covers(theirs.collected)) {
    return fail(Code::kFork,
                "this database is a restored copy: " + theirs.dc +
                    " has forgotten what could only go by a promise that is not in it; it joins "
                    "again by itself, as a new incarnation",
                kOwnFork);
  }
  for (const auto& position : theirs.applied) {
    if (auto ok = check_position(mine, theirs, position, chain_at); !ok) return ok;
  }
  return {};
}

}  // namespace entente
