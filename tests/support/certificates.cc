#include "tests/support/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <random>

namespace entente::testing {
namespace {

constexpr int64_t kYear = 365 * 24 * 3600;

template <class Write>
std::string pem_of(Write write) {
  BIO* const out = BIO_new(BIO_s_mem());
  write(out);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out, &text);
  std::string pem(text, static_cast<size_t>(size));
  BIO_free(out);
  return pem;
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* blank(const std::string& name, EVP_PKEY* key, int64_t from, int64_t until) {
  X509* const made = X509_new();
  X509_set_version(made, 2);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), std::random_device{}());
  X509_gmtime_adj(X509_getm_notBefore(made), from);
  X509_gmtime_adj(X509_getm_notAfter(made), until);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_pubkey(made, key);
  return made;
}

std::string names(const TestCa::Wish& wish) {
  std::string out;
  for (const auto& uri : wish.uris) out += ",URI:" + uri;
  for (const auto& host : wish.hosts) out += ",DNS:" + host;
  return out.empty() ? out : out.substr(1);
}

}  // namespace

struct TestCa::Keys {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = nullptr;
};

TestCa::TestCa(const std::string& name) : keys_(std::make_unique<Keys>()) {
  X509* const ca = keys_->certificate = blank(name, keys_->key, -kYear, kYear);
  X509_set_issuer_name(ca, X509_get_subject_name(ca));
  extend(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
  extend(ca, ca, NID_subject_key_identifier, "hash");
  X509_sign(ca, keys_->key, EVP_sha256());
  pem_ = pem_of([&](BIO* out) { PEM_write_bio_X509(out, ca); });
}

TestCa::~TestCa() {
  X509_free(keys_->certificate);
  EVP_PKEY_free(keys_->key);
}

Issued TestCa::issue(const Wish& wish) const {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const leaf = blank("leaf", key, wish.from, wish.until);
  X509_set_issuer_name(leaf, X509_get_subject_name(keys_->certificate));
  extend(leaf, keys_->certificate, NID_basic_constraints, "critical,CA:FALSE");
  if (!wish.uses.empty()) extend(leaf, keys_->certificate, NID_ext_key_usage, wish.uses);
  if (!names(wish).empty()) {
    extend(leaf, keys_->certificate, NID_subject_alt_name, names(wish));
  }
  X509_sign(leaf, keys_->key, EVP_sha256());
  const Issued made{pem_of([&](BIO* out) { PEM_write_bio_X509(out, leaf); }), pem_of([&](BIO* out) {
                      PEM_write_bio_PKCS8PrivateKey(out, key, nullptr, nullptr, 0, nullptr,
                                                    nullptr);
                    })};
  X509_free(leaf);
  EVP_PKEY_free(key);
  return made;
}

}  // namespace entente::testing
