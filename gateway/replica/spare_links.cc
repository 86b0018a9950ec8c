#include "gateway/replica/spare_links.h"

#include <utility>

namespace entente {

SpareLinks::SpareLinks(const Graph& graph, std::string dc, Instant failover_after, Instant now)
    : graph_(graph), dc_(std::move(dc)), failover_after_(failover_after) {
  for (const auto& name : graph_.neighbours(dc_)) links_[name].missed_since = now;
  for (const auto& name : graph_.spares(dc_)) links_[name].spare = true;
}

void SpareLinks::up(std::string_view peer) {
  const auto it = links_.find(peer);
  if (it == links_.end()) return;
  it->second.up = true;
  it->second.failed = false;
}

void SpareLinks::down(std::string_view peer, Instant now) {
  const auto it = links_.find(peer);
  if (it == links_.end()) return;
  it->second.up = false;
  it->second.missed_since = now;
}

void SpareLinks::failed(std::string_view peer) {
  const auto it = links_.find(peer);
  if (it != links_.end() && !it->second.up) it->second.failed = true;
}

std::set<std::string> SpareLinks::look(Instant now,
                                       const std::function<bool(const std::string&)>& in_use) {
  const auto needed =
      graph_.needed_spares(dc_, [&](const std::string& dc) { return gone(at(dc), now); });
  std::set<std::string> opened;
  for (auto& [name, link] : links_) {
    if (!link.spare) continue;
    if (needed.contains(name) && !link.needed) {
      link.failed = false;
      link.missed_since = now;
      opened.insert(name);
    }
    link.needed = needed.contains(name);
    if (link.needed || in_use(name)) link.used = now;
  }
  return opened;
}

bool SpareLinks::is_spare(std::string_view peer) const { return at(peer).spare; }

bool SpareLinks::needed(std::string_view peer) const {
  const auto it = links_.find(peer);
  return it != links_.end() && (!it->second.spare || it->second.needed);
}

bool SpareLinks::idle(std::string_view peer, Instant now) const {
  const Link& link = at(peer);
  return link.spare && !link.needed && now - link.used >= failover_after_;
}

const SpareLinks::Link& SpareLinks::at(std::string_view peer) const {
  static const Link kNone;
  const auto it = links_.find(peer);
  return it == links_.end() ? kNone : it->second;
}

bool SpareLinks::gone(const Link& link, Instant now) const {
  if (link.up || (link.spare && !link.needed)) return false;
  return (link.spare && link.failed) || now - link.missed_since >= failover_after_;
}

}  // namespace entente
