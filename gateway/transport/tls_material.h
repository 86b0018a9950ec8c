#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/transport/tls_session.h"
#include "topology/config.h"

namespace entente {

// What is in a gateway's three files.
struct TlsTexts {
  std::string cert, key, ca;

  static Result<TlsTexts> read(const TlsConfig& files);
  friend bool operator==(const TlsTexts&, const TlsTexts&) = default;
};

// One reading of a gateway's certificate, key and CAs, checked, with what connections are made
// from. Never changed: another reading is another one, and connections keep the one that they began
// with.
//
// Threads: any.
// Source:  a context that is edited in place goes on to accept what it had accepted before.
class TlsMaterial {
 public:
  // Refused is a key that does not fit, a certificate that is not `me`'s, that `ca` does not vouch
  // for, that is not for both sides of a connection, or that is not valid now.
  static Result<std::shared_ptr<const TlsMaterial>> make(TlsTexts texts, const TlsConfig& files,
                                                         const GatewayName& me);

  using Counts = std::shared_ptr<TlsCounts>;
  std::unique_ptr<TlsSession> accept_client(const Counts& counts) const;
  std::unique_ptr<TlsSession> accept_gateway(const Counts& counts) const;
  std::unique_ptr<TlsSession> dial_gateway(const std::string& dc, const Counts& counts) const;

  // Whether who came in earlier would be let in now. kMismatch. `role`: ours.
  Result<void> check_again(const PeerCertificate& peer, TlsSession::Role role) const;

  // Whether making it again from these would give the same.
  bool is_of(const TlsTexts& texts, const TlsConfig& files) const;
  const Certificate& certificate() const { return chain_.front(); }
  int64_t ca_until() const;  // when the first of the CAs ends
  // What works, and should not stay so: sentences.
  std::vector<std::string> warnings() const;

 private:
  TlsMaterial(TlsTexts texts, std::vector<Certificate> chain, std::vector<Certificate> cas,
              PeerRule rule);
  Result<void> check_own(const TlsConfig& files, const GatewayName& me, EVP_PKEY* key) const;
  void load(SSL_CTX* context, EVP_PKEY* key) const;

  const TlsTexts texts_;
  const std::vector<Certificate> chain_, cas_;  // the gateway's own certificate first
  const PeerRule rule_;
  const SslContextPtr clients_, gateways_, dials_;
};

// A context for who dials servers by their host names. `ca`: a file of CAs; "": the system's.
Result<SslContextPtr> client_context(const std::string& ca);

}  // namespace entente
