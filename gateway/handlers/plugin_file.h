#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "conflict/result.h"

namespace entente {

// A descriptor that is closed with the object.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  int get() const { return fd_; }
  int release();

 private:
  int fd_;
};

// The bytes of a plug-in as they were when the gateway started: a sealed file in memory, so that
// what was hashed is what is loaded, then and at every restart, whatever becomes of the file.
class PluginFile {
 public:
  static constexpr size_t kLargest = 64 << 20;  // bytes

  // `expected` in hex; "" accepts any.
  static Result<PluginFile> read(const std::filesystem::path& path, const std::string& expected);
  int fd() const { return memory_.get(); }
  const std::string& sha256() const { return sha256_; }

 private:
  PluginFile(Descriptor memory, std::string sha256)
      : memory_(std::move(memory)), sha256_(std::move(sha256)) {}
  Descriptor memory_;
  std::string sha256_;
};

// All of a file of at most `largest` bytes.
Result<std::string> read_file(const std::filesystem::path& path, size_t largest);

std::string sha256_hex(std::string_view bytes);

}  // namespace entente
