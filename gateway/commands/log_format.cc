#include "gateway/commands/log_format.h"

#include <spdlog/pattern_formatter.h>

#include <string>

#include "gateway/commands/output.h"

namespace entente {
namespace {

class LogFormat : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& out) override {
    const std::string text = printable({line.payload.data(), line.payload.size()});
    spdlog::details::log_msg shown = line;
    shown.payload = text;
    usual_.format(shown, out);
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return log_format(); }

 private:
  spdlog::pattern_formatter usual_;
};

}  // namespace

std::unique_ptr<spdlog::formatter> log_format() { return std::make_unique<LogFormat>(); }

}  // namespace entente
