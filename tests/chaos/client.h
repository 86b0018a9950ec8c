#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/chaos/history.h"
#include "tests/support/http_client.h"

namespace entente::chaos {

// A row as the row API shows it. No answer: nothing of it.
struct Shown {
  bool answered = false;  // 200 or 404
  int status = 0;
  std::optional<std::string> value;
  std::set<std::string> values;  // with ?siblings=all
  std::string context, session;
};

// One client's connection to one datacenter. Tables are (id TEXT PRIMARY KEY, v …). What it is told
// it makes a Write of; after an answer that was lost it waits until the gateway is there again, so
// that few outcomes are unknown. One thread at a time.
class Client {
 public:
  Client(std::string name, std::string dc, int port);

  const std::string& dc() const { return dc_; }

  // `context`: as a read showed it; "" for a write that shows none. `session`: a token.
  Write put(const std::string& table, const std::string& key, const std::string& value,
            const std::string& context = "", const std::string& session = "");
  Write erase(const std::string& table, const std::string& key, const std::string& context = "");
  Write resolve(const std::string& table, const std::string& key, const std::string& value,
                const std::string& context);
  Write increment(const std::string& table, const std::string& key, int64_t by);
  // Puts `value` into all rows, or erases them, in one transaction; `key` names them together.
  Write transaction(const std::string& table, const std::string& key,
                    const std::vector<std::string>& rows, const std::optional<std::string>& value);
  // SQL that writes one row.
  Write execute(const std::string& statement, const std::string& key, const std::string& value);

  Shown get(const std::string& table, const std::string& key, const std::string& session = "");
  // A query with two columns; nothing if there is no answer.
  std::optional<Rows> select(const std::string& query);
  // The values that the conflict log lists as not shown: losers, and rows whose UNIQUE key another
  // row holds.
  std::map<Dot, std::optional<std::string>> losers(const std::string& table);
  std::string body_of(const std::string& path);

  // The session token of the last answer.
  const std::string& session() const { return session_; }
  // The last answer's status and body.
  const testing::HttpResponse& last() const { return last_; }

 private:
  const testing::HttpResponse& ask(std::string_view method, const std::string& target,
                                   const std::string& body, const std::string& headers = "");
  Write written(std::string key, std::optional<std::string> value, const std::string& context);
  void wait_until_back();

  std::string name_, dc_, session_;
  testing::HttpClient http_;
  testing::HttpResponse last_;
};

}  // namespace entente::chaos
