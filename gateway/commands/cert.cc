#include "gateway/commands/cert.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>
#include <ostream>
#include <utility>

#include "gateway/commands/authority.h"
#include "gateway/commands/topology_file.h"
#include "gateway/transport/tls_material.h"
#include "topology/problems.h"
#include "topology/scalars.h"

namespace entente {
namespace {

namespace fs = std::filesystem;
using Members = std::vector<std::pair<std::string, std::string>>;

constexpr int kCaDays = 3653, kGatewayDays = 90;
constexpr mode_t kPrivate = 0600, kPublic = 0644;
constexpr int64_t kDay = 24 * 3600;

// ---- Files -------------------------------------------------------------------------------------

tl::unexpected<Error> cannot(const std::string& what, const fs::path& path) {
  return fail(Code::kRefused, "cannot " + what + " " + path.string() + ": " + std::strerror(errno));
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) text.remove_prefix(static_cast<size_t>(n));
  }
  return ::fsync(fd) == 0;
}

// Whole, or as it was before.
Result<void> write_file(const fs::path& path, std::string_view text, mode_t mode) {
  const fs::path part = path.string() + ".part";
  ::unlink(part.c_str());
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return cannot("make", part);
  const bool written = write_all(fd, text);
  const int error = errno;
  ::close(fd);
  if (written && ::rename(part.c_str(), path.c_str()) == 0) return {};
  if (!written) errno = error;
  auto why = cannot("write", path);
  ::unlink(part.c_str());
  return why;
}

Result<void> make_folder(const fs::path& folder) {
  std::error_code ec;
  if (fs::exists(folder, ec)) return {};
  if (::mkdir(folder.c_str(), 0700) == 0) return {};
  return cannot("make", folder);
}

Result<void> must_not_exist(const fs::path& path, const std::string& advice) {
  std::error_code ec;
  if (!fs::exists(path, ec)) return {};
  return fail(Code::kRefused, path.string() + " is there already: " + advice);
}

// ---- The topology file and the CA --------------------------------------------------------------

// What one command works on.
struct Scene {
  TopologyFile file;
  fs::path folder;
  std::vector<const Datacenter*> dcs;

  const Config& config() const { return *file.loaded.config; }
  fs::path ca_key() const { return folder / "ca.key"; }
  fs::path ca_crt() const { return folder / "ca.crt"; }
  fs::path of(const std::string& dc) const { return folder / dc; }
};

std::optional<Scene> scene_of(const CertOptions& options, std::ostream& err) {
  Scene scene{read_topology_file(options.file), options.folder, {}};
  if (!scene.file.loaded.config) {
    err << render_problems(scene.file, scene.file.loaded.problems);
    return std::nullopt;
  }
  if (scene.folder.empty()) scene.folder = scene.config().cluster + "-ca";
  for (const auto& name : options.dcs) {
    const Datacenter* const dc = find_datacenter(scene.file, name, err);
    if (dc == nullptr) return std::nullopt;
    scene.dcs.push_back(dc);
  }
  if (options.all) {
    for (const auto& dc : scene.config().datacenters) scene.dcs.push_back(&dc);
  }
  for (const auto& host : options.hosts) {
    if (parse_endpoint((host.find(':') == std::string::npos ? host : "[" + host + "]") + ":1")) {
      continue;
    }
    err << "entente: " << printable(host) << " is not a host name or an address\n";
    return std::nullopt;
  }
  return scene;
}

Result<Authority> read_authority(const Scene& scene) {
  std::error_code ec;
  if (!fs::exists(scene.ca_key(), ec)) {
    return fail(Code::kNotFound, "there is no CA in " + scene.folder.string() +
                                     ": make one by entente cert init " + scene.file.name +
                                     ", or say where it is with --folder");
  }
  const auto key_text = read_pem(scene.ca_key().string());
  if (!key_text) return tl::unexpected(key_text.error());
  auto key = parse_key(*key_text, scene.ca_key().string());
  if (!key) return tl::unexpected(key.error());
  const auto text = read_pem(scene.ca_crt().string());
  if (!text) return tl::unexpected(text.error());
  auto certificates = parse_certificates(*text, scene.ca_crt().string());
  if (!certificates) return tl::unexpected(certificates.error());
  const auto own = std::find_if(
      certificates->begin(), certificates->end(),
      [&](const Certificate& one) { return X509_check_private_key(one.get(), key->get()) == 1; });
  ERR_clear_error();
  if (own == certificates->end()) {
    return fail(Code::kRefused, "no certificate in " + scene.ca_crt().string() +
                                    " fits the key in " + scene.ca_key().string());
  }
  return Authority{std::move(*own), std::move(*key)};
}

