#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conflict/result.h"
#include "gateway/encoding/json.h"
#include "topology/config.h"

namespace entente {

// One SQL stream with a gateway, by Hrana over HTTP, which can move to another datacenter: what it
// has seen here it waits for there.
class SqlConnection {
 public:
  // kInvalid for what is no gateway's URL. Connects to nothing yet.
  static Result<SqlConnection> to(const std::string& url);

  // What a statement answered: columns and rows as Hrana has them, changed rows.
  struct Answer {
    std::vector<std::string> columns;
    std::vector<std::vector<Json>> rows;
    int64_t changed = 0;
  };
  // An error that the gateway tells, or that it cannot be reached: then the stream is lost.
  Result<Answer> execute(const std::string& sql);
  // Whether a transaction is open.
  bool in_transaction() const { return in_transaction_; }

  // The datacenters and where they serve clients; the first is this one.
  Result<std::vector<std::pair<std::string, std::string>>> datacenters();
  // Leaves the stream, and with it what is open in it.
  void move_to(const Endpoint& endpoint);
  bool tls() const { return endpoint_.tls; }

 private:
  explicit SqlConnection(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}

  Endpoint endpoint_;
  std::optional<std::string> baton_;
  std::string session_;
  bool in_transaction_ = false;
};

}  // namespace entente
