#include "gateway/membership/snapshot_download.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "gateway/api/introduction.h"
#include "gateway/async/wall_clock.h"
#include "gateway/encoding/json.h"
#include "gateway/http/http_caller.h"

namespace entente {
namespace {

constexpr size_t kAnswerBytes = 16 << 20;
constexpr HttpCaller::Patience kPatience{std::chrono::seconds(2), std::chrono::minutes(10)};
constexpr int kAttempts = 10;  // in a row, without a byte
constexpr std::chrono::milliseconds kPause{100};

struct Piece {
  std::string id;
  uint64_t bytes = 0, from = 0, latest_ms = 0;
  std::string_view content;
};

Result<Piece> read_piece(const std::string& body) {
  const auto damaged = [] {
    return fail(Code::kNotReached, "a piece of the snapshot arrived damaged", "damaged");
  };
  const size_t line = body.find('\n');
  if (line == std::string::npos) return damaged();
  std::string text = body.substr(0, line);
  const auto head = parse_json(text);
  const Json* bytes = head ? head->find("bytes") : nullptr;
  const Json* from = head ? head->find("from") : nullptr;
  const Json* latest = head ? head->find("latest_ms") : nullptr;
  for (const Json* number : {bytes, from, latest}) {
    if (number == nullptr || number->integer() == nullptr) return damaged();
  }
  Piece piece{text_of(*head, "id"), static_cast<uint64_t>(*bytes->integer()),
              static_cast<uint64_t>(*from->integer()), static_cast<uint64_t>(*latest->integer()),
              std::string_view(body).substr(line + 1)};
  const auto sum = XXH3_64bits(piece.content.data(), piece.content.size());
  if (text_of(*head, "checksum") != std::to_string(sum)) return damaged();
  return piece;
}

// The file that the pieces go to.
class Target {
 public:
  explicit Target(const std::filesystem::path& path)
      : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {}
  ~Target() {
    if (fd_ >= 0) ::close(fd_);
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  Result<void> put(std::string_view bytes, uint64_t at) const {
    while (fd_ >= 0 && !bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return failed();
      bytes.remove_prefix(static_cast<size_t>(n));
      at += static_cast<uint64_t>(n);
    }
    return fd_ >= 0 ? Result<void>() : failed();
  }
  Result<void> finish(uint64_t bytes) const {
    const bool done = ::ftruncate(fd_, static_cast<off_t>(bytes)) == 0 && ::fsync(fd_) == 0;
    return done ? Result<void>() : failed();
  }

 private:
  tl::unexpected<Error> failed() const {
    return fail(Code::kExhausted, "cannot write " + path_.string() + ": " + std::strerror(errno));
  }

  const std::filesystem::path path_;
  const int fd_;
};

// One question at a time, over a connection that is opened again after an error.
class Asker {
 public:
  Asker(const Config& config, const std::string& dc, const Datacenter& from, bool linked)
      : config_(config), introduction_(introduction_of(config, dc)), from_(from), linked_(linked) {}

  Result<HttpAnswer> ask(const std::string& id, uint64_t position) {
    if (!caller_) caller_.emplace(io_.get_executor(), to_gateway(config_, from_), kAnswerBytes);
    JsonWriter body;
    body.begin_object().member("id", id).key("from").unsigned_integer(position);
    body.key("linked").boolean(linked_).end_object();
    std::optional<Result<HttpAnswer>> answer;
    caller_->ask({"/v1/snapshot", body.take(), {{"Entente-Gateway", introduction_}}}, kPatience,
                 [&](Result<HttpAnswer> a) { answer = std::move(a); });
    io_.restart();
    while (!answer && io_.run_one() > 0) continue;
    if (!answer) answer = fail(Code::kNotReached, "the connection was lost");
    if (*answer) return std::move(*answer);
    caller_.reset();
    return fail(answer->error().code, answer->error().text);
  }

 private:
  const Config& config_;
  const std::string introduction_;
  const Datacenter& from_;
  const bool linked_;
  boost::asio::io_context io_;
  std::optional<HttpCaller> caller_;
};

// kBusy: it is making the copy.
Error refusal(const Datacenter& from, const HttpAnswer& answer) {
  std::string body = answer.body;
  const auto json = parse_json(body);
  const std::string why = json ? text_of(*json, "detail") : "";
  const std::string code = json ? text_of(*json, "code") : "";
  const bool busy = answer.status == 503 && code == "busy";
  return {answer.status == 404 ? Code::kNotFound
          : busy               ? Code::kBusy
                               : Code::kRefused,
          "datacenter " + from.name + " gives no snapshot: " +
              (why.empty() ? "HTTP status " + std::to_string(answer.status) : why),
          code};
}

// A clock that was wrong must not spread: what is written after a stamp is stamped after it, and
// refused by everybody else.
Result<void> check_stamps(const Config& config, const Datacenter& from, uint64_t latest_ms) {
  const uint64_t now = wall_ms();
  const auto drift = static_cast<uint64_t>(config.max_clock_drift.count());
  if (latest_ms <= now + drift) return {};
  return fail(Code::kRefused,
              "the database of " + from.name + " has changes stamped " +
                  std::to_string((latest_ms - now) / 1000) +
                  " s ahead of the clock here, past clock.max_drift: no copy of it is taken before "
                  "that time has come",
              "clock_ahead");
}

}  // namespace

Result<void> download_snapshot(const Config& config, const std::string& dc, const Datacenter& from,
                               bool linked, const std::filesystem::path& to,
                               const DownloadProgress& progress) {
  const Target target(to);
  Asker asker(config, dc, from, linked);
  std::string id;
  uint64_t have = 0, total = 0;
  bool there = false;
  for (int attempts = 0; attempts < kAttempts;) {
    if (!progress(have, total)) return fail(Code::kTimeout, "stopped");
    const auto answer = asker.ask(id, have);
    const bool reached = answer && answer->status == 200;
    const auto piece = reached  ? read_piece(answer->body)
                       : answer ? tl::unexpected(refusal(from, *answer))
                                : tl::unexpected(answer.error());
    if (answer && !reached && piece.error().code != Code::kBusy) {
      return tl::unexpected(piece.error());
    }
    if (!piece) {
      // Who was never reached is not waited for: another may be there.
      there = there || answer || answer.error().code != Code::kNotReached;
      if (!there) return tl::unexpected(answer.error());
      attempts += answer && !reached ? 0 : 1;  // it is busy making the copy
      if (attempts == kAttempts) return fail(Code::kNotReached, piece.error().text);
      std::this_thread::sleep_for(kPause * (attempts + 1));
      continue;
    }
    there = true;
    attempts = 0;
    if (auto taken = check_stamps(config, from, piece->latest_ms); !taken) return taken;
    if (piece->id != id) have = 0;
    if (piece->from != have || (piece->content.empty() && have < piece->bytes)) {
      return fail(Code::kRefused, "datacenter " + from.name + " sent another piece than asked for");
    }
    id = piece->id;
    total = piece->bytes;
    if (auto done = target.put(piece->content, have); !done) return done;
    have += piece->content.size();
    if (have >= total) break;
  }
  progress(have, total);
  return target.finish(total);
}

}  // namespace entente