// What others, and this host itself, reach a gateway by.
std::vector<std::string> hosts_of(const Datacenter& dc, const std::vector<std::string>& more) {
  std::vector<std::string> hosts;
  const auto add = [&](const std::string& host) {
    const bool wildcard = host == "0.0.0.0" || host == "::";
    if (wildcard || std::find(hosts.begin(), hosts.end(), host) != hosts.end()) return;
    hosts.push_back(host);
  };
  add(dc.peers.host);
  add(dc.clients.host);
  for (const auto& host : more) add(host);
  for (const char* host : {"localhost", "127.0.0.1", "::1"}) add(host);
  return hosts;
}

// As `serve` will look at it.
Result<void> check_made(const TlsTexts& texts, const fs::path& folder, const GatewayName& name) {
  TlsConfig files;
  files.cert = (folder / "node.crt").string();
  files.key = (folder / "node.key").string();
  files.ca = (folder / "ca.crt").string();
  return TlsMaterial::make(texts, files, name).map([](const auto&) {});
}

// ---- What is said ------------------------------------------------------------------------------

int failed(const Error& error, std::ostream& err) {
  err << "entente: " << printable(error.text) << "\n";
  return kDegraded;
}

struct Made {
  std::string who;
  fs::path where;
  std::string until;
  std::string note;
};

int say(const std::vector<Made>& all, OutputFormat format, std::ostream& out) {
  if (format == OutputFormat::kJson) {
    std::vector<std::string> items;
    for (const auto& made : all) {
      items.push_back(json_object(Members{{"who", json_text(made.who)},
                                          {"where", json_text(made.where.string())},
                                          {"until", json_text(made.until)},
                                          {"note", json_text(made.note)}}));
    }
    out << json_list(items) << "\n";
    return kFine;
  }
  std::vector<std::vector<std::string>> rows{{"WHO", "WHERE", "UNTIL", ""}};
  for (const auto& made : all) {
    rows.push_back({made.who, printable(made.where.string()), made.until, made.note});
  }
  out << aligned(rows);
  return kFine;
}

std::string day_of(int64_t seconds) { return utc_text(seconds).substr(0, 10); }

int64_t now_seconds() { return std::time(nullptr); }

// ---- Making ------------------------------------------------------------------------------------

// node.key, if there is a new one, node.crt and ca.crt of one datacenter.
Result<Made> put(const Scene& scene, const GatewayName& name, const Certificate& certificate,
                 EVP_PKEY* new_private_key, const std::string& note) {
  const fs::path folder = scene.of(name.dc);
  const auto ca = read_pem(scene.ca_crt().string());
  if (!ca) return tl::unexpected(ca.error());
  if (new_private_key != nullptr) {
    const TlsTexts texts{certificate_pem(certificate), key_pem(new_private_key), *ca};
    if (auto good = check_made(texts, folder, name); !good) return tl::unexpected(good.error());
  }
  return make_folder(folder)
      .and_then([&] {
        return new_private_key == nullptr
                   ? Result<void>{}
                   : write_file(folder / "node.key", key_pem(new_private_key), kPrivate);
      })
      .and_then(
          [&] { return write_file(folder / "node.crt", certificate_pem(certificate), kPublic); })
      .and_then([&] { return write_file(folder / "ca.crt", *ca, kPublic); })
      .map([&] {
        return Made{name.uri(), folder, day_of(certificate.valid_until()), note};
      });
}

Result<Made> issue(const Scene& scene, const Authority& ca, const Datacenter& dc,
                   const CertOptions& options) {
  const auto free =
      must_not_exist(scene.of(dc.name) / "node.crt", "entente cert renew makes the next one");
  if (!free) return tl::unexpected(free.error());
  const auto key = new_key();
  if (!key) return tl::unexpected(key.error());
  const GatewayName name{scene.config().cluster, dc.name};
  const int days = options.days > 0 ? options.days : kGatewayDays;
  const auto certificate = certify(ca, name, hosts_of(dc, options.hosts), key->get(), days);
  if (!certificate) return tl::unexpected(certificate.error());
  return put(scene, name, *certificate, key->get(), "node.crt node.key ca.crt");
}

