#pragma once

#include <string>
#include <vector>

#include "conflict/result.h"
#include "conflict/value.h"
#include "gateway/http/router.h"

namespace entente {

// Which row a path names, `/v1/tables/*/rows/*`: its parts are text, which the key columns'
// affinity makes numbers.
struct RowName {
  std::string table;
  std::vector<Value> key;
};

Result<RowName> row_name(const RoutedRequest& routed);

}  // namespace entente
