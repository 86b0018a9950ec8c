#include "gateway/transport/tls_material.h"

#include <algorithm>
#include <utility>

namespace entente {
namespace {

using Role = TlsSession::Role;

// Forward secrecy and authenticated encryption; TLS 1.3 has nothing else.
constexpr const char* kTls12Ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr int kSlowKeyBits = 4096;

SslContextPtr new_context(int oldest) {
  SslContextPtr context(SSL_CTX_new(TLS_method()));
  SSL_CTX_set_min_proto_version(context.get(), oldest);
  SSL_CTX_set_cipher_list(context.get(), kTls12Ciphers);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_read_ahead(context.get(), 1);
  return context;
}

// A resumed session would not be verified again.
SslContextPtr gateway_context() {
  auto context = new_context(TLS1_3_VERSION);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

// Who offers protocols must offer the one that is spoken here.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* at = nullptr;
  const int found =
      SSL_select_next_proto(&at, size, kOurs, sizeof kOurs - 1, offered, offered_size);
  *chosen = at;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

SslContextPtr clients_context() {
  auto context = new_context(TLS1_2_VERSION);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  return context;
}

// Whether the CAs of `context` vouch for the certificate, as one that the other side of `role`
// shows.
Result<void> check_chain(SSL_CTX* trust, const Certificate& leaf, STACK_OF(X509) * chain, Role role,
                         const PeerRule& rule) {
  const StoreContextPtr checking(X509_STORE_CTX_new());
  X509_STORE_CTX_init(checking.get(), SSL_CTX_get_cert_store(trust), leaf.get(), chain);
  X509_STORE_CTX_set_default(checking.get(), role == Role::kAccepts ? "ssl_client" : "ssl_server");
  X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(checking.get()),
                                   SSL_CTX_get_security_level(trust));
  const bool good = X509_verify_cert(checking.get()) == 1;
  ERR_clear_error();
  if (good) return {};
  X509* const at = X509_STORE_CTX_get_current_cert(checking.get());
  return fail(Code::kMismatch,
              chain_sentence(X509_STORE_CTX_get_error(checking.get()),
                             Certificate(at != nullptr ? at : leaf.get()), role, rule));
}

PeerRule rule_of(const TlsConfig& files, const GatewayName& me) {
  PeerRule rule;
  rule.kind = PeerRule::Kind::kGateway;
  rule.cluster = me.cluster;
  rule.denied.insert(files.denied.begin(), files.denied.end());
  return rule;
}

tl::unexpected<Error> no_good(std::string text) { return fail(Code::kRefused, std::move(text)); }

}  // namespace

Result<TlsTexts> TlsTexts::read(const TlsConfig& files) {
  TlsTexts texts;
  for (const auto& [file, text] :
       {std::pair(&files.cert, &texts.cert), {&files.key, &texts.key}, {&files.ca, &texts.ca}}) {
    auto content = read_pem(*file);
    if (!content) return tl::unexpected(content.error());
    *text = std::move(*content);
  }
  return texts;
}

Result<std::shared_ptr<const TlsMaterial>> TlsMaterial::make(TlsTexts texts, const TlsConfig& files,
                                                             const GatewayName& me) {
  auto chain = parse_certificates(texts.cert, files.cert);
  if (!chain) return tl::unexpected(chain.error());
  const auto key = parse_key(texts.key, files.key);
  if (!key) return tl::unexpected(key.error());
  auto cas = parse_certificates(texts.ca, files.ca);
  if (!cas) return tl::unexpected(cas.error());
  const std::shared_ptr<TlsMaterial> made(
      new TlsMaterial(std::move(texts), std::move(*chain), std::move(*cas), rule_of(files, me)));
  for (SSL_CTX* context : {made->clients_.get(), made->gateways_.get(), made->dials_.get()}) {
    made->load(context, key->get());
  }
  if (auto ok = made->check_own(files, me, key->get()); !ok) return tl::unexpected(ok.error());
  return made;
}

TlsMaterial::TlsMaterial(TlsTexts texts, std::vector<Certificate> chain,
                         std::vector<Certificate> cas, PeerRule rule)
    : texts_(std::move(texts)),
      chain_(std::move(chain)),
      cas_(std::move(cas)),
      rule_(std::move(rule)),
      clients_(clients_context()),
      gateways_(gateway_context()),
      dials_(gateway_context()) {}

void TlsMaterial::load(SSL_CTX* context, EVP_PKEY* key) const {
  SSL_CTX_use_certificate(context, certificate().get());
  SSL_CTX_use_PrivateKey(context, key);
  for (size_t i = 1; i < chain_.size(); ++i) SSL_CTX_add1_chain_cert(context, chain_[i].get());
  for (const auto& ca : cas_) X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.get());
  ERR_clear_error();
}

