// Preloaded into a process, this shifts its wall clock by as many milliseconds as the eight bytes
// of the file that SHIFTED_CLOCK names say, from one moment to the next: as a clock that is wrong,
// and is set right, does. Monotonic clocks go on as they are.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

const volatile int64_t* map_shift() {
  const char* path = std::getenv("SHIFTED_CLOCK");
  const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* bytes = ::mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  return bytes == MAP_FAILED ? nullptr : static_cast<const volatile int64_t*>(bytes);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static const volatile int64_t* const shift = map_shift();
  const long answer = ::syscall(SYS_clock_gettime, clock, now);
  if (answer != 0 || clock != CLOCK_REALTIME || shift == nullptr) return static_cast<int>(answer);
  const int64_t ms = *shift;
  now->tv_sec += ms / 1'000;
  now->tv_nsec += ms % 1'000 * 1'000'000;
  if (now->tv_nsec >= 1'000'000'000) {
    now->tv_nsec -= 1'000'000'000;
    ++now->tv_sec;
  } else if (now->tv_nsec < 0) {
    now->tv_nsec += 1'000'000'000;
    --now->tv_sec;
  }
  return 0;
}
