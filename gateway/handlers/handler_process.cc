#include "gateway/handlers/handler_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace entente {
namespace {

using std::chrono::milliseconds;

// Above the descriptors that the process begins with, so that none is overwritten on the way.
constexpr int kOutOfTheWay = 16;
constexpr int kEndingTakesMs = 500;  // at most

tl::unexpected<Error> cannot_start(int error) {
  return fail(Code::kExhausted,
              std::string("its process cannot be started: ") + std::strerror(error));
}

// What posix_spawn is told, given back with the object.
class Spawn {
 public:
  Spawn(int socket, int plugin) {
    posix_spawn_file_actions_init(&files_);
    posix_spawnattr_init(&attributes_);
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      posix_spawn_file_actions_addopen(&files_, standard, "/dev/null", O_RDWR, 0);
    }
    posix_spawn_file_actions_adddup2(&files_, socket, kHostSocket);
    posix_spawn_file_actions_adddup2(&files_, plugin, kHostPlugin);
    // A group of its own, and the signals as a program expects them: Ctrl-C is for the gateway.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~Spawn() {
    posix_spawn_file_actions_destroy(&files_);
    posix_spawnattr_destroy(&attributes_);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;

  // With an empty environment: it may hold secrets.
  int run(const std::filesystem::path& program, pid_t& pid) {
    std::string name = "entente", command = "handler-host";
    char* arguments[] = {name.data(), command.data(), nullptr};
    char* environment[] = {nullptr};
    return posix_spawn(&pid, program.c_str(), &files_, &attributes_, arguments, environment);
  }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

Descriptor moved_away(int fd) { return Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, kOutOfTheWay)); }

std::string how_it_ended(int status) {
  if (!WIFSIGNALED(status)) return "its process ended";
  const int signal = WTERMSIG(status);
  if (signal == SIGSYS) {
    return "its process was killed because it asked for a file, a socket, a thread or a process";
  }
  return std::string("its process crashed: ") + ::strsignal(signal);
}

// A process whose socket is closed is ending, unless its plug-in closed it.
bool ends_soon(pid_t pid) {
  const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  return process.get() >= 0 && ::poll(&ended, 1, kEndingTakesMs) == 1;
}

}  // namespace

Result<std::unique_ptr<HandlerProcess>> HandlerProcess::start(const std::filesystem::path& program,
                                                              const PluginFile& plugin,
                                                              const Beginning& beginning,
                                                              milliseconds patience) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return cannot_start(errno);
  Descriptor ours(pair[0]), theirs(pair[1]);
  Descriptor socket = moved_away(theirs.get());
  const Descriptor file = moved_away(plugin.fd());
  if (socket.get() < 0 || file.get() < 0) return cannot_start(errno);
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);

  pid_t pid = -1;
  if (const int error = Spawn(socket.get(), file.get()).run(program, pid); error != 0) {
    return cannot_start(error);
  }
  theirs = Descriptor();  // so that its end is seen
  socket = Descriptor();
  std::unique_ptr<HandlerProcess> out(new HandlerProcess(pid, std::move(ours)));
  const auto opened = out->ask(encode_beginning(beginning), patience);
  if (!opened) return tl::unexpected(opened.error());
  if (!*opened) return tl::unexpected(opened->error());
  return out;
}

HandlerProcess::~HandlerProcess() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Result<Result<Decision>> HandlerProcess::ask(std::string_view request, milliseconds patience) {
  const Deadline deadline = std::chrono::steady_clock::now() + patience;
  if (auto sent = send_frame(socket_.get(), request, &deadline); !sent) {
    if (sent.error().code == Code::kTooLarge) return tl::unexpected(sent.error());
    return tl::unexpected(post_mortem(sent.error()));
  }
  const auto frame = receive_frame(socket_.get(), &deadline);
  if (!frame) return tl::unexpected(post_mortem(frame.error()));
  auto reply = decode_reply(*frame);
  if (!reply) return tl::unexpected(post_mortem(reply.error()));
  return reply;
}

Error HandlerProcess::post_mortem(const Error& error) {
  const bool alone = error.tag == kGone && ends_soon(pid_);
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return {error.code, alone ? how_it_ended(status) : error.text, "failed"};
}

}  // namespace entente
