#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace entente::testing {

// Stands between two gateways on loopback and can be told to fail. While it is down it refuses new
// connections and has cut the old ones.
class TcpProxy {
 public:
  explicit TcpProxy(int target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const { return port_; }
  void set_up(bool up);
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
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> bytes_{0};
  std::mutex mutex_;
  std::vector<std::pair<int, int>> pairs_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace entente::testing
