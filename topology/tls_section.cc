#include <algorithm>

#include "topology/sections.h"

namespace entente {
namespace {

constexpr size_t kSha256Digits = 64;

// Where the file named by `key` is; "" if it is missing, which is reported.
std::string read_path(Fields& tls, const std::string& key, const std::string& example,
                      const std::filesystem::path& folder) {
  tls.require(key, key + ": " + example);
  const auto path = tls.word(key);
  return path ? (folder / path->text).lexically_normal().string() : "";
}

// As `openssl x509 -fingerprint -sha256` prints it, or plain: digits in lower case.
std::string digits_of(const std::string& text) {
  std::string digits;
  for (const char c : text) {
    if (c == ':') continue;
    digits.push_back(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
  }
  return digits;
}

bool is_fingerprint(const std::string& digits) {
  return digits.size() == kSha256Digits &&
         digits.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<std::string> read_denied(Fields& security, Problems& problems) {
  std::vector<std::string> denied;
  const auto words = security.words("denied");
  if (!words) return denied;
  for (const auto& word : *words) {
    denied.push_back(digits_of(word.text));
    if (is_fingerprint(denied.back())) continue;
    problems.add(word.place, in_quotes(word.text) +
                                 " is not the SHA-256 of a certificate: it is the 64 digits that "
                                 "`entente cert show` prints");
  }
  return denied;
}

}  // namespace

TlsConfig read_tls(Fields& security, const std::filesystem::path& folder, Problems& problems) {
  TlsConfig out;
  Fields fields = section(security, "tls", problems);
  out.cert = read_path(fields, "cert", "node.crt", folder);
  out.key = read_path(fields, "key", "node.key", folder);
  out.ca = read_path(fields, "ca", "ca.crt", folder);
  fields.finish();
  out.denied = read_denied(security, problems);
  return out;
}

}  // namespace entente
