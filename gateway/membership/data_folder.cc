#include "gateway/membership/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <utility>

#include "conflict/context.h"

namespace entente {
namespace {

namespace fs = std::filesystem;

constexpr const char* kShipped = "shipped";

// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

tl::unexpected<Error> system_error(const std::string& what, const fs::path& path) {
  const int code = errno;
  return fail(code == ENOSPC || code == EDQUOT ? Code::kExhausted : Code::kRefused,
              what + " " + path.string() + ": " + std::strerror(code));
}

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

Result<void> write_all(int fd, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("cannot write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<void> sync_folder(const fs::path& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) return system_error("cannot sync", path);
  return {};
}

// Instead of a word that is not there.
constexpr const char* kNone = "-";
std::string word_of(const std::string& text) { return text.empty() ? kNone : text; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

Result<DataFolder> DataFolder::open(const fs::path& path) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (ec)
    return fail(Code::kRefused,
                "cannot make the data folder " + path.string() + ": " + ec.message());
  const fs::path lock = path / "lock";
  Descriptor fd(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (fd.get() < 0) return system_error("cannot open", lock);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Code::kBusy, "the data folder " + path.string() +
                                 " is in use by another gateway (pid " + first_line(lock) + ")");
  }
  if (::ftruncate(fd.get(), 0) != 0) return system_error("cannot write", lock);
  if (auto ok = write_all(fd.get(), std::to_string(::getpid()) + "\n", lock); !ok) {
    return tl::unexpected(ok.error());
  }
  return DataFolder(path, fd.release());
}

DataFolder::DataFolder(DataFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

DataFolder::~DataFolder() {
  if (lock_ >= 0) ::close(lock_);
}

Result<std::optional<Origin>> DataFolder::marker() const {
  const fs::path path = path_ / "incarnation";
  std::error_code ec;
  if (!fs::exists(path, ec) && !ec) return std::nullopt;
  const auto origin = parse_origin(first_line(path));
  if (!origin) return fail(Code::kCorrupt, path.string() + " does not hold an incarnation");
  return origin;
}

Result<void> DataFolder::write_marker(const Origin& incarnation) const {
  return write_line("incarnation", to_hex(incarnation));
}

Result<void> DataFolder::write_line(const char* file, const std::string& line) const {
  const fs::path path = path_ / file, temporary = path.string() + ".new";
  {
    const Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (fd.get() < 0) return system_error("cannot open", temporary);
    if (auto ok = write_all(fd.get(), line + "\n", temporary); !ok) return ok;
    if (::fsync(fd.get()) != 0) return system_error("cannot sync", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error("cannot write", path);
  return sync_folder(path_);
}

bool DataFolder::catching_up() const {
  std::error_code ec;
  return fs::exists(path_ / "catching_up", ec);
}

Result<void> DataFolder::set_catching_up(bool on) const {
  const fs::path path = path_ / "catching_up";
  if (on) {
    const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (fd.get() < 0) return system_error("cannot open", path);
  } else if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return system_error("cannot remove", path);
  }
  return sync_folder(path_);
}

std::optional<Unverified> DataFolder::unverified(const Origin& incarnation) const {
  std::istringstream in(first_line(path_ / "unverified"));
  std::string whose, shipped;
  Unverified what;
  if (!(in >> whose >> what.after) || whose != to_hex(incarnation)) return std::nullopt;
  what.shipped = in >> shipped && shipped == kShipped;
  return what;
}

Result<void> DataFolder::set_unverified(const Origin& incarnation, const Unverified& what) const {
  return write_line("unverified", to_hex(incarnation) + " " + std::to_string(what.after) +
                                      (what.shipped ? std::string(" ") + kShipped : ""));
}

Result<void> DataFolder::set_verified() const {
  const fs::path path = path_ / "unverified";
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("cannot remove", path);
  return sync_folder(path_);
}

Result<TopologyEpoch> DataFolder::topology_in(const fs::path& folder) {
  const fs::path path = folder / "topology";
  std::error_code ec;
  TopologyEpoch topology;
  if (!fs::exists(path, ec)) return topology;
  std::ifstream in(path);
  std::string token;
  std::string rest;
  const bool good = in >> topology.epoch >> token && std::getline(in, rest);
  std::istringstream(rest) >> topology.leader >> topology.file_rules;
  for (auto* word : {&topology.leader, &topology.file_rules}) {
    if (*word == kNone) word->clear();
  }
  auto sealed = parse_session_token(token);
  if (!good || !sealed) {
    return fail(Code::kCorrupt, path.string() + " does not hold a topology");
  }
  topology.sealed = std::move(*sealed);
  topology.yaml.assign(std::istreambuf_iterator<char>(in), {});
  if (topology.yaml.ends_with('\n')) topology.yaml.pop_back();  // the line's
  return topology;
}

Result<void> DataFolder::set_topology(const TopologyEpoch& topology) const {
  return write_line("topology", std::to_string(topology.epoch) + " " +
                                    session_token(topology.sealed.value_or(VersionVector())) + " " +
                                    word_of(topology.leader) + " " + word_of(topology.file_rules) +
                                    "\n" + topology.yaml);
}

Result<fs::path> DataFolder::keep_superseded(const TopologyEpoch& topology) const {
  constexpr const char* kName = "topology.superseded";
  return write_line(kName, topology.yaml).map([&] { return path_ / kName; });
}

std::string DataFolder::rejoined() const { return first_line(path_ / "rejoined"); }

Result<void> DataFolder::set_rejoined(const std::string& line) const {
  return write_line("rejoined", line);
}

std::optional<Origin> parse_origin(std::string_view hex) {
  Origin origin;
  if (hex.size() != 2 * origin.id.size()) return std::nullopt;
  for (size_t i = 0; i < origin.id.size(); ++i) {
    const int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    origin.id[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return origin;
}

Result<Origin> random_origin() {
  Origin origin;
  if (::getrandom(origin.id.data(), origin.id.size(), 0) !=
      static_cast<ssize_t>(origin.id.size())) {
    return fail(Code::kRefused, "the system gives no random bytes");
  }
  return origin;
}

}  // namespace entente
