#include "gateway/commands/authority.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <functional>
#include <utility>

namespace entente {
namespace {

constexpr int kSerialBits = 127;        // positive in 16 bytes
constexpr long kClockDifference = 300;  // between this machine and those that look at it

using NumberPtr = std::unique_ptr<BIGNUM, OpensslDeleter<BN_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, OpensslDeleter<X509_EXTENSION_free>>;

inline void free_extensions(STACK_OF(X509_EXTENSION) * all) {
  sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
}
using ExtensionsPtr = std::unique_ptr<STACK_OF(X509_EXTENSION), OpensslDeleter<free_extensions>>;

tl::unexpected<Error> failed(const std::string& what) {
  return fail(Code::kInvalid, what + ": " + openssl_reason());
}

template <class Write>
std::string pem_of(Write write) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  write(out.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<size_t>(size)};
}

bool is_address(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// As X509V3_EXT_conf reads it.
std::string alternative_names(const std::string& uri, const std::vector<std::string>& hosts) {
  std::string names = "URI:" + uri;
  for (const auto& host : hosts) names += (is_address(host) ? ",IP:" : ",DNS:") + host;
  return names;
}

bool add_name(X509_NAME* name, const char* field, const std::string& text) {
  return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1,
                                    0) == 1;
}

bool set_serial(X509* certificate) {
  const NumberPtr number(BN_new());
  return BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// Everything but what it is for, and its signature.
X509Ptr blank(const std::string& organization, const std::string& name, EVP_PKEY* key, int days) {
  X509Ptr made(X509_new());
  X509_set_version(made.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -kClockDifference);
  X509_time_adj_ex(X509_getm_notAfter(made.get()), days, 0, nullptr);
  X509_NAME* const subject = X509_get_subject_name(made.get());
  const bool good = set_serial(made.get()) && X509_set_pubkey(made.get(), key) == 1 &&
                    add_name(subject, "O", organization) && add_name(subject, "CN", name);
  return good ? std::move(made) : X509Ptr();
}

std::string uri_in(STACK_OF(X509_EXTENSION) * extensions) {
  using NamesPtr = std::unique_ptr<GENERAL_NAMES, OpensslDeleter<GENERAL_NAMES_free>>;
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_STRING* const text = name->d.uniformResourceIdentifier;
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
            static_cast<size_t>(ASN1_STRING_length(text))};
  }
  return "";
}

}  // namespace

Result<KeyPtr> new_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return failed("cannot make a key");
  return key;
}

std::string key_pem(EVP_PKEY* key) {
  return pem_of([&](BIO* out) {
    PEM_write_bio_PKCS8PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string certificate_pem(const Certificate& certificate) {
  return pem_of([&](BIO* out) { PEM_write_bio_X509(out, certificate.get()); });
}

std::string request_pem(X509_REQ* request) {
  return pem_of([&](BIO* out) { PEM_write_bio_X509_REQ(out, request); });
}

Result<Certificate> make_ca(const std::string& cluster, EVP_PKEY* key, int days) {
  auto ca = blank(cluster, "entente CA of " + cluster, key, days);
  X509* const x = ca.get();
  const bool good = ca && X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
                    extend(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                    extend(x, x, NID_subject_key_identifier, "hash") &&
                    extend(x, x, NID_subject_alt_name, "URI:spiffe://" + cluster) &&
                    X509_sign(x, key, EVP_sha256()) > 0;
  if (!good) return failed("cannot make the CA's certificate");
  return Certificate(std::move(ca));
}

Result<RequestPtr> make_request(const GatewayName& name, EVP_PKEY* key) {
  RequestPtr request(X509_REQ_new());
  X509_NAME* const subject = X509_REQ_get_subject_name(request.get());
  const ExtensionsPtr extensions(sk_X509_EXTENSION_new_null());
  sk_X509_EXTENSION_push(extensions.get(),
                         X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                                             alternative_names(name.uri(), {}).c_str()));
  const bool good = add_name(subject, "O", name.cluster) && add_name(subject, "CN", name.dc) &&
                    X509_REQ_set_pubkey(request.get(), key) == 1 &&
                    X509_REQ_add_extensions(request.get(), extensions.get()) == 1 &&
                    X509_REQ_sign(request.get(), key, EVP_sha256()) > 0;
  if (!good) return failed("cannot make the request");
  return request;
}

Result<Requested> parse_request(const std::string& pem, const std::string& file) {
  const BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const RequestPtr request(PEM_read_bio_X509_REQ(in.get(), nullptr, nullptr, nullptr));
  if (!request) return failed(file + " holds no certificate request in PEM");
  KeyPtr key(X509_REQ_get_pubkey(request.get()));
  if (!key || X509_REQ_verify(request.get(), key.get()) != 1) {
    return failed(file + " is not signed with the key that it asks a certificate for");
  }
  const ExtensionsPtr extensions(X509_REQ_get_extensions(request.get()));
  auto name = parse_gateway_name(uri_in(extensions.get()));
  if (!name) return fail(Code::kInvalid, file + ": " + name.error().text);
  return Requested{std::move(*name), std::move(key)};
}

Result<Certificate> certify(const Authority& ca, const GatewayName& name,
                            const std::vector<std::string>& hosts, EVP_PKEY* key, int days) {
  auto made = blank(name.cluster, name.dc, key, days);
  X509 *const x = made.get(), *const issuer = ca.certificate.get();
  const bool good = made && X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1 &&
                    extend(x, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
                    extend(x, issuer, NID_key_usage, "critical,digitalSignature") &&
                    extend(x, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
                    extend(x, issuer, NID_subject_key_identifier, "hash") &&
                    extend(x, issuer, NID_authority_key_identifier, "keyid:always") &&
                    extend(x, issuer, NID_subject_alt_name, alternative_names(name.uri(), hosts)) &&
                    X509_sign(x, ca.key.get(), EVP_sha256()) > 0;
  if (!good) return failed("cannot make the certificate of " + name.dc);
  return Certificate(std::move(made));
}

}  // namespace entente
