#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "gateway/access/client.h"
#include "gateway/access/refusal.h"

namespace entente {

// Who did what: a log line for each act that needs a right to schema, operate or admin, and for
// each refused token. Never row contents, never a token.
//
//   audit action=schema sub=ada jti=7d… from=127.0.0.1 target="CREATE TABLE t" result=done
//
// Threads: any.
class Audit {
 public:
  enum class Result { kDone, kRefused, kFailed };

  // `right`: which the act needs.
  void act(Right right, const Client& client, std::string_view from, std::string_view target,
           Result result);
  // A token that was not taken, or a right that it does not give.
  void refused(const Refusal& refusal, std::string_view from, std::string_view target);
  // Another refusal, without a line: nobody was named, or there are too many of them.
  void count(Refusal::Why why);

  struct Counts {
    std::map<std::string_view, uint64_t> refused;                            // by the word for why
    std::map<std::pair<std::string_view, std::string_view>, uint64_t> acts;  // action, result
  };
  Counts counts() const;

 private:
  mutable std::mutex mutex_;
  Counts counts_;
};

// As a log line has it: in quotes unless it is a plain word; `-` for nothing.
std::string log_word(std::string_view text);

}  // namespace entente
