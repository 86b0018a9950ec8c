#include "gateway/access/access.h"

#include <spdlog/spdlog.h>

#include <fstream>
#include <sstream>

#include "gateway/access/token.h"

namespace entente {
namespace {

using Why = Refusal::Why;

constexpr std::chrono::seconds kLookEvery{10};
constexpr size_t kFileBytesMax = 4u << 20;
constexpr std::string_view kBearer = "Bearer ";

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

ClientPtr whoever_comes() {
  auto client = std::make_shared<Client>();
  client->role = Right::kAdmin;
  client->tables = nullptr;
  return client;
}

bool is_bearer(std::string_view header) {
  if (header.size() <= kBearer.size()) return false;
  for (size_t i = 0; i < kBearer.size(); ++i) {
    if ((header[i] | 0x20) != (kBearer[i] | 0x20)) return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return "";
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  if (in.peek() != std::ifstream::traits_type::eof()) out << in.rdbuf();
  if (!in.is_open() || in.bad() || out.bad()) {
    return fail(Code::kInvalid, "the file " + path + " of security.tokens cannot be read",
                "token_file");
  }
  if (out.view().size() > kFileBytesMax) {
    return fail(Code::kTooLarge, "the file " + path + " is larger than 4 MiB", "token_file");
  }
  return std::move(out).str();
}

// A `jti` a line; what follows `#` is a remark.
void read_revoked(std::string_view text, std::set<std::string, std::less<>>& revoked) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = trimmed(line.substr(0, line.find('#')));
    if (!line.empty()) revoked.emplace(line);
  }
}

}  // namespace

Access::Access(const Config& config) : Access(config, unix_seconds) {}

Access::Access(const Config& config, UnixSeconds clock)
    : settings_(config.tokens),
      cluster_(config.cluster),
      clock_(std::move(clock)),
      everybody_(whoever_comes()),
      next_look_(Clock::now() + kLookEvery),
      rules_(std::make_shared<Rules>()) {}

// ---- Files -------------------------------------------------------------------------------------

Result<std::vector<std::string>> Access::read_files() const {
  std::vector<std::string> contents;
  if (!settings_) return contents;
  auto files = settings_->keys;
  if (!settings_->revoked.empty()) files.push_back(settings_->revoked);
  for (const auto& path : files) {
    auto text = read_file(path);
    if (!text) return tl::unexpected(text.error());
    contents.push_back(std::move(*text));
  }
  return contents;
}

Result<Access::Rules> Access::rules_of(std::vector<std::string> contents) const {
  Rules rules;
  if (!settings_) return rules;
  for (size_t i = 0; i < settings_->keys.size(); ++i) {
    auto keys = read_token_keys(std::move(contents[i]));
    if (!keys) {
      return fail(keys.error().code, settings_->keys[i] + ": " + keys.error().text,
                  keys.error().tag);
    }
    for (auto& key : *keys) {
      rules.key_ids.insert(key.id);
      rules.keys.push_back(std::move(key));
    }
  }
  if (!settings_->revoked.empty()) read_revoked(contents.back(), rules.revoked);
  return rules;
}

void Access::put_in_force(Rules rules) {
  const std::lock_guard lock(mutex_);
  rules_ = std::make_shared<const Rules>(std::move(rules));
  verdicts_.clear();
}

Result<void> Access::reload() {
  const std::lock_guard one_at_a_time(reloading_);
  auto contents = read_files();
  if (!contents) return tl::unexpected(contents.error());
  contents_ = *contents;
  auto rules = rules_of(std::move(*contents));
  if (!rules) return tl::unexpected(rules.error());
  put_in_force(std::move(*rules));
  return {};
}

void Access::tick() {
  if (!settings_ || Clock::now() < next_look_) return;
  next_look_ = Clock::now() + kLookEvery;
  const std::lock_guard one_at_a_time(reloading_);
  auto contents = read_files();
  const bool unread = !contents;
  // What cannot be read counts as contents, too: it is told once.
  std::vector<std::string> now = unread ? std::vector{contents.error().text} : *contents;
  if (now == contents_) return;
  contents_ = std::move(now);
  Result<Rules> rules =
      unread ? Result<Rules>(tl::unexpected(contents.error())) : rules_of(std::move(*contents));
  if (!rules) {
    spdlog::error("token_files_not_taken reason=\"{}\"", rules.error().text);
    const std::lock_guard lock(mutex_);
    ++failed_reloads_;
    return;
  }
  spdlog::info("token_files_taken keys={} revoked={}", rules->keys.size(), rules->revoked.size());
  put_in_force(std::move(*rules));
}

