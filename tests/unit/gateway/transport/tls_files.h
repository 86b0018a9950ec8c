#pragma once

#include <string>

#include "gateway/transport/tls_material.h"
#include "tests/support/certificates.h"

// A gateway's material for tests, of a cluster `shop`.
namespace entente::test {

inline const TlsConfig kFiles{"node.crt", "node.key", "ca.crt", {}, nullptr};

inline TlsTexts texts_of(const testing::TestCa& ca, const testing::Issued& issued) {
  return {issued.cert, issued.key, ca.pem()};
}

inline Result<std::shared_ptr<const TlsMaterial>> material(const testing::TestCa& ca,
                                                           const testing::TestCa::Wish& wish,
                                                           const std::string& dc) {
  return TlsMaterial::make(texts_of(ca, ca.issue(wish)), kFiles, {"shop", dc});
}

// Of a datacenter as it should be. REQUIRES: it is good.
inline std::shared_ptr<const TlsMaterial> material_of(const testing::TestCa& ca,
                                                      const std::string& dc) {
  return *material(ca, {{"spiffe://shop/dc/" + dc}}, dc);
}

}  // namespace entente::test
