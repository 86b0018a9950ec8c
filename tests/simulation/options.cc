#include "tests/simulation/options.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace entente::simulation {
namespace {

bool take_value(std::string_view argument, std::string_view name, std::string& value) {
  if (!argument.starts_with(name)) return false;
  value = argument.substr(name.size());
  return true;
}

// `take` returns false for a name that it does not know.
template <class Take>
bool take_names(const std::string& names, Take take) {
  for (size_t at = 0; at <= names.size();) {
    const size_t end = std::min(names.find(',', at), names.size());
    if (!take(std::string_view(names).substr(at, end - at))) return false;
    at = end + 1;
  }
  return true;
}

bool take_faults(const std::string& names, std::set<Fault>& faults) {
  return take_names(names, [&](std::string_view name) {
    const auto fault = parse_fault(name);
    if (fault) faults.insert(*fault);
    return fault.has_value();
  });
}

bool take_draws(const std::string& names, std::bitset<user_world::kDraws>& draws) {
  return take_names(names, [&](std::string_view name) {
    const auto draw = user_world::parse_draw(name);
    if (draw) draws.set(static_cast<size_t>(*draw));
    return draw.has_value();
  });
}

}  // namespace

Options& options() {
  static Options options;
  return options;
}

bool take_argument(std::string_view argument, Options& options) {
  std::string value;
  const auto number = [&value] { return std::strtoull(value.c_str(), nullptr, 10); };
  if (argument == "--trace") return options.trace = true;
  if (argument == "--sqlite") return options.overrides.over_sqlite = true;
  if (argument == "--first") return options.first_only = true;
  if (take_value(argument, "--seed=", value)) return options.seed = number(), true;
  if (take_value(argument, "--from=", value)) return options.from = number(), true;
  if (take_value(argument, "--seeds=", value)) return options.seeds = number(), true;
  if (take_value(argument, "--nodes=", value)) return options.overrides.nodes = number(), true;
  if (take_value(argument, "--without=", value)) {
    return take_faults(value, options.overrides.without);
  }
  if (take_value(argument, "--operations=", value)) {
    options.user_changes.operations = number();
    return options.overrides.operations = number(), true;
  }
  if (take_value(argument, "--user-seed=", value)) return options.user_seed = number(), true;
  if (take_value(argument, "--user-seeds=", value)) return options.user_seeds = number(), true;
  if (take_value(argument, "--user-with=", value)) {
    return take_draws(value, options.user_changes.with);
  }
  if (take_value(argument, "--user-without=", value)) {
    return take_draws(value, options.user_changes.without);
  }
  return false;
}

}  // namespace entente::simulation
