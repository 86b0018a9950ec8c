#include <mutex>

#include "tests/chaos/checks.h"
#include "tests/chaos/workload.h"

namespace entente::chaos {
namespace {

// Everybody counts a row of his own up at home and reads it elsewhere, carrying the session token:
// he reads his own writes, and never less than before (P9), or is refused.
class Session : public Workload {
 public:
  Session() : Workload("sessions") {}

  void begin(Actor& actor, const std::string& prefix) override {
    Workload::begin(actor, prefix);
    const std::lock_guard lock(mutex_);
    tokens_[actor.name] = {};
  }

  void step(Actor& actor) override {
    const std::string key = prefix() + "-" + actor.name;
    Token& mine = token_of(actor);
    if (actor.random.chance(0.5)) {
      const Write write =
          actor.at_home().put(table(), key, std::to_string(++mine.count), "", mine.token);
      if (write.outcome == Outcome::kAcknowledged) mine.token = actor.at_home().session();
      record(write);
      return;
    }
    Client& reader = actor.somewhere();
    const Shown shown = reader.get(table(), key, mine.token);
    if (!shown.answered) return;
    mine.token = shown.session;
    record(Read{actor.name, reader.dc(), shown.value ? Rows{{key, *shown.value}} : Rows(), {}});
  }

  Violations check(const History& history, const Finals& finals) const override {
    Violations out;
    struct Bounds {
      int64_t least = 0, most = 0;
    };
    std::map<std::string, Bounds> by_client;
    const auto note = [&](const Write& write) {
      Bounds& bounds = by_client[write.client];
      const int64_t n = std::stoll(*write.value);
      if (write.outcome == Outcome::kAcknowledged) bounds.least = n;
      if (write.outcome != Outcome::kRefused) bounds.most = n;
    };
    size_t written = 0;
    for (size_t i = 0; i < history.reads.size(); ++i) {
      for (; written < history.writes_before[i]; ++written) note(history.writes[written]);
      const Read& read = history.reads[i];
      Bounds& bounds = by_client[read.client];
      const int64_t n = read.rows.empty() ? 0 : std::stoll(read.rows.begin()->second);
      if (n < bounds.least || n > bounds.most) {
        out.push_back(read.client + " read " + std::to_string(n) + " at " + read.dc +
                      ": it had written or read " + std::to_string(bounds.least) +
                      ", and written no more than " + std::to_string(bounds.most));
      }
      bounds.least = std::max(bounds.least, n);
    }
    const auto all = by_key(history);
    for (const auto& [dc, state] : finals) {
      for (const auto& [key, writes] : all) {
        check_register(dc, state, key, writes, later, false, out);
      }
    }
    return out;
  }

 private:
  struct Token {
    std::string token;
    int64_t count = 0;
  };

  Token& token_of(const Actor& actor) {
    const std::lock_guard lock(mutex_);
    return tokens_[actor.name];
  }

  std::mutex mutex_;
  std::map<std::string, Token> tokens_;  // by client, who alone uses his
};

}  // namespace

std::unique_ptr<Workload> make_session() { return std::make_unique<Session>(); }

}  // namespace entente::chaos
