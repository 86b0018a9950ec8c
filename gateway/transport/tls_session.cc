#include "gateway/transport/tls_session.h"

#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <cerrno>

#include "topology/problems.h"

namespace entente {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr size_t kRecord = 16 << 10;  // the most that one record carries

// Its sentence is TlsSession::failure().
error_code tls_failed() { return make_error_code(boost::system::errc::protocol_error); }

int session_index() {
  static const int kIndex = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return kIndex;
}

tl::unexpected<Error> mismatch(std::string text, const char* tag = "") {
  return fail(Code::kMismatch, std::move(text), tag);
}

constexpr const char* kDenied = "denied";

// Alerts with which the other side refuses a certificate (RFC 8446, section 6.2).
bool refuses_certificate(int alert) {
  constexpr std::array kAlerts{
      SSL_AD_HANDSHAKE_FAILURE,   SSL_AD_BAD_CERTIFICATE,     SSL_AD_UNSUPPORTED_CERTIFICATE,
      SSL_AD_CERTIFICATE_REVOKED, SSL_AD_CERTIFICATE_EXPIRED, SSL_AD_CERTIFICATE_UNKNOWN,
      SSL_AD_UNKNOWN_CA,          SSL_AD_ACCESS_DENIED,       SSL_AD_CERTIFICATE_REQUIRED,
      SSL_AD_DECRYPT_ERROR};
  return std::find(kAlerts.begin(), kAlerts.end(), alert) != kAlerts.end();
}

std::string names_in(const Certificate& certificate) {
  auto names = certificate.hosts();
  if (names.size() > 10) names.resize(10);
  for (auto& name : names) name = in_quotes(name);
  return names.empty() ? "no host" : alternatives(names);
}

}  // namespace

Result<GatewayName> check_gateway(const Certificate& certificate, const PeerRule& rule) {
  auto name = certificate.name();
  if (!name) return name;
  if (name->cluster != rule.cluster) {
    return mismatch("its certificate is of cluster " + name->cluster + " (" + name->uri() +
                    "), and this is cluster " + rule.cluster);
  }
  if (!rule.dc.empty() && name->dc != rule.dc) {
    return mismatch("its certificate is " + name->dc + "'s (" + name->uri() +
                    "), and this is the address of " + rule.dc);
  }
  const std::string print = certificate.fingerprint();
  if (rule.denied.contains(print)) {
    return mismatch("its certificate (" + name->uri() + ", SHA-256 " + print +
                        ") is listed under security.denied",
                    kDenied);
  }
  return name;
}

Result<void> check_claim(const PeerCertificate* certificate, const std::string& dc) {
  if (certificate == nullptr || certificate->name.dc == dc) return {};
  return mismatch("it says that it is " + in_quotes(dc) + ", and its certificate is " +
                  certificate->name.dc + "'s (" + certificate->name.uri() + ")");
}

std::string chain_sentence(int error, const Certificate& certificate, TlsSession::Role role,
                           const PeerRule& rule) {
  const std::string its = "its certificate (" + certificate.who() + ") ";
  const std::string trusted =
      rule.kind == PeerRule::Kind::kHost
          ? ", which this machine does not trust: give the cluster's ca.crt with --ca"
          : ", which is not in the `ca` file here";
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return its + "has expired on " + utc_text(certificate.valid_until());
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return its + "is valid from " + utc_text(certificate.valid_from()) +
             " on: one of the two clocks is wrong, or it came too early";
    case X509_V_ERR_INVALID_PURPOSE:
      return its + "is not made for this: it lacks " +
             (role == TlsSession::Role::kAccepts ? "clientAuth" : "serverAuth");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return its + "is for " + names_in(certificate) + ", not for " + rule.host;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return its + "was issued by " + certificate.issuer() + trusted;
    default:
      return its + "is no good: " + X509_verify_cert_error_string(error);
  }
}

// ---- The wire ----------------------------------------------------------------------------------

// OpenSSL's own would raise SIGPIPE, and speak on with somebody who does not speak TLS.
const BIO_METHOD* TlsSession::wire_method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    BIO_meth_set_read(method, wire_read);
    BIO_meth_set_write(method, wire_write);
    BIO_meth_set_ctrl(method, wire_control);
    BIO_meth_set_create(method, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    return method;
  }();
  return kMethod;
}

int TlsSession::wire_read(BIO* bio, char* data, int size) {
  constexpr char kHandshakeRecord = 0x16;
  Wire& wire = *static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::recv(wire.descriptor, data, static_cast<size_t>(size), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    BIO_set_retry_read(bio);
  } else if (n < 0) {
    wire.error = errno;
  } else if (n == 0) {
    wire.ended = true;
  } else if (!std::exchange(wire.begun, true) && wire.accepts && data[0] != kHandshakeRecord) {
    wire.plain = true;
    return -1;
  }
  return static_cast<int>(n);
}

