#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "gateway/store/store.h"

namespace entente {

// Reads on the network thread itself: what is over before another thread would have woken. All that
// become ready in one round of the thread's loop share a snapshot, unless something became durable
// meanwhile: whoever was told of a change finds it.
//
// Threads: the network thread.
// Bounds:  after a job that took long (a slow disk, large rows) it does nothing for a while, so
// that
//          no client waits for another's disk.
class ShortReads {
 public:
  ShortReads(Store& store, boost::asio::any_io_executor executor);

  // Runs the job inside a snapshot; false, and nothing was done, if it should ask the Store.
  bool read(const std::function<void(Reader&)>& job);

 private:
  bool begin(uint64_t changes);
  void end();

  Store& store_;
  boost::asio::any_io_executor executor_;
  std::unique_ptr<Reader> reader_;
  bool open_ = false;
  uint64_t changes_ = 0;  // Store::changes() when the snapshot was taken
  Store::Clock::time_point paused_until_{};
};

}  // namespace entente
