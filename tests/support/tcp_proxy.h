#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace entente::testing {

// Stands between two gateways on loopback and can be told to fail. While it is down it refuses new
// connections and has cut the old ones. While one way is blocked nothing passes that way, not even
// the end of a connection, as when a router loses one direction's packets; what was sent arrives
// when it is open again.
class TcpProxy {
 public:
  explicit TcpProxy(int target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const { return port_; }
  void set_up(bool up);
  enum class Way { kToTarget, kFromTarget };
  void block(Way way, bool blocked);
  // Moved so far, both ways together.
  uint64_t bytes() const { return bytes_; }

 private:
  void run();
  bool shovel(int from, int to);
  void cut_all();

  int target_port_;
  int port_ = 0;
  int listener_ = -1;
  std::atomic<bool> up_{true};
  std::atomic<bool> blocked_[2] = {false, false};  // by Way
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> bytes_{0};
  std::mutex mutex_;
  std::vector<std::pair<int, int>> pairs_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace entente::testing
