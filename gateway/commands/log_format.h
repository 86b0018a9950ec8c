#pragma once

#include <spdlog/formatter.h>

#include <memory>

namespace entente {

// The usual format of log lines, with '?' for control characters and for what is no UTF-8: what
// peers and clients say is quoted in them, and must neither end a line nor reach a terminal.
std::unique_ptr<spdlog::formatter> log_format();

}  // namespace entente
