#include "gateway/replica/spare_links.h"

#include <utility>

namespace entente {

SpareLinks::SpareLinks(const Graph& graph, std::string dc, Instant failover_after, Instant now)
    : graph_(graph), dc_(std::move(dc)), failover_after_(failover_after) {
  const LinkTrust trust(failover_after_, now);
  for (const auto& name : graph_.neighbours(dc_)) links_.try_emplace(name, Link{false, trust});
  for (const auto& name : graph_.spares(dc_)) links_.try_emplace(name, Link{true, trust});
}

void SpareLinks::up(std::string_view peer, Instant now) {
  const auto it = links_.find(peer);
  if (it == links_.end()) return;
  it->second.trust.up(now);
  it->second.failed = false;
}

bool SpareLinks::down(std::string_view peer, Instant now) {
  const auto it = links_.find(peer);
  return it != links_.end() && it->second.trust.down(now);
}

void SpareLinks::failed(std::string_view peer) {
  const auto it = links_.find(peer);
  if (it == links_.end() || it->second.trust.state() != LinkTrust::State::kDown) return;
  it->second.failed = true;
}

std::set<std::string> SpareLinks::look(Instant now, const Ask& in_use, const Ask& useful) {
  for (auto& [name, link] : links_) {
    if (link.trust.state() != LinkTrust::State::kDown && useful(name)) link.trust.useful(now);
  }
  const auto needed =
      graph_.needed_spares(dc_, [&](const std::string& dc) { return gone(at(dc), now); });
  std::set<std::string> opened;
  for (auto& [name, link] : links_) {
    if (!link.spare) continue;
    if (needed.contains(name) && !link.needed) {
      link.failed = false;
      link.trust.miss_from(now);
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

LinkTrust::State SpareLinks::trust(std::string_view peer) const { return at(peer).trust.state(); }

const SpareLinks::Link& SpareLinks::at(std::string_view peer) const {
  static const Link kNone{false, LinkTrust(Instant{0})};
  const auto it = links_.find(peer);
  return it == links_.end() ? kNone : it->second;
}

bool SpareLinks::gone(const Link& link, Instant now) const {
  if (link.spare && !link.needed) return false;
  if (link.trust.state() == LinkTrust::State::kTrusted) return false;
  return (link.spare && link.failed) || link.trust.gone(now, failover_after_);
}

}  // namespace entente
