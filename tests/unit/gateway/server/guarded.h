#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "adapters/database.h"
#include "tests/support/process.h"
#include "tests/unit/gateway/access/test_key.h"
#include "tests/unit/gateway/server/http_client.h"
#include "tests/unit/gateway/server/served.h"

namespace entente::test {

// A gateway that wants tokens, and somebody who signs them. Over SQLite with the tables carts,
// orders and stock, a row each, unless it is given a database.
class Guarded {
 public:
  Guarded();
  explicit Guarded(std::unique_ptr<Database> database);

  Served& served() { return *served_; }
  uint16_t port() const { return served_->port(); }

  // `role`: "read", or a role and tables: R"(write","tables":{"carts":["read"]})" without the last
  // quote: what follows `"role":"`.
  std::string token(const std::string& role, const std::string& sub = "ada",
                    const std::string& jti = "1") const;
  static std::string header(const std::string& token) {
    return "Authorization: Bearer " + token + "\r\n";
  }
  void revoke(const std::string& jti);
  const TestKey& key() const { return key_; }

  // One SQL statement in a pipeline, closed or with its baton; the answer's body.
  std::string sql(const std::string& token, const std::string& statement);

 private:
  void serve(std::unique_ptr<Database> database);

  testing::TemporaryFolder folder_;
  TestKey key_;
  std::unique_ptr<Served> served_;
};

}  // namespace entente::test
