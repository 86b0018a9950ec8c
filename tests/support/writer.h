#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "tests/support/cluster.h"

namespace entente::testing {

// What Writers write to.
inline constexpr char kItemsTable[] = "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT);";

// Puts rows of its own at a datacenter until it is told to stop; knows which were acknowledged.
// While the gateway is dead it goes on trying. The rows are `label`-0, `label`-1 …
class Writer {
 public:
  Writer(const Cluster& cluster, const std::string& dc, const std::string& label,
         std::chrono::milliseconds pause = {});
  Writer(const Cluster& cluster, const std::string& dc) : Writer(cluster, dc, dc) {}
  ~Writer() { stop(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void stop();
  std::set<std::string> acknowledged() const;

 private:
  void write();

  const std::string label_;
  const int port_;
  const std::chrono::milliseconds pause_;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::set<std::string> acknowledged_;  // guarded by mutex_
  std::thread thread_;
};

// The keys of the rows of `items` that a datacenter shows.
std::set<std::string> keys_at(const Cluster& cluster, const std::string& dc);

bool includes(const std::set<std::string>& all, const std::set<std::string>& some);

}  // namespace entente::testing
