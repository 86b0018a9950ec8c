#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include "conflict/result.h"
#include "gateway/commands/output.h"

namespace entente {

struct VerifyOptions {
  std::string url;
  bool repair = false;
  std::string from;  // repair: whose rows are the right ones; "": it shall find out
};

// `entente verify` and `entente repair`: has a gateway compare all tables with every other
// datacenter's, waits, and prints what differs. Answers the exit code: 1 if something differs (and
// was not repaired), or if a datacenter could not be compared.
int verify(const VerifyOptions& options, OutputFormat format, std::ostream& out, std::ostream& err);

// What GET /v1/verify said, for people: the verdict, then one row per difference.
struct VerifyPicture {
  bool running = false;
  bool equal = false;
  std::string text;
};
Result<VerifyPicture> picture_verification(std::string json);

}  // namespace entente
