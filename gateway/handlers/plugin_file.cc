#include "gateway/handlers/plugin_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "conflict/hex.h"

namespace entente {
namespace {

Result<Descriptor> sealed_memory(std::string_view bytes) {
  Descriptor memory(::memfd_create("plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (memory.get() < 0) return fail(Code::kExhausted, std::strerror(errno));
  while (!bytes.empty()) {
    const ssize_t n = ::write(memory.get(), bytes.data(), bytes.size());
    if (n <= 0) return fail(Code::kExhausted, std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (::fcntl(memory.get(), F_ADD_SEALS,
              F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)) {
    return fail(Code::kExhausted, std::strerror(errno));
  }
  return memory;
}

bool same_hex(const std::string& a, const std::string& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == y; });
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

int Descriptor::release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

Result<std::string> read_file(const std::filesystem::path& path, size_t largest) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return fail(Code::kInvalid, "it is a folder");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Code::kNotFound, std::strerror(errno));
  std::string bytes;
  std::array<char, 1 << 16> block;
  while (bytes.size() <= largest && (in.read(block.data(), block.size()), in.gcount() > 0)) {
    bytes.append(block.data(), static_cast<size_t>(in.gcount()));
  }
  if (in.bad()) return fail(Code::kInvalid, "it cannot be read");
  if (bytes.size() > largest) {
    return fail(Code::kTooLarge, "it is larger than " + std::to_string(largest) + " bytes");
  }
  return bytes;
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

Result<PluginFile> PluginFile::read(const std::filesystem::path& path,
                                    const std::string& expected) {
  const auto bytes = read_file(path, kLargest);
  if (!bytes) return tl::unexpected(bytes.error());
  std::string sha256 = sha256_hex(*bytes);
  if (!expected.empty() && !same_hex(expected, sha256)) {
    return fail(Code::kMismatch,
                "its sha256 is " + sha256 + ", not " + expected +
                    " as the topology file says: it is another file, or was changed");
  }
  auto memory = sealed_memory(*bytes);
  if (!memory) return tl::unexpected(memory.error());
  return PluginFile(std::move(*memory), std::move(sha256));
}

}  // namespace entente
