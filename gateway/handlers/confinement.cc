#include "gateway/handlers/confinement.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <memory>

namespace entente {
namespace {

constexpr rlim_t kStack = 8 << 20;
constexpr rlim_t kDescriptors = 16;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitsMemory = false;  // their shadow takes terabytes of addresses
#else
constexpr bool kLimitsMemory = true;
#endif

tl::unexpected<Error> failed(const char* what, int error) {
  return fail(Code::kRefused,
              std::string("it cannot be confined: ") + what + ": " + std::strerror(error));
}

Result<void> limit(decltype(RLIMIT_AS) resource, rlim_t most) {
  const rlimit both{most, most};
  if (::setrlimit(resource, &both) != 0) return failed("setrlimit", errno);
  return {};
}

// Addresses in use, in bytes.
rlim_t address_space() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

// A list of system calls and what becomes of those that are not in it.
class Filter {
 public:
  explicit Filter(uint32_t otherwise) : context_(::seccomp_init(otherwise), ::seccomp_release) {
    if (!context_) error_ = ENOMEM;
  }

  Filter& allow(std::initializer_list<int> calls) {
    for (const int call : calls) add(SCMP_ACT_ALLOW, call, {});
    return *this;
  }
  Filter& allow_if(int call, std::initializer_list<scmp_arg_cmp> conditions) {
    return add(SCMP_ACT_ALLOW, call, conditions);
  }
  Filter& kill(std::initializer_list<int> calls) {
    for (const int call : calls) add(SCMP_ACT_KILL_PROCESS, call, {});
    return *this;
  }

  Result<void> load() {
    if (error_ == 0) note(::seccomp_load(context_.get()));
    if (error_ != 0) return failed("seccomp", error_);
    return {};
  }

 private:
  Filter& add(uint32_t action, int call, std::initializer_list<scmp_arg_cmp> conditions) {
    if (error_ == 0) {
      note(::seccomp_rule_add_array(context_.get(), action, call,
                                    static_cast<unsigned>(conditions.size()), conditions.begin()));
    }
    return *this;
  }
  void note(int result) {
    if (result < 0) error_ = -result;
  }

  std::unique_ptr<void, void (*)(void*)> context_;
  int error_ = 0;
};

constexpr scmp_arg_cmp argument_is(unsigned index, uint64_t value) {
  return {index, SCMP_CMP_EQ, value, 0};
}
constexpr scmp_arg_cmp argument_lacks(unsigned index, uint64_t bits) {
  return {index, SCMP_CMP_MASKED_EQ, bits, 0};
}

// What computing needs of the system: memory, locks, signals to itself, an end.
void allow_computing(Filter& filter) {
  filter
      .allow({SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
              SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
              SCMP_SYS(sigaltstack), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(sched_yield),
              SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group)})
      .allow_if(SCMP_SYS(tgkill), {argument_is(0, static_cast<uint64_t>(::getpid()))});
}

// A handler that asks for one of these is broken or hostile: better a crash that says so than an
// error that it may overlook.
void kill_escapes(Filter& filter) {
  filter.kill({SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind),
               SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(fork),
               SCMP_SYS(vfork), SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(execve),
               SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
               SCMP_SYS(process_vm_writev), SCMP_SYS(io_uring_setup), SCMP_SYS(bpf)});
}

}  // namespace

Result<void> give_up_resources(unsigned first_to_close, uint64_t memory) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_DUMPABLE, 0);
  if (::close_range(first_to_close, ~0u, 0) != 0) return failed("close_range", errno);
  if (::chdir("/") != 0) return failed("chdir", errno);
  for (const auto& [resource, most] :
       {std::pair{RLIMIT_CORE, rlim_t{0}}, std::pair{RLIMIT_FSIZE, rlim_t{0}},
        std::pair{RLIMIT_NPROC, rlim_t{0}}, std::pair{RLIMIT_NOFILE, kDescriptors},
        std::pair{RLIMIT_STACK, kStack}, std::pair{RLIMIT_MEMLOCK, rlim_t{0}}}) {
    if (auto limited = limit(resource, most); !limited) return limited;
  }
  if (kLimitsMemory) {
    if (auto limited = limit(RLIMIT_AS, address_space() + memory); !limited) return limited;
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("no_new_privs", errno);
  return {};
}

Result<void> allow_only_loading(int fd) {
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  allow_computing(filter);
  kill_escapes(filter);
  const auto reads = argument_lacks(2, O_ACCMODE | O_CREAT | O_TRUNC);
  filter
      .allow({SCMP_SYS(mmap),      SCMP_SYS(mprotect),   SCMP_SYS(read),     SCMP_SYS(pread64),
              SCMP_SYS(close),     SCMP_SYS(lseek),      SCMP_SYS(fstat),    SCMP_SYS(stat),
              SCMP_SYS(lstat),     SCMP_SYS(newfstatat), SCMP_SYS(statx),    SCMP_SYS(access),
              SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
              SCMP_SYS(getcwd),    SCMP_SYS(getrandom),  SCMP_SYS(prctl),    SCMP_SYS(seccomp)})
      .allow_if(SCMP_SYS(sendto), {argument_is(0, static_cast<uint64_t>(fd))})
      .allow_if(SCMP_SYS(openat), {reads})
      .allow_if(SCMP_SYS(open), {argument_lacks(1, O_ACCMODE | O_CREAT | O_TRUNC)});
  return filter.load();
}

Result<void> allow_only_computing(int fd) {
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  allow_computing(filter);
  kill_escapes(filter);
  const auto the_one = argument_is(0, static_cast<uint64_t>(fd));
  filter.kill({SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(creat)})
      .allow_if(SCMP_SYS(read), {the_one})
      .allow_if(SCMP_SYS(sendto), {the_one})
      .allow_if(SCMP_SYS(mmap), {argument_lacks(2, PROT_EXEC)})
      .allow_if(SCMP_SYS(mprotect), {argument_lacks(2, PROT_EXEC)});
  return filter.load();
}

}  // namespace entente
