#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace entente::testing {

// A TCP port on 127.0.0.1 that the system assigned; it stays this process's until that ends, for
// its own servers and those that it starts.
int free_port();

// A folder of its own, gone with the object: under `where` if that exists, otherwise under the
// system's temporary folder.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::filesystem::path& where = {});
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A child process with its output in a file; killed with the object, and with its parent.
class Process {
 public:
  Process(std::vector<std::string> command, std::filesystem::path output);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  bool running();
  void signal(int number);
  // Waits for it to end; its exit code, or -signal.
  int wait();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace entente::testing
