#pragma once

#include <optional>
#include <string>

#include "gateway/api/site.h"

namespace entente {

// How a gateway that asks another by HTTP says who it is: the header Entente-Gateway, a JSON object
// of what their hellos would compare on a link.
std::string introduction_of(const Config& config, const std::string& dc);

// What who asks must agree with us on.
enum class Agreement {
  kTopology,  // he is another datacenter of this cluster, as both have its file
  kCluster,   // he is of this cluster: the topology is what he asks about
};

// kMismatch: this is not said by such a gateway.
Result<void> check_introduction(const Site& site, const std::optional<std::string>& header,
                                Agreement needed);

// Who it says that he is; "" nobody.
std::string introduced_dc(const std::optional<std::string>& header);

}  // namespace entente
