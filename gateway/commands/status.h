#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include "conflict/result.h"
#include "gateway/commands/output.h"

namespace entente {

// `entente status [URL]`: asks a gateway how its cluster is. Answers the exit code.
int status(const std::string& url, OutputFormat format, std::ostream& out, std::ostream& err);

// What GET /v1/status said, for people: the verdict, then one row per datacenter.
struct StatusPicture {
  bool healthy = false;
  std::string text;
};
Result<StatusPicture> picture_status(std::string_view json);

}  // namespace entente
