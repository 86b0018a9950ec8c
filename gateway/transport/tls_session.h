#pragma once

#include <atomic>
#include <boost/system/error_code.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "gateway/transport/certificate.h"

namespace entente {

// Handshakes of one gateway, by what came of them. Any thread.
struct TlsCounts {
  std::atomic<uint64_t> done{0}, failed{0}, abandoned{0};
};

// Whom a certificate must be of.
struct PeerRule {
  enum class Kind {
    kAnybody,  // no certificate is asked for
    kGateway,  // of this cluster, with one URI that says so
    kHost,     // the name or address that was dialled
  };
  Kind kind = Kind::kAnybody;
  std::string cluster;           // kGateway
  std::string dc;                // kGateway: only this one; "": any
  std::set<std::string> denied;  // kGateway: fingerprints
  std::string host;              // kHost
};

// Whether a gateway's certificate, whose chain is good, is of whom the rule wants. kMismatch.
Result<GatewayName> check_gateway(const Certificate& certificate, const PeerRule& rule);

// Who is at the other end, as its certificate proves.
struct PeerCertificate {
  Certificate leaf;
  ChainPtr chain;  // as it was sent
  GatewayName name;
  int64_t ends = 0;  // when the first of the certificates that vouch for it ends; Unix seconds
};

// Whether who has this certificate may speak as `dc`; without one, as is plain, anybody may.
// kMismatch.
Result<void> check_claim(const PeerCertificate* certificate, const std::string& dc);

// What came of trying an operation once: it is over, or it needs the descriptor to be readable or
// writable first, either of which any operation may.
struct TlsAttempt {
  enum class Next { kDone, kWaitRead, kWaitWrite };
  Next next = Next::kDone;
  boost::system::error_code error;  // kDone
  size_t bytes = 0;                 // kDone
};

// TLS over one descriptor, which is somebody else's: no call waits.
//
// Threads: one at a time; from one to another with its descriptor.
// Errors:  eof after the other side's goodbye; connection_reset without; otherwise `failure` says
//          in a sentence what happened.
class TlsSession {
 public:
  enum class Role { kAccepts, kDials };

  // `counts` may be null.
  TlsSession(SSL_CTX* context, Role role, PeerRule rule, std::shared_ptr<TlsCounts> counts);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Before anything else. REQUIRES: the descriptor is connected.
  void attach(int descriptor) { wire_.descriptor = descriptor; }

  TlsAttempt handshake();
  // `size` > 0.
  TlsAttempt read(void* data, size_t size);
  // Tries again with the same bytes, and maybe more behind them, after it had to wait.
  TlsAttempt write(const void* data, size_t size);
  // Says goodbye, as far as that goes without waiting.
  void goodbye();
  // The other side has said goodbye, or is gone.
  bool gone();

  bool established() const { return established_; }
  // The other side began with something that is no TLS, and was told nothing.
  bool spoke_plainly() const { return wire_.plain; }
  // The other side refused the certificate that it was shown: it has not heard a word.
  bool refused() const { return refused_; }
  const std::string& failure() const { return failure_; }
  // A gateway's, once established.
  const std::shared_ptr<const PeerCertificate>& peer() const { return peer_; }

 private:
  // What moves bytes.
  struct Wire {
    int descriptor = -1;
    bool accepts = false;
    bool begun = false;  // a byte has come
    bool plain = false;
    bool ended = false;  // the other side closed its direction
    int error = 0;       // errno
  };
  static const BIO_METHOD* wire_method();
  static int wire_read(BIO* bio, char* data, int size);
  static int wire_write(BIO* bio, const char* data, int size);
  static long wire_control(BIO* bio, int command, long, void*);
  static int verify(int good, X509_STORE_CTX* context);

  TlsAttempt outcome(int result);
  void explain();
  std::string explain_alert(int alert) const;
  void remember_peer();

  const Role role_;
  const PeerRule rule_;
  const std::shared_ptr<TlsCounts> counts_;
  Wire wire_;
  SslPtr ssl_;
  bool began_ = false;
  bool established_ = false;
  bool heard_ = false;  // a byte of the application's has come
  bool refused_ = false;
  std::string verdict_;  // why the other side's certificate is not taken
  std::string failure_;
  std::shared_ptr<const PeerCertificate> peer_;
};

// The sentence for an error of X509_verify_cert: of `certificate`, as `role` sees it.
std::string chain_sentence(int error, const Certificate& certificate, TlsSession::Role role,
                           const PeerRule& rule);

}  // namespace entente
