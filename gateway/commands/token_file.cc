#include "gateway/commands/token_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "gateway/access/token.h"

namespace entente {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> failed(const fs::path& path, const char* what) {
  return fail(Code::kInvalid, path.string() + " " + what + ": " + std::strerror(errno));
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(file, text.data(), text.size());
    if (n < 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return ::fsync(file) == 0;
}

}  // namespace

Result<std::string> read_token_file(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  const auto others = fs::perms::others_read | fs::perms::others_write;
  if (fs::is_regular_file(status) && (status.permissions() & others) != fs::perms::none) {
    return fail(Code::kRefused, "everybody on this machine may read or write the token in " +
                                    path.string() + ": keep it to yourself with `chmod 600 " +
                                    path.string() + "`");
  }
  std::ifstream in(path);
  std::string token, more;
  if (!in.is_open()) return fail(Code::kNotFound, "cannot read the token file " + path.string());
  in >> token >> more;
  if (token.empty() || token.size() > kTokenBytesMax || !more.empty()) {
    return fail(Code::kInvalid, path.string() + " holds no token");
  }
  return token;
}

fs::path login_file(const Endpoint& endpoint) {
  const char *config = std::getenv("XDG_CONFIG_HOME"), *home = std::getenv("HOME");
  fs::path folder;
  if (config != nullptr && *config == '/') {
    folder = config;
  } else if (home != nullptr && *home == '/') {
    folder = fs::path(home) / ".config";
  } else {
    return {};
  }
  std::string name = endpoint.host + "_" + std::to_string(endpoint.port);
  for (char& c : name) {
    if (c == '/' || c == ':') c = '_';
  }
  return folder / "entente" / "tokens" / name;
}

Result<void> write_secret(const fs::path& path, const std::string& text) {
  const fs::path fresh = path.string() + ".new";
  ::unlink(fresh.c_str());
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return failed(fresh, "cannot be written");
  const bool written = write_all(file, text);
  if (::close(file) != 0 || !written || ::rename(fresh.c_str(), path.c_str()) != 0) {
    const auto why = failed(path, "cannot be written");
    ::unlink(fresh.c_str());
    return why;
  }
  return {};
}

}  // namespace entente
