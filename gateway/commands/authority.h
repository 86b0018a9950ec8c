#pragma once

#include <openssl/x509.h>

#include <string>
#include <vector>

#include "conflict/result.h"
#include "gateway/transport/certificate.h"

namespace entente {

using RequestPtr = std::unique_ptr<X509_REQ, OpensslDeleter<X509_REQ_free>>;

// What is needed to make certificates: keys on P-256, a CA of one cluster, and what it signs.
// Errors: kInvalid, what OpenSSL says.

Result<KeyPtr> new_key();
std::string key_pem(EVP_PKEY* key);
std::string certificate_pem(const Certificate& certificate);
std::string request_pem(X509_REQ* request);

// A CA that vouches for gateways of this cluster, and for no other CA.
Result<Certificate> make_ca(const std::string& cluster, EVP_PKEY* key, int days);

// What a gateway asks to be certified: its key, and who it says it is.
Result<RequestPtr> make_request(const GatewayName& name, EVP_PKEY* key);
struct Requested {
  GatewayName name;
  KeyPtr key;  // the public one, of which who asks has the private
};
Result<Requested> parse_request(const std::string& pem, const std::string& file);

struct Authority {
  Certificate certificate;
  KeyPtr key;
};

// A gateway's certificate: for both sides of a connection, under its URI and these host names and
// addresses.
Result<Certificate> certify(const Authority& ca, const GatewayName& name,
                            const std::vector<std::string>& hosts, EVP_PKEY* key, int days);

}  // namespace entente
