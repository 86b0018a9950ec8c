#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gateway/transport/tls_material.h"

namespace entente {

// A gateway's certificate, key and CAs as its files have them now. They are looked at every ten
// seconds, by what is in them, and when somebody asks; what is no good there leaves what was there
// before in force.
//
// Threads: any; one of its own reads the files.
class GatewayTls {
 public:
  // Reads the files once, and makes sure that they are good and `me`'s.
  static Result<std::shared_ptr<GatewayTls>> open(const TlsConfig& files, GatewayName me);
  ~GatewayTls();
  GatewayTls(const GatewayTls&) = delete;
  GatewayTls& operator=(const GatewayTls&) = delete;

  // From here on it looks.
  void watch();
  // … now, too; and nobody takes these certificates any more (TlsConfig::denied).
  void look(std::vector<std::string> denied);

  std::shared_ptr<const TlsMaterial> current() const;
  const std::shared_ptr<TlsCounts>& counts() const { return counts_; }
  // How often what the files hold was found to be no good.
  uint64_t reload_failures() const;
  const GatewayName& me() const { return me_; }

 private:
  GatewayTls(TlsConfig files, GatewayName me, std::shared_ptr<const TlsMaterial> material);
  void run();
  void reload();
  void fail_reload(const Error& why, TlsTexts found);
  void settle();
  TlsConfig files() const;
  void warn_of_end();

  const GatewayName me_;
  const std::shared_ptr<TlsCounts> counts_ = std::make_shared<TlsCounts>();
  // The thread's.
  std::optional<TlsTexts> bad_;  // found, and no good
  bool told_ = true;             // … which the log has
  int64_t warned_ = 0;           // Unix: of the end, last
  mutable std::mutex mutex_;     // guards what follows
  TlsConfig files_;
  std::condition_variable wake_;
  std::shared_ptr<const TlsMaterial> material_;
  uint64_t failures_ = 0;
  bool asked_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace entente
