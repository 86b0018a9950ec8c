#include "gateway/transport/certificate.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "conflict/hex.h"
#include "topology/problems.h"
#include "topology/scalars.h"

namespace entente {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kBeforeDc = "/dc/";
constexpr size_t kLongestName = 200;  // of a subject in a sentence
constexpr uintmax_t kLongestFile = 1 << 20;

using NamesPtr = std::unique_ptr<GENERAL_NAMES, OpensslDeleter<GENERAL_NAMES_free>>;

std::string one_line(const X509_NAME* name) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  std::string line(text, static_cast<size_t>(std::max(size, 0l)));
  if (line.size() > kLongestName) line.resize(kLongestName);
  return line.empty() ? "no subject" : line;
}

int64_t seconds_of(const ASN1_TIME* time) {
  std::tm utc{};
  return ASN1_TIME_to_tm(time, &utc) == 1 ? timegm(&utc) : 0;
}

NamesPtr alternative_names(const X509* x509) {
  return NamesPtr(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x509, NID_subject_alt_name, nullptr, nullptr)));
}

std::string text_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

std::string address_of(const ASN1_STRING* bytes) {
  const int family = ASN1_STRING_length(bytes) == 4 ? AF_INET : AF_INET6;
  char text[INET6_ADDRSTRLEN] = {};
  const int size = ASN1_STRING_length(bytes);
  if (size != 4 && size != 16) return "";
  return inet_ntop(family, ASN1_STRING_get0_data(bytes), text, sizeof text) != nullptr ? text : "";
}

// What it may be used for, if it says so.
bool allows(X509* x509, uint32_t use) {
  const uint32_t uses = X509_get_extended_key_usage(x509);
  return uses == UINT32_MAX || (uses & use) != 0;
}

tl::unexpected<Error> mismatch(std::string text) { return fail(Code::kMismatch, std::move(text)); }

int no_password(char*, int, int, void*) { return 0; }

}  // namespace

Result<GatewayName> parse_gateway_name(std::string_view uri) {
  const auto wrong = [&] {
    return mismatch("its name " + in_quotes(uri) +
                    " is no gateway's: that is spiffe://CLUSTER/dc/DATACENTER");
  };
  std::string_view rest = uri;
  if (!rest.starts_with(kScheme)) return wrong();
  rest.remove_prefix(kScheme.size());
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return wrong();
  const auto cluster = parse_name(rest.substr(0, slash));
  rest.remove_prefix(slash);
  if (!cluster || !rest.starts_with(kBeforeDc)) return wrong();
  const auto dc = parse_name(rest.substr(kBeforeDc.size()));
  if (!dc) return wrong();
  return GatewayName{*cluster, *dc};
}

Certificate::Certificate(X509* shared) {
  X509_up_ref(shared);
  x509_.reset(shared);
}

std::string Certificate::subject() const { return one_line(X509_get_subject_name(get())); }
std::string Certificate::issuer() const { return one_line(X509_get_issuer_name(get())); }

std::string Certificate::fingerprint() const {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  X509_digest(get(), EVP_sha256(), digest, &size);
  return to_hex({reinterpret_cast<const char*>(digest), size});
}

std::string Certificate::key() const {
  EVP_PKEY* const key = X509_get0_pubkey(get());
  if (key == nullptr) return "unknown";
  if (EVP_PKEY_is_a(key, "RSA")) return "RSA " + std::to_string(EVP_PKEY_get_bits(key));
  char group[64] = {};
  size_t size = 0;
  if (EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1) {
    const std::string name(group, size);
    return name == "prime256v1" ? "P-256" : name;
  }
  const char* const name = EVP_PKEY_get0_type_name(key);
  return name != nullptr ? name : "unknown";
}

int64_t Certificate::valid_from() const { return seconds_of(X509_get0_notBefore(get())); }
int64_t Certificate::valid_until() const { return seconds_of(X509_get0_notAfter(get())); }
bool Certificate::is_ca() const { return X509_check_ca(get()) != 0; }
bool Certificate::may_accept() const { return allows(get(), XKU_SSL_SERVER | XKU_ANYEKU); }
bool Certificate::may_dial() const { return allows(get(), XKU_SSL_CLIENT | XKU_ANYEKU); }

std::vector<std::string> Certificate::uris() const {
  std::vector<std::string> out;
  const auto names = alternative_names(get());
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_URI) out.push_back(text_of(name->d.uniformResourceIdentifier));
  }
  return out;
}

std::vector<std::string> Certificate::hosts() const {
  std::vector<std::string> out;
  const auto names = alternative_names(get());
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) out.push_back(text_of(name->d.dNSName));
    if (name->type == GEN_IPADD) out.push_back(address_of(name->d.iPAddress));
  }
  return out;
}

Result<GatewayName> Certificate::name() const {
  const auto all = uris();
  if (all.size() == 1) return parse_gateway_name(all.front());
  return mismatch("its certificate (" + subject() + ") has " +
                  (all.empty() ? "no URI" : std::to_string(all.size()) + " URIs") +
                  " among its names: a gateway's has exactly one, spiffe://CLUSTER/dc/DATACENTER");
}

std::string Certificate::who() const {
  const auto known = name();
  return known ? known->uri() : subject();
}

Result<std::string> read_pem(const std::string& file) {
  std::error_code ec;
  const auto size = std::filesystem::file_size(file, ec);
  std::ifstream in(file, std::ios::binary);
  if (ec || !in) {
    return fail(Code::kInvalid, "cannot read " + file + ": " +
                                    (ec ? ec.message() : std::string(std::strerror(errno))));
  }
  if (size > kLongestFile) return fail(Code::kTooLarge, file + " is longer than 1 MiB");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Result<std::vector<Certificate>> parse_certificates(const std::string& pem,
                                                    const std::string& file) {
  const BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<Certificate> out;
  while (X509* const one = PEM_read_bio_X509(in.get(), nullptr, no_password, nullptr)) {
    out.emplace_back(X509Ptr(one));
  }
  const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string reason = openssl_reason();
  if (!ended) return fail(Code::kInvalid, file + " is damaged: " + reason);
  if (out.empty()) return fail(Code::kInvalid, file + " holds no certificate in PEM");
  return out;
}

Result<KeyPtr> parse_key(const std::string& pem, const std::string& file) {
  const BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  KeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_password, nullptr));
  if (key) return key;
  return fail(Code::kInvalid, file + " holds no private key in PEM that is readable without a " +
                                  "password: " + openssl_reason());
}

std::string utc_text(int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text;
}

}  // namespace entente