int TlsSession::wire_write(BIO* bio, const char* data, int size) {
  Wire& wire = *static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (wire.plain) return -1;
  const ssize_t n =
      ::send(wire.descriptor, data, static_cast<size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    BIO_set_retry_write(bio);
  } else if (n < 0) {
    wire.error = errno;
  }
  return static_cast<int>(n);
}

long TlsSession::wire_control(BIO* bio, int command, long, void*) {
  const Wire& wire = *static_cast<const Wire*>(BIO_get_data(bio));
  if (command == BIO_CTRL_EOF) return wire.ended ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// ---- The session -------------------------------------------------------------------------------

TlsSession::TlsSession(SSL_CTX* context, Role role, PeerRule rule,
                       std::shared_ptr<TlsCounts> counts)
    : role_(role), rule_(std::move(rule)), counts_(std::move(counts)), ssl_(SSL_new(context)) {
  wire_.accepts = role == Role::kAccepts;
  SSL_set_ex_data(ssl_.get(), session_index(), this);
  BIO* const bio = BIO_new(wire_method());
  BIO_set_data(bio, &wire_);
  SSL_set_bio(ssl_.get(), bio, bio);
  role == Role::kAccepts ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
  if (rule_.kind != PeerRule::Kind::kAnybody) {
    SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify);
  }
  if (rule_.kind != PeerRule::Kind::kHost) return;
  auto* const wanted = SSL_get0_param(ssl_.get());
  if (X509_VERIFY_PARAM_set1_ip_asc(wanted, rule_.host.c_str()) == 1) return;
  SSL_set1_host(ssl_.get(), rule_.host.c_str());
  SSL_set_tlsext_host_name(ssl_.get(), rule_.host.c_str());
}

TlsSession::~TlsSession() {
  if (counts_ && began_ && !established_ && failure_.empty()) ++counts_->abandoned;
}

// Called for each certificate of the chain, the leaf last, and for what is wrong with it.
int TlsSession::verify(int good, X509_STORE_CTX* context) {
  const auto* const ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& session = *static_cast<TlsSession*>(SSL_get_ex_data(ssl, session_index()));
  X509* const at = X509_STORE_CTX_get_current_cert(context);
  if (good == 0) {
    if (!session.verdict_.empty() || at == nullptr) return 0;
    session.verdict_ = chain_sentence(X509_STORE_CTX_get_error(context), Certificate(at),
                                      session.role_, session.rule_);
    return 0;
  }
  const bool leaf = X509_STORE_CTX_get_error_depth(context) == 0;
  if (!leaf || session.rule_.kind != PeerRule::Kind::kGateway) return 1;
  const auto name = check_gateway(Certificate(at), session.rule_);
  if (name) return 1;
  session.verdict_ = name.error().text;
  X509_STORE_CTX_set_error(context, name.error().tag == kDenied
                                        ? X509_V_ERR_CERT_REVOKED
                                        : X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

TlsAttempt TlsSession::handshake() {
  began_ = true;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    established_ = true;
    remember_peer();
    if (counts_) ++counts_->done;
    return {};
  }
  auto attempt = outcome(result);
  if (attempt.next != TlsAttempt::Next::kDone) return attempt;
  if (failure_.empty()) failure_ = "it hung up during the handshake: " + attempt.error.message();
  if (counts_) ++counts_->failed;
  return attempt;
}

// What has come already is one attempt, whatever records it is in.
TlsAttempt TlsSession::read(void* data, size_t size) {
  size_t taken = 0;
  do {
    ERR_clear_error();
    size_t n = 0;
    const int result = SSL_read_ex(ssl_.get(), static_cast<char*>(data) + taken, size - taken, &n);
    if (result != 1) {
      const auto ended = outcome(result);
      if (taken > 0) break;  // the next attempt meets it again
      return ended;
    }
    heard_ = true;
    taken += n;
  } while (taken < size && SSL_has_pending(ssl_.get()) == 1);
  return {TlsAttempt::Next::kDone, {}, taken};
}

TlsAttempt TlsSession::write(const void* data, size_t size) {
  size_t given = 0;
  while (given < size) {
    ERR_clear_error();
    size_t n = 0;
    const int result = SSL_write_ex(ssl_.get(), static_cast<const char*>(data) + given,
                                    std::min(size - given, kRecord), &n);
    if (result != 1) {
      const auto ended = outcome(result);
      if (given > 0) break;
      return ended;
    }
    given += n;
  }
  return {TlsAttempt::Next::kDone, {}, given};
}

void TlsSession::goodbye() {
  if (!established_ || !failure_.empty()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

bool TlsSession::gone() {
  ERR_clear_error();
  char byte = 0;
  const int result = SSL_peek(ssl_.get(), &byte, 1);
  return result <= 0 && outcome(result).next == TlsAttempt::Next::kDone;
}

TlsAttempt TlsSession::outcome(int result) {
  const int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ) return {TlsAttempt::Next::kWaitRead, {}, 0};
  if (error == SSL_ERROR_WANT_WRITE) return {TlsAttempt::Next::kWaitWrite, {}, 0};
  if (error == SSL_ERROR_ZERO_RETURN) return {TlsAttempt::Next::kDone, asio::error::eof, 0};
  const int reason = ERR_GET_REASON(ERR_peek_error());
  const bool cut = wire_.ended && (error == SSL_ERROR_SYSCALL || reason == 0 ||
                                   reason == SSL_R_UNEXPECTED_EOF_WHILE_READING);
  error_code code = tls_failed();
  if (wire_.error != 0) {
    code.assign(wire_.error, boost::system::system_category());
  } else if (cut) {
    code = asio::error::connection_reset;
  } else if (failure_.empty()) {
    explain();
  }
  ERR_clear_error();
  return {TlsAttempt::Next::kDone, code, 0};
}

void TlsSession::explain() {
  const unsigned long error = ERR_peek_error();
  const int reason = ERR_GET_REASON(error);
  if (!verdict_.empty()) {
    failure_ = verdict_;
  } else if (wire_.plain) {
    failure_ = "it does not speak TLS";
  } else if (reason >= SSL_AD_REASON_OFFSET) {
    refused_ = !heard_ && refuses_certificate(reason - SSL_AD_REASON_OFFSET);
    failure_ = explain_alert(reason - SSL_AD_REASON_OFFSET);
  } else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    failure_ = "it shows no certificate";
  } else if (reason == SSL_R_WRONG_VERSION_NUMBER && !established_) {
    failure_ = "it does not speak TLS";
  } else if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_NO_SHARED_CIPHER) {
    failure_ = "it speaks only an older TLS than is taken here";
  } else if (reason == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC ||
             reason == SSL_R_BAD_RECORD_TYPE) {
    failure_ = "what came was damaged on the way: a TLS record does not verify";
  } else {
    const char* const text = ERR_reason_error_string(error);
    failure_ = std::string("TLS failed: ") + (text != nullptr ? text : "no reason is known");
  }
}

