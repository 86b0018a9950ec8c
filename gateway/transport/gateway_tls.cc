#include "gateway/transport/gateway_tls.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <ctime>
#include <utility>

namespace entente {
namespace {

constexpr std::chrono::seconds kLookEvery{10};
// Two files are swapped by two renames: in between they do not fit each other.
constexpr std::chrono::seconds kLookAgain{1};
constexpr int64_t kDay = 24 * 3600;

// A certificate should be renewed when a third of its life is left.
bool ends_soon(const Certificate& certificate, int64_t now) {
  const int64_t life = certificate.valid_until() - certificate.valid_from();
  return certificate.valid_until() - now < life / 3;
}

}  // namespace

Result<std::shared_ptr<GatewayTls>> GatewayTls::open(const TlsConfig& files, GatewayName me) {
  auto material = TlsTexts::read(files).and_then(
      [&](TlsTexts texts) { return TlsMaterial::make(std::move(texts), files, me); });
  if (!material) return tl::unexpected(material.error());
  for (const auto& warning : (*material)->warnings()) {
    spdlog::warn("certificate_unwise dc={} file={} reason=\"{}\"", me.dc, files.cert, warning);
  }
  TlsConfig own = files;
  own.live.reset();
  return std::shared_ptr<GatewayTls>(
      new GatewayTls(std::move(own), std::move(me), std::move(*material)));
}

GatewayTls::GatewayTls(TlsConfig files, GatewayName me, std::shared_ptr<const TlsMaterial> material)
    : me_(std::move(me)), files_(std::move(files)), material_(std::move(material)) {}

GatewayTls::~GatewayTls() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void GatewayTls::watch() {
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void GatewayTls::look(std::vector<std::string> denied) {
  const std::lock_guard lock(mutex_);
  files_.denied = std::move(denied);
  asked_ = true;
  wake_.notify_all();
}

std::shared_ptr<const TlsMaterial> GatewayTls::current() const {
  const std::lock_guard lock(mutex_);
  return material_;
}

uint64_t GatewayTls::reload_failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

void GatewayTls::run() {
  for (;;) {
    warn_of_end();
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, told_ ? kLookEvery : kLookAgain, [this] { return stop_ || asked_; });
      if (stop_) return;
      asked_ = false;
    }
    reload();
  }
}

void GatewayTls::reload() {
  const TlsConfig now = files();
  auto texts = TlsTexts::read(now);
  if (!texts) return fail_reload(texts.error(), {});
  if (current()->is_of(*texts, now)) return settle();
  auto material = TlsMaterial::make(*texts, now, me_);
  if (!material) return fail_reload(material.error(), std::move(*texts));
  settle();
  warned_ = 0;
  spdlog::info("certificate_reloaded dc={} until=\"{}\" sha256={}", me_.dc,
               utc_text((*material)->certificate().valid_until()),
               (*material)->certificate().fingerprint());
  const std::lock_guard lock(mutex_);
  material_ = std::move(*material);
}

void GatewayTls::settle() {
  bad_.reset();
  told_ = true;
}

// Told when the same is still there at the next look, once.
void GatewayTls::fail_reload(const Error& why, TlsTexts found) {
  const bool seen = bad_ == found;
  bad_ = std::move(found);
  if (!seen) {
    told_ = false;
    return;
  }
  if (std::exchange(told_, true)) return;
  spdlog::error("certificate_not_reloaded dc={} reason=\"{}; what was read before stays in force\"",
                me_.dc, why.text);
  const std::lock_guard lock(mutex_);
  ++failures_;
}

TlsConfig GatewayTls::files() const {
  const std::lock_guard lock(mutex_);
  return files_;
}

void GatewayTls::warn_of_end() {
  const auto& mine = current()->certificate();
  const int64_t now = std::time(nullptr);
  if (!ends_soon(mine, now) || now - warned_ < kDay) return;
  warned_ = now;
  spdlog::warn("certificate_ends_soon dc={} file={} until=\"{}\" action=\"entente cert renew\"",
               me_.dc, files().cert, utc_text(mine.valid_until()));
}

}  // namespace entente
