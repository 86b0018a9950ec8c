#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include "conflict/result.h"
#include "gateway/commands/output.h"

namespace entente {

// What the table shows beyond one row per datacenter.
struct StatusParts {
  bool origins = false;
  bool links = false;
};

// `entente status [URL]`: asks a gateway how its cluster is. Answers the exit code.
int status(const std::string& url, OutputFormat format, const StatusParts& parts, std::ostream& out,
           std::ostream& err);

// What GET /v1/status said, for people: the verdict, one row per datacenter, what to know.
struct StatusPicture {
  bool healthy = false;
  std::string text;
};
Result<StatusPicture> picture_status(std::string_view json, const StatusParts& parts = {});

}  // namespace entente