uint64_t Access::failed_reloads() const {
  const std::lock_guard lock(mutex_);
  return failed_reloads_;
}

// ---- Verdicts ----------------------------------------------------------------------------------

Access::Admission Access::admit(const std::optional<std::string>& authorization,
                                std::string_view from, std::string_view target) {
  if (!settings_) return everybody_;
  if (!authorization) {
    audit_.count(Why::kMissing);
    return tl::unexpected(Refusal{
        Why::kMissing,
        "this gateway wants a token (Authorization: Bearer …): `entente token new` makes one"});
  }
  if (!is_bearer(*authorization)) {
    Refusal refusal{Why::kMalformed, "one Authorization header is wanted, `Bearer` and a token"};
    audit_.refused(refusal, from, target);
    return tl::unexpected(std::move(refusal));
  }
  return admit_token(trimmed(std::string_view(*authorization).substr(kBearer.size())), from,
                     target);
}

Access::Admission Access::admit_token(std::string_view token, std::string_view from,
                                      std::string_view target) {
  if (!settings_) return everybody_;
  auto admission = decide(token, from);
  if (admission) return admission;
  const Refusal& refusal = admission.error();
  if (refusal.why == Why::kTooMany) {
    audit_.count(refusal.why);
  } else {
    audit_.refused(refusal, from, target);
  }
  return admission;
}

bool Access::good(const Client& client, int64_t now) const {
  return client.ends > now && (client.jti.empty() || !rules_->revoked.contains(client.jti)) &&
         rules_->key_ids.contains(client.key);
}

Access::Admission Access::decide(std::string_view token, std::string_view from) {
  const int64_t now = clock_();
  std::shared_ptr<const Rules> rules;
  {
    const std::lock_guard lock(mutex_);
    const auto known = verdicts_.find(token);
    // Another set of keys, or of revoked tokens, has emptied them.
    if (known != verdicts_.end() && known->second->ends > now) return known->second;
    if (known != verdicts_.end()) verdicts_.erase(known);
    if (too_many_from(from, now)) {
      return tl::unexpected(Refusal{
          Why::kTooMany, "too many wrong tokens came from this address: wait for a second"});
    }
    rules = rules_;
  }
  auto client = verify_token(token, rules->keys, cluster_, now);
  const bool revoked = client && rules->revoked.contains(client->jti);
  if (client && !revoked) {
    auto admitted = std::make_shared<const Client>(std::move(*client));
    const std::lock_guard lock(mutex_);
    if (rules_ == rules) keep(token, admitted);
    return admitted;
  }
  const std::lock_guard lock(mutex_);
  note_wrong(from, now);
  if (!revoked) return tl::unexpected(std::move(client.error()));
  return tl::unexpected(Refusal{Why::kRevoked, "the token was revoked: get another one",
                                std::move(client->sub), std::move(client->jti)});
}

void Access::keep(std::string_view token, const ClientPtr& client) {
  if (verdicts_.size() >= kVerdicts) verdicts_.erase(verdicts_.begin());
  verdicts_.emplace(token, client);
}

bool Access::too_many_from(std::string_view from, int64_t now) {
  const auto at = wrong_.find(from);
  return at != wrong_.end() && at->second.second == now && at->second.tokens >= kWrongPerSecond;
}

void Access::note_wrong(std::string_view from, int64_t now) {
  auto at = wrong_.find(from);
  if (at == wrong_.end()) {
    if (wrong_.size() >= kAddresses) {
      std::erase_if(wrong_, [&](const auto& one) { return one.second.second != now; });
    }
    if (wrong_.size() >= kAddresses) wrong_.erase(wrong_.begin());
    at = wrong_.emplace(from, Wrong{}).first;
  }
  if (at->second.second != now) at->second = {now, 0};
  ++at->second.tokens;
}

bool Access::holds(const Client& client) const {
  if (client.key.empty()) return true;  // it is no token that let him in
  const std::lock_guard lock(mutex_);
  return good(client, clock_());
}

}  // namespace entente
