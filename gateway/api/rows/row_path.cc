#include "gateway/api/rows/row_path.h"

#include "gateway/encoding/url.h"

namespace entente {

Result<RowName> row_name(const RoutedRequest& routed) {
  auto table = percent_decode(routed.parts[0]);
  if (!table) return tl::unexpected(table.error());
  auto parts = key_segment_parts(routed.parts[1]);
  if (!parts) return tl::unexpected(parts.error());
  RowName name{std::move(*table), {}};
  for (auto& part : *parts) name.key.emplace_back(std::move(part));
  return name;
}

}  // namespace entente
