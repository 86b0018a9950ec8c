#include "tests/chaos/workload.h"

#include <algorithm>

namespace entente::chaos {

// Besides what changed nothing (200): no such row, a constraint, an old context, not now.
void Workload::record(Write write) {
  static constexpr std::string_view kExpected[] = {"200", "404", "409", "412", "503"};
  const bool expected =
      write.outcome != Outcome::kRefused ||
      std::any_of(std::begin(kExpected), std::end(kExpected),
                  [&](std::string_view status) { return write.refusal.starts_with(status); });
  if (!expected) recorder_.complain(write.dc + " answers " + write.refusal);
  recorder_.record(std::move(write));
}

std::vector<std::unique_ptr<Workload>> all_workloads(const Priorities& priorities) {
  std::vector<std::unique_ptr<Workload>> all;
  all.push_back(make_set());
  all.push_back(make_last_write());
  all.push_back(make_priority(priorities));
  all.push_back(make_counter());
  all.push_back(make_siblings());
  all.push_back(make_causal_chain());
  all.push_back(make_pairs());
  all.push_back(make_recreate());
  all.push_back(make_unique_key());
  all.push_back(make_session());
  all.push_back(make_change_feed());
  return all;
}

}  // namespace entente::chaos