Result<Made> renew(const Scene& scene, const Authority& ca, const Datacenter& dc,
                   const CertOptions& options) {
  const fs::path folder = scene.of(dc.name);
  const auto text = read_pem((folder / "node.crt").string());
  if (!text) return tl::unexpected(text.error());
  const auto old = parse_certificates(*text, (folder / "node.crt").string());
  if (!old) return tl::unexpected(old.error());
  const Certificate& last = old->front();
  const GatewayName name{scene.config().cluster, dc.name};
  const int64_t life = last.valid_until() - last.valid_from();
  if (!options.now && last.valid_until() - now_seconds() > life / 3) {
    return Made{name.uri(), folder, day_of(last.valid_until()), "good for long: left as it is"};
  }
  std::error_code ec;
  const bool key_is_here = fs::exists(folder / "node.key", ec);
  KeyPtr key;
  if (key_is_here) {
    auto made = new_key();
    if (!made) return tl::unexpected(made.error());
    key = std::move(*made);
  }
  auto hosts = last.hosts();
  hosts.insert(hosts.end(), options.hosts.begin(), options.hosts.end());
  const int days = options.days > 0 ? options.days : static_cast<int>(life / kDay);
  const auto certificate =
      certify(ca, name, hosts_of(dc, hosts), key ? key.get() : X509_get0_pubkey(last.get()),
              std::max(days, 1));
  if (!certificate) return tl::unexpected(certificate.error());
  return put(scene, name, *certificate, key.get(),
             key ? "node.crt node.key ca.crt" : "node.crt ca.crt, for the key that it has");
}

template <class Make>
int for_each_dc(const CertOptions& options, OutputFormat format, std::ostream& out,
                std::ostream& err, Make make) {
  const auto scene = scene_of(options, err);
  if (!scene) return kUsage;
  if (scene->dcs.empty()) {
    err << "entente: say which datacenters, or --all\n";
    return kUsage;
  }
  const auto ca = read_authority(*scene);
  if (!ca) return failed(ca.error(), err);
  std::vector<Made> all;
  for (const Datacenter* dc : scene->dcs) {
    auto made = make(*scene, *ca, *dc, options);
    if (!made) return failed(made.error(), err);
    all.push_back(std::move(*made));
  }
  return say(all, format, out);
}

// ---- Showing -----------------------------------------------------------------------------------

std::vector<std::string> not_good_for(const Certificate& one) {
  std::vector<std::string> out;
  const int64_t now = now_seconds();
  if (one.valid_until() <= now) out.push_back("anything: it has expired");
  if (one.valid_from() > now) {
    out.push_back("anything before " + utc_text(one.valid_from()));
  }
  if (one.is_ca()) {
    out.push_back("a gateway: it is a CA's");
    return out;
  }
  if (!one.may_dial()) {
    out.push_back("a gateway: it lacks clientAuth, and other gateways would refuse it");
  }
  if (!one.may_accept()) {
    out.push_back("a gateway: it lacks serverAuth, and whoever connects would refuse it");
  }
  if (const auto name = one.name(); !name) out.push_back("a gateway: " + name.error().text);
  if (one.hosts().empty()) out.push_back("clients and browsers: it names no host");
  return out;
}

std::string in_json(const fs::path& file, const Certificate& one) {
  return json_object(Members{{"file", json_text(file.string())},
                             {"who", json_text(one.who())},
                             {"subject", json_text(one.subject())},
                             {"issuer", json_text(one.issuer())},
                             {"ca", one.is_ca() ? "true" : "false"},
                             {"from", json_text(utc_text(one.valid_from()))},
                             {"until", json_text(utc_text(one.valid_until()))},
                             {"key", json_text(one.key())},
                             {"hosts", json_texts(one.hosts())},
                             {"sha256", json_text(one.fingerprint())},
                             {"not_good_for", json_texts(not_good_for(one))}});
}

void in_words(const fs::path& file, const Certificate& one, std::ostream& out) {
  const int64_t days = (one.valid_until() - now_seconds()) / kDay;
  std::vector<std::string> hosts = one.hosts();
  out << printable(file.string()) << "\n";
  const std::vector<std::vector<std::string>> rows{
      {"  who", printable(one.who())},
      {"  until",
       utc_text(one.valid_until()) + " (" + std::to_string(std::max<int64_t>(days, 0)) + " days)"},
      {"  hosts", printable(listed(hosts))},
      {"  issuer", printable(one.issuer())},
      {"  key", one.key()},
      {"  sha256", one.fingerprint()}};
  out << aligned(rows);
  for (const auto& line : not_good_for(one)) out << "  not good for " << printable(line) << "\n";
}

}  // namespace

