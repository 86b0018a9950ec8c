#include "gateway/api/session.h"

#include "conflict/context.h"
#include "gateway/http/problem.h"
#include "gateway/store/store_calls.h"

namespace entente {
namespace {

Response not_reached(const Site& site, const VersionVector& target) {
  const auto applied = site.store.applied();
  const auto& labels = site.store.opened().labels;
  std::vector<Missing> missing;
  for (const auto& [origin, need] : target) {
    if (applied.at(origin) >= need) continue;
    const auto label = labels.find(origin);
    missing.push_back(
        {label == labels.end() ? "" : label->second, to_hex(origin), applied.at(origin), need});
  }
  return session_not_reached(missing);
}

}  // namespace

Task<std::optional<Response>> wait_for(const Site& site, VersionVector target) {
  const auto deadline = Store::Clock::now() + site.config.limits.session_wait;
  AppliedCall call(site.store, site.loop, target, deadline);
  if (co_await call) co_return std::nullopt;
  co_return not_reached(site, target);
}

Task<std::optional<Response>> wait_for_session(const Site& site,
                                               const std::optional<std::string>& token) {
  if (!token) co_return std::nullopt;
  auto target = parse_session_token(*token);
  if (!target) co_return problem(400, "session", target.error().text);
  Task<std::optional<Response>> waiting = wait_for(site, std::move(*target));
  co_return co_await waiting;
}

}  // namespace entente
