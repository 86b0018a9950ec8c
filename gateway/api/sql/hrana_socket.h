#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "gateway/api/sql/hrana_job.h"
#include "gateway/http/web_socket.h"

namespace entente {

// SQL by WebSocket: Hrana 1, 2 and 3 in JSON, which differ in what a client asks for and not in how
// it is answered. A connection has any number of streams; the requests of one run in order, those
// of different streams side by side, so that one that waits for the writer keeps no other waiting.
//
// The hello's `jwt` says who asks; another hello, of the same client, goes on with a new token.
// When the token ends, so does the connection: 1008.
//
// Threads: the loop's.
// Bounds:  limits.body_bytes of requests that are not answered, each counted with kRequestOverhead:
//          past it nothing more is read. Many may wait for the writer, and whoever has it must be
//          heard. limits.streams over all connections.
class HranaSocket {
 public:
  static constexpr size_t kRequestOverhead = 1024;

  // `caller`: who opened the connection; a hello may say it better.
  HranaSocket(const Site& site, HranaStream::Counts& counts, WebSocket& socket, SqlCaller caller);
  ~HranaSocket();
  HranaSocket(const HranaSocket&) = delete;
  HranaSocket& operator=(const HranaSocket&) = delete;

  // Ends when the client is gone, its open transactions are rolled back and nothing runs any more.
  Task<void> serve();
  // Lets go of what was held for too long, and of a client whose token has ended.
  void expire();

 private:
  struct Cursor {
    std::deque<std::string> entries;  // not fetched yet
  };
  struct OpenCursor {
    HranaJob batch;
    std::shared_ptr<Cursor> cursor;
  };
  struct FetchCursor {
    std::shared_ptr<Cursor> cursor;
    size_t max_count = 0;
  };
  struct Finish {};  // of a cursor: in its turn, and nothing to do
  // What waits for its turn in a stream.
  struct Queued {
    int64_t request_id = 0;
    std::string type;
    size_t bytes = 0;  // counted as outstanding
    ClientPtr client;  // who asked: later hellos change nothing of that
    std::variant<HranaJob, OpenCursor, FetchCursor, Finish> work;
  };
  struct Stream {
    Stream(const Site& site, HranaStream::Counts& counts, SqlCaller caller)
        : sql(site, counts, std::move(caller)) {}
    HranaStream sql;
    std::deque<Queued> queue;
    bool running = false;
  };
  struct OwnedCursor {
    std::shared_ptr<Stream> stream;
    std::shared_ptr<Cursor> cursor;
  };
  // Why a connection is closed.
  struct Violation {
    WebSocket::Close code;
    std::string text;
  };
  using Obedience = tl::expected<void, Violation>;

  Task<void> listen();
  Task<Obedience> take(std::string text);
  Task<Obedience> take_hello(const Json& message);
  Access::Admission admit(const Json& message) const;
  Task<void> goodbye(Violation violation);
  Task<void> end_with_token();
  Task<Obedience> take_request(const Json& message);
  // True: it is done; false: it waits for its turn in a stream, and is answered then.
  Result<bool> begin(int64_t request_id, const std::string& type, const Json& request);
  Result<bool> open_stream(const Json& request);
  Result<bool> close_stream(int64_t request_id, const Json& request);
  Result<bool> open_cursor(int64_t request_id, const Json& request);
  Result<bool> fetch_cursor(int64_t request_id, const Json& request);
  Result<bool> close_cursor(int64_t request_id, const Json& request);
  Result<std::shared_ptr<Stream>> stream_of(const Json& request) const;
  void enqueue(const std::shared_ptr<Stream>& stream, Queued queued);
  Task<void> run(std::shared_ptr<Stream> stream);
  static std::string fetch(Cursor& cursor, size_t max_count);
  Task<HranaAnswer> run_one(HranaStream& sql, Queued queued);
  Task<void> answer(int64_t request_id, const std::string& type, HranaAnswer answer);
  void answered(size_t bytes);
  // Awaited by the reading side: until fewer bytes of requests are outstanding.
  struct Room;

  const Site& site_;
  HranaStream::Counts& counts_;
  WebSocket& socket_;
  SqlTexts texts_;
  std::map<int64_t, std::shared_ptr<Stream>> streams_;
  std::map<int64_t, OwnedCursor> cursors_;
  SqlCaller caller_;
  TaskGroup tasks_;
  size_t message_bytes_ = 0;  // of the one that is being read
  size_t outstanding_ = 0;
  size_t room_wanted_below_ = 0;  // somebody waits until fewer are outstanding; 0: nobody
  std::coroutine_handle<> waits_for_room_;
  bool greeted_ = false;
  bool closing_ = false;  // it was said goodbye
  bool gone_ = false;
};

}  // namespace entente
