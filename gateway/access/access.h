#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/access/audit.h"
#include "gateway/access/client.h"
#include "gateway/access/refusal.h"
#include "gateway/access/token_keys.h"
#include "topology/config.h"

namespace entente {

// Who is let in: the keys and the revoked tokens in force, and what is known of the tokens that
// came lately.
//
// Without `security.tokens` everybody may do everything.
//
// Threads: any.
// Bounds:  the verdicts of kVerdicts tokens; kAddresses addresses that sent wrong ones.
class Access {
 public:
  static constexpr size_t kVerdicts = 10'000;
  static constexpr size_t kAddresses = 10'000;
  // Of wrong tokens, from one address: past it, no unknown token of its is looked at.
  static constexpr uint32_t kWrongPerSecond = 10;

  using UnixSeconds = std::function<int64_t()>;
  explicit Access(const Config& config);
  Access(const Config& config, UnixSeconds clock);
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  bool needs_tokens() const { return settings_.has_value(); }

  // Reads the files of keys and of revoked tokens. After an error everything is as it was before.
  // What is new holds at once, also of tokens that were taken already.
  Result<void> reload();
  // The same, if their contents have changed, every ten seconds; it says so in the log. Call
  // several times a second.
  void tick();

  // `authorization`: the header, if there was one. `target`: for the audit line of a refusal.
  using Admission = tl::expected<ClientPtr, Refusal>;
  Admission admit(const std::optional<std::string>& authorization, std::string_view from,
                  std::string_view target);
  Admission admit_token(std::string_view token, std::string_view from, std::string_view target);
  // Whether his token is as good as it was.
  bool holds(const Client& client) const;

  Audit& audit() { return audit_; }
  const Audit& audit() const { return audit_; }
  uint64_t failed_reloads() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Rules {
    std::vector<TokenKey> keys;
    std::set<std::string, std::less<>> key_ids, revoked;
  };
  struct Wrong {
    int64_t second = 0;
    uint32_t tokens = 0;
  };
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  Result<std::vector<std::string>> read_files() const;
  Result<Rules> rules_of(std::vector<std::string> contents) const;
  void put_in_force(Rules rules);
  Admission decide(std::string_view token, std::string_view from);
  bool too_many_from(std::string_view from, int64_t now);
  void note_wrong(std::string_view from, int64_t now);
  void keep(std::string_view token, const ClientPtr& client);
  bool good(const Client& client, int64_t now) const;

  const std::optional<TokenSettings> settings_;
  const std::string cluster_;
  const UnixSeconds clock_;
  const ClientPtr everybody_;
  Audit audit_;

  std::mutex reloading_;
  std::vector<std::string> contents_;  // of the files, when they were last looked at
  Clock::time_point next_look_;

  mutable std::mutex mutex_;
  std::shared_ptr<const Rules> rules_;
  std::unordered_map<std::string, ClientPtr, TextHash, std::equal_to<>> verdicts_;
  std::map<std::string, Wrong, std::less<>> wrong_;
  uint64_t failed_reloads_ = 0;
};

}  // namespace entente
