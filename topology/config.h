#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conflict/policy.h"
#include "topology/limits.h"

namespace entente {

struct Endpoint {
  std::string host;
  uint16_t port = 0;  // 0: the system assigns one
  bool tls = false;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct Datacenter {
  std::string name;
  Endpoint peers;                        // where other gateways connect
  Endpoint clients;                      // where applications connect
  int priority = 0;                      // higher wins under policy `priority`
  std::string database_kind = "sqlite";  // sqlite | memory
  std::string database_path;             // absent in the file: <data>/<dc>.db
  uint8_t key_slot = 0;                  // its own part of the keys that databases number
};

enum class TopologyKind { kCircle, kStar, kAllToAll, kLinks };

// As the file says it.
constexpr std::string_view to_string(TopologyKind kind) {
  switch (kind) {
    case TopologyKind::kCircle:
      return "circle";
    case TopologyKind::kStar:
      return "star";
    case TopologyKind::kAllToAll:
      return "all-to-all";
    case TopologyKind::kLinks:
      break;
  }
  return "links";
}

struct TopologySpec {
  TopologyKind kind = TopologyKind::kAllToAll;
  std::vector<std::string> order;                          // circle
  bool both_ways = false;                                  // circle: changes travel both ways round
  std::string hub;                                         // star
  std::string backup_hub;                                  // star, optional
  std::vector<std::pair<std::string, std::string>> links;  // links
  bool reroute = true;
  std::chrono::milliseconds failover_after{3'000};
};

class GatewayTls;

// What a gateway proves with who it is, and by what it knows others (gateway/transport/).
struct TlsConfig {
  std::string cert, key, ca;        // PEM files, resolved against the file's folder; "": no TLS
  std::vector<std::string> denied;  // certificates that nobody takes: SHA-256, lower-case hex
  // What was read of the files, by who needs them. Null: nobody has.
  std::shared_ptr<GatewayTls> live;

  bool given() const { return !cert.empty(); }
};

// Who may ask a gateway (security.tokens). Files of a gateway's own machine.
struct TokenSettings {
  std::vector<std::string> keys;  // of public keys: whose tokens are good
  std::string revoked;            // of token ids (jti), one a line; "" none
};

// One file for the whole cluster, the same at every gateway. Made by load_config(), which checks
// everything: a Config that exists is consistent.
struct Config {
  std::string cluster;
  uint64_t epoch = 0;  // of the topology: 0 as the file has it, then one more with each change
  TopologySpec topology;
  std::vector<Datacenter> datacenters;  // in the file's order
  ConflictRules rules;
  bool insecure = false;
  TlsConfig tls;
  std::optional<TokenSettings> tokens;  // absent: whoever connects may do everything
  std::vector<std::string> cors;        // origins whose pages may ask this gateway
  std::string folder;                   // what relative paths in the file are relative to
  std::string schema_path;              // resolved against the file's folder; "" none
  std::string schema_leader;  // a datacenter; the first unless the file says otherwise …
  bool names_leader = false;  // … as it does here
  std::string file_rules;  // rules_fingerprint() of this gateway's own file; "": this is the file
  std::chrono::milliseconds max_clock_drift{10'000};
  Limits limits;

  const Datacenter* find(std::string_view dc) const;
};

}  // namespace entente
