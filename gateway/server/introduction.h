#pragma once

#include <optional>
#include <string>

#include "gateway/server/site.h"

namespace entente {

// How a gateway that asks another by HTTP says who it is: the header Entente-Gateway, a JSON object
// of what their hellos would compare on a link.
std::string introduction_of(const Config& config, const std::string& dc);

// kMismatch: this is not said by a gateway of this cluster, as both have its file.
Result<void> check_introduction(const Site& site, const std::optional<std::string>& header);

}  // namespace entente