int cert_init(const CertOptions& options, OutputFormat format, std::ostream& out,
              std::ostream& err) {
  const auto scene = scene_of(options, err);
  if (!scene) return kUsage;
  const auto key = new_key();
  if (!key) return failed(key.error(), err);
  const std::string& cluster = scene->config().cluster;
  const auto ca = make_ca(cluster, key->get(), options.days > 0 ? options.days : kCaDays);
  if (!ca) return failed(ca.error(), err);
  const auto done =
      must_not_exist(scene->ca_key(), "a cluster has one CA; entente cert issue uses it")
          .and_then([&] { return make_folder(scene->folder); })
          .and_then([&] { return write_file(scene->ca_key(), key_pem(key->get()), kPrivate); })
          .and_then([&] { return write_file(scene->ca_crt(), certificate_pem(*ca), kPublic); });
  if (!done) return failed(done.error(), err);
  return say({{"CA of " + cluster, scene->folder, day_of(ca->valid_until()),
               "ca.key: keep it secret, and a copy of it"}},
             format, out);
}

int cert_issue(const CertOptions& options, OutputFormat format, std::ostream& out,
               std::ostream& err) {
  return for_each_dc(options, format, out, err, issue);
}

int cert_renew(const CertOptions& options, OutputFormat format, std::ostream& out,
               std::ostream& err) {
  return for_each_dc(options, format, out, err, renew);
}

int cert_request(const CertOptions& options, OutputFormat format, std::ostream& out,
                 std::ostream& err) {
  const auto scene = scene_of(options, err);
  if (!scene || scene->dcs.size() != 1) return kUsage;
  const GatewayName name{scene->config().cluster, scene->dcs.front()->name};
  const fs::path folder = options.to.empty() ? fs::path(".") : options.to;
  const auto key = new_key();
  if (!key) return failed(key.error(), err);
  const auto request = make_request(name, key->get());
  if (!request) return failed(request.error(), err);
  const auto done =
      must_not_exist(folder / "node.key", "take it away first if it shall not be used any more")
          .and_then([&] { return make_folder(folder); })
          .and_then([&] { return write_file(folder / "node.key", key_pem(key->get()), kPrivate); })
          .and_then([&] {
            return write_file(folder / "node.csr", request_pem(request->get()), kPublic);
          });
  if (!done) return failed(done.error(), err);
  return say({{name.uri(), folder, "", "node.key stays here; node.csr is for entente cert sign"}},
             format, out);
}

int cert_sign(const CertOptions& options, OutputFormat format, std::ostream& out,
              std::ostream& err) {
  const auto scene = scene_of(options, err);
  if (!scene) return kUsage;
  const auto ca = read_authority(*scene);
  if (!ca) return failed(ca.error(), err);
  const auto text = read_pem(options.request.string());
  if (!text) return failed(text.error(), err);
  const auto requested = parse_request(*text, options.request.string());
  if (!requested) return failed(requested.error(), err);
  const std::string& cluster = scene->config().cluster;
  const Datacenter* const dc = scene->config().find(requested->name.dc);
  if (requested->name.cluster != cluster || dc == nullptr) {
    return failed({Code::kRefused,
                   options.request.string() + " is a request of " + requested->name.uri() +
                       ", which is no datacenter of cluster " + cluster,
                   ""},
                  err);
  }
  const int days = options.days > 0 ? options.days : kGatewayDays;
  const auto certificate =
      certify(*ca, requested->name, hosts_of(*dc, options.hosts), requested->key.get(), days);
  if (!certificate) return failed(certificate.error(), err);
  const auto made = put(*scene, requested->name, *certificate, nullptr,
                        "node.crt ca.crt, for the key on its host");
  if (!made) return failed(made.error(), err);
  return say({*made}, format, out);
}

int cert_show(const CertOptions& options, OutputFormat format, std::ostream& out,
              std::ostream& err) {
  std::vector<std::string> items;
  int code = kFine;
  for (const auto& file : options.certificates) {
    const auto text = read_pem(file.string());
    if (!text) return failed(text.error(), err);
    const auto all = parse_certificates(*text, file.string());
    if (!all) return failed(all.error(), err);
    for (const auto& one : *all) {
      if (one.valid_until() <= now_seconds()) code = kDegraded;
      if (format == OutputFormat::kJson) {
        items.push_back(in_json(file, one));
      } else {
        in_words(file, one, out);
      }
    }
  }
  if (format == OutputFormat::kJson) out << json_list(items) << "\n";
  return code;
}

}  // namespace entente
