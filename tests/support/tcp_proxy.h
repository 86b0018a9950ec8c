#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace entente::testing {

// Stands between two gateways on loopback and can be told to fail. While it is down it refuses new
// connections and has cut the old ones. While one way is blocked nothing passes that way, not even
// the end of a connection, as when a router loses one direction's packets; what was sent arrives
// when it is open again. Delayed and slow, what is on the way stays there when that ends.
//
// Threads: a thread of its own moves the bytes; tell it anything from any thread.
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
  // Both ways take so much longer.
  void delay(std::chrono::milliseconds by) { delay_ms_ = by.count(); }
  // Each way carries so much; 0: as much as it can.
  void slow_down(uint64_t bytes_per_second) { bytes_per_second_ = bytes_per_second; }
  // After every so many bytes that way, in the middle of whatever they are, the connection is cut,
  // or a bit of the last one is flipped; 0: never.
  void cut_every(Way way, uint64_t bytes) { cut_every_[index(way)] = bytes; }
  void flip_every(Way way, uint64_t bytes) { flip_every_[index(way)] = bytes; }
  // Everything as at first.
  void heal();

  // Moved so far, both ways together.
  uint64_t bytes() const { return bytes_; }
  uint64_t flips() const { return flips_; }
  uint64_t cuts() const { return cuts_; }

 private:
  using Clock = std::chrono::steady_clock;

  struct Piece {
    Clock::time_point due;
    std::string bytes;
  };
  // One way of one connection.
  struct Stream {
    int from = -1, to = -1;
    std::deque<Piece> pieces;  // by due
    size_t queued = 0;         // bytes of pieces
    bool ended = false;        // nothing more comes
  };
  struct Connection {
    Stream ways[2];  // by Way
    bool over = false;
  };

  static size_t index(Way way) { return static_cast<size_t>(way); }
  void run();
  void move(Connection& connection);
  bool receive(Stream& stream, size_t way);
  bool deliver(Stream& stream);
  bool spoil(size_t way, std::string& bytes);
  void accept();
  void cut_all();
  int next_due_ms() const;
  bool may_receive(const Connection& connection, size_t way) const;
  bool may_send(const Connection& connection, size_t way, Clock::time_point now) const;

  int target_port_;
  int port_ = 0;
  int listener_ = -1;
  std::atomic<bool> up_{true};
  std::atomic<bool> blocked_[2] = {false, false};  // by Way
  std::atomic<int64_t> delay_ms_{0};
  std::atomic<uint64_t> bytes_per_second_{0};
  std::atomic<uint64_t> cut_every_[2] = {0, 0}, flip_every_[2] = {0, 0};  // by Way
  uint64_t since_cut_[2] = {0, 0}, since_flip_[2] = {0, 0};               // of the thread
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> bytes_{0}, flips_{0}, cuts_{0};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> connections_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace entente::testing
