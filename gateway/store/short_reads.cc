#include "gateway/store/short_reads.h"

#include <boost/asio/post.hpp>

namespace entente {
namespace {

constexpr std::chrono::milliseconds kLong{1}, kPause{250};

}  // namespace

ShortReads::ShortReads(Store& store, boost::asio::any_io_executor executor)
    : store_(store), executor_(std::move(executor)) {}

bool ShortReads::read(const std::function<void(Reader&)>& job) {
  const auto began = Store::Clock::now();
  if (began < paused_until_) return false;
  const uint64_t changes = store_.changes();
  if (open_ && changes != changes_) end();
  if (!open_ && !begin(changes)) return false;
  job(*reader_);
  const auto ended = Store::Clock::now();
  if (ended - began > kLong) paused_until_ = ended + kPause;
  return true;
}

// What is ready now runs before what is posted now.
bool ShortReads::begin(uint64_t changes) {
  if (!reader_) {
    auto reader = store_.database().reader();
    if (!reader) return false;
    reader_ = std::move(*reader);
  }
  if (!reader_->begin()) return false;
  open_ = true;
  changes_ = changes;
  boost::asio::post(executor_, [this] { end(); });
  return true;
}

void ShortReads::end() {
  if (std::exchange(open_, false)) reader_->end();
}

}  // namespace entente
