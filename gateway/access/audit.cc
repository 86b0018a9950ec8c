#include "gateway/access/audit.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace entente {
namespace {

constexpr size_t kLongest = 200;

std::string_view word_of(Audit::Result result) {
  switch (result) {
    case Audit::Result::kDone:
      return "done";
    case Audit::Result::kRefused:
      return "refused";
    case Audit::Result::kFailed:
      break;
  }
  return "failed";
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-_.:@/|+").find(c) != std::string_view::npos;
}

void write(std::string_view action, std::string_view sub, std::string_view jti,
           std::string_view from, std::string_view target, std::string_view result) {
  spdlog::info("audit action={} sub={} jti={} from={} target={} result={}", action, log_word(sub),
               log_word(jti), log_word(from), log_word(target), result);
}

}  // namespace

std::string log_word(std::string_view text) {
  if (text.empty()) return "-";
  text = text.substr(0, kLongest);
  if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    const bool harmless = static_cast<unsigned char>(c) >= ' ' && c != '"' && c != '\\' && c != 127;
    quoted += harmless ? c : '?';
  }
  return quoted + "\"";
}

void Audit::act(Right right, const Client& client, std::string_view from, std::string_view target,
                Result result) {
  const auto action = to_string(right);
  write(action, client.sub, client.jti, from, target, word_of(result));
  const std::lock_guard lock(mutex_);
  ++counts_.acts[{action, word_of(result)}];
}

void Audit::refused(const Refusal& refusal, std::string_view from, std::string_view target) {
  count(refusal.why);
  write("token", refusal.sub, refusal.jti, from, target, refusal.meaning().word);
}

void Audit::count(Refusal::Why why) {
  const std::lock_guard lock(mutex_);
  ++counts_.refused[Refusal::meaning(why).word];
}

Audit::Counts Audit::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace entente
