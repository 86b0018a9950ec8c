#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tests/support/connection.h"

namespace entente::testing {

// Reads a change feed from 127.0.0.1, a line at a time. Blocking; a read that takes longer than
// 20 s is the feed's end.
class FeedClient {
 public:
  // `target`: what follows /v1/changes. `headers`: whole lines, each ending in \r\n. `received`:
  // bytes that the system may keep here unread; 0: as many as it likes.
  FeedClient(int port, std::string_view target, std::string_view headers = "",
             std::string_view version = "1.1", int received = 0);
  FeedClient(const FeedClient&) = delete;
  FeedClient& operator=(const FeedClient&) = delete;

  int status() const { return status_; }
  const std::string& head() const { return head_; }
  // The next whole line, without its end; nothing once the feed is over.
  std::optional<std::string> line();
  // The next line that is a transaction.
  std::optional<std::string> transaction();
  // After the last line: the server said that this was all, and sent no half line.
  bool whole() const { return ended_ && text_.empty(); }
  // The longest piece in which the server wrote.
  size_t longest_piece() const { return longest_piece_; }

 private:
  bool fill();
  void take_chunks();

  Connection connection_;
  int status_ = 0;
  bool chunked_ = false, ended_ = false;
  std::string head_, bytes_, text_;  // text_: of the body, in no line yet
  size_t longest_piece_ = 0;
};

// The value of a text member of a line.
std::string member(const std::string& line, std::string_view name);

// Where the feed is now.
std::string cursor_now(int port);
// Whether the log loses what came after the cursor, before a minute is over.
bool log_forgets(int port, const std::string& after);

}  // namespace entente::testing
