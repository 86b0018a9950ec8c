#include "topology/config.h"

#include <algorithm>

namespace entente {

const Datacenter* Config::find(std::string_view dc) const {
  const auto found = std::find_if(datacenters.begin(), datacenters.end(),
                                  [&](const Datacenter& d) { return d.name == dc; });
  return found == datacenters.end() ? nullptr : &*found;
}

}  // namespace entente
