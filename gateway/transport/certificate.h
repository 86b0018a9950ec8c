#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conflict/result.h"
#include "gateway/transport/openssl_handles.h"

namespace entente {

// Who a gateway is: the only URI in its certificate, spiffe://<cluster>/dc/<datacenter>.
struct GatewayName {
  std::string cluster, dc;

  std::string uri() const { return "spiffe://" + cluster + "/dc/" + dc; }
  friend bool operator==(const GatewayName&, const GatewayName&) = default;
};

// Whole and exact: no other scheme, no port, nothing percent-encoded, no further segment.
Result<GatewayName> parse_gateway_name(std::string_view uri);

// An X.509 certificate, as far as anybody here looks at it. Times are Unix seconds.
class Certificate {
 public:
  explicit Certificate(X509Ptr x509) : x509_(std::move(x509)) {}
  // Another owner of the same.
  explicit Certificate(X509* shared);

  X509* get() const { return x509_.get(); }

  std::string subject() const;  // one line; what is no plain text in it is escaped
  std::string issuer() const;
  std::string fingerprint() const;  // SHA-256, lower-case hex
  std::string key() const;          // "P-256", "RSA 2048"
  int64_t valid_from() const;
  int64_t valid_until() const;
  bool is_ca() const;
  bool may_accept() const;  // serverAuth, or it does not say what it is for
  bool may_dial() const;    // clientAuth, the same

  // Subject alternative names.
  std::vector<std::string> uris() const;
  std::vector<std::string> hosts() const;  // DNS names and IP addresses

  // kMismatch: it has not exactly one URI, or that is no gateway's.
  Result<GatewayName> name() const;
  // "spiffe://shop/dc/tokyo", or the subject of what is no gateway's.
  std::string who() const;

 private:
  X509Ptr x509_;
};

// At most 1 MiB.
Result<std::string> read_pem(const std::string& file);
// All certificates in the PEM text of this file, in its order; at least one.
Result<std::vector<Certificate>> parse_certificates(const std::string& pem,
                                                    const std::string& file);
Result<KeyPtr> parse_key(const std::string& pem, const std::string& file);

// "2027-03-01 12:00:00 UTC"
std::string utc_text(int64_t unix_seconds);

}  // namespace entente