Result<void> TlsMaterial::check_own(const TlsConfig& files, const GatewayName& me,
                                    EVP_PKEY* key) const {
  const auto& mine = certificate();
  const bool fits = X509_check_private_key(mine.get(), key) == 1;
  ERR_clear_error();
  if (!fits)
    return no_good("the key in " + files.key + " does not fit the certificate in " + files.cert);
  PeerRule wanted = rule_;
  wanted.dc = me.dc;
  const auto name = mine.name();
  if (!name) return no_good(files.cert + ": " + name.error().text);
  if (*name != me) {
    return no_good(files.cert + " is the certificate of " + name->uri() + ", and this gateway is " +
                   me.uri());
  }
  if (auto ok = check_gateway(mine, wanted); !ok) {
    return no_good(files.cert + ": " + ok.error().text);
  }
  STACK_OF(X509)* others = nullptr;
  SSL_CTX_get0_chain_certs(gateways_.get(), &others);
  for (const Role role : {Role::kAccepts, Role::kDials}) {
    const auto good = check_chain(gateways_.get(), mine, others, role, rule_);
    if (!good) return no_good(files.cert + ": " + good.error().text);
  }
  return {};
}

std::unique_ptr<TlsSession> TlsMaterial::accept_client(const Counts& counts) const {
  return std::make_unique<TlsSession>(clients_.get(), Role::kAccepts, PeerRule{}, counts);
}

std::unique_ptr<TlsSession> TlsMaterial::accept_gateway(const Counts& counts) const {
  return std::make_unique<TlsSession>(gateways_.get(), Role::kAccepts, rule_, counts);
}

std::unique_ptr<TlsSession> TlsMaterial::dial_gateway(const std::string& dc,
                                                      const Counts& counts) const {
  PeerRule rule = rule_;
  rule.dc = dc;
  return std::make_unique<TlsSession>(dials_.get(), Role::kDials, std::move(rule), counts);
}

Result<void> TlsMaterial::check_again(const PeerCertificate& peer, Role role) const {
  return check_gateway(peer.leaf, rule_).and_then([&](const GatewayName&) {
    return check_chain(gateways_.get(), peer.leaf, peer.chain.get(), role, rule_);
  });
}

bool TlsMaterial::is_of(const TlsTexts& texts, const TlsConfig& files) const {
  return texts == texts_ && std::set(files.denied.begin(), files.denied.end()) == rule_.denied;
}

int64_t TlsMaterial::ca_until() const {
  int64_t until = cas_.front().valid_until();
  for (const auto& ca : cas_) until = std::min(until, ca.valid_until());
  return until;
}

std::vector<std::string> TlsMaterial::warnings() const {
  std::vector<std::string> out;
  if (EVP_PKEY_get_bits(X509_get0_pubkey(certificate().get())) >= kSlowKeyBits) {
    out.push_back("its key is " + certificate().key() +
                  ": each connection costs ten times what it costs with P-256");
  }
  return out;
}

Result<SslContextPtr> client_context(const std::string& ca) {
  auto context = new_context(TLS1_2_VERSION);
  if (ca.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
    return context;
  }
  const auto pem = read_pem(ca);
  if (!pem) return tl::unexpected(pem.error());
  const auto cas = parse_certificates(*pem, ca);
  if (!cas) return tl::unexpected(cas.error());
  for (const auto& one : *cas) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), one.get());
  }
  ERR_clear_error();
  return context;
}

}  // namespace entente
