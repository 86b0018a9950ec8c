#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace entente::testing {

struct Issued {
  std::string cert, key;  // PEM
};

// A CA that signs whatever it is asked to, right or wrong: what `entente cert` would not make.
class TestCa {
 public:
  explicit TestCa(const std::string& name);
  ~TestCa();

  struct Wish {
    std::vector<std::string> uris;
    std::string uses = "serverAuth,clientAuth";  // as openssl.cnf says it
    int64_t from = -3600, until = 24 * 3600;     // seconds from now
    std::vector<std::string> hosts = {"localhost"};
  };
  Issued issue(const Wish& wish) const;
  const std::string& pem() const { return pem_; }

 private:
  struct Keys;
  std::unique_ptr<Keys> keys_;
  std::string pem_;
};

}  // namespace entente::testing