std::string TlsSession::explain_alert(int alert) const {
  const std::string ours = [&] {
    X509* const mine = SSL_get_certificate(ssl_.get());
    return mine == nullptr ? std::string("no certificate") : Certificate(mine).who();
  }();
  const std::string shown = "this side's certificate (" + ours + ")";
  switch (alert) {
    case SSL_AD_CERTIFICATE_REQUIRED:
      return "the other side wants a certificate, and this side has none to show";
    case SSL_AD_UNKNOWN_CA:
      return "the other side does not know the CA of " + shown +
             (rule_.kind == PeerRule::Kind::kAnybody ? ": give it the cluster's ca.crt"
                                                     : ": its `ca` file must hold it");
    case SSL_AD_DECRYPT_ERROR:
      return "the other side cannot verify " + shown +
             ": the CA that it knows by that name has another key";
    case SSL_AD_CERTIFICATE_EXPIRED:
      return "the other side finds that " + shown + " has expired";
    case SSL_AD_CERTIFICATE_REVOKED:
      return "the other side has " + shown + " under security.denied";
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
      return "the other side finds that " + shown +
             " is not made for this: a gateway's has clientAuth and serverAuth";
    case SSL_AD_PROTOCOL_VERSION:
      return "the other side speaks no TLS version that this side does";
    case SSL_AD_BAD_RECORD_MAC:
      return "what was sent was damaged on the way: the other side could not verify a TLS record";
    default:
      if (refuses_certificate(alert)) {
        return "the other side does not take " + shown + ": its log says why (" +
               SSL_alert_desc_string_long(alert) + ")";
      }
      return std::string("the other side ended TLS: ") + SSL_alert_desc_string_long(alert);
  }
}

void TlsSession::remember_peer() {
  if (rule_.kind != PeerRule::Kind::kGateway) return;
  X509* const leaf = SSL_get0_peer_certificate(ssl_.get());
  if (leaf == nullptr) return;
  auto peer = std::make_shared<PeerCertificate>(PeerCertificate{Certificate(leaf), {}, {}, 0});
  peer->name = peer->leaf.name().value_or(GatewayName{});
  if (auto* const sent = SSL_get_peer_cert_chain(ssl_.get())) {
    peer->chain.reset(X509_chain_up_ref(sent));
  }
  peer->ends = peer->leaf.valid_until();
  const auto* const verified = SSL_get0_verified_chain(ssl_.get());
  for (int i = 0; verified != nullptr && i < sk_X509_num(verified); ++i) {
    peer->ends = std::min(peer->ends, Certificate(sk_X509_value(verified, i)).valid_until());
  }
  peer_ = std::move(peer);
}

}  // namespace entente
