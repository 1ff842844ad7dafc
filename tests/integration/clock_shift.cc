// A library to preload: the process's wall clock is wrong by CLOCK_SHIFT_SECONDS and, changing with
// it, by the seconds in the first 8 bytes of the file CLOCK_SHIFT_FILE.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace {

using Seconds = volatile std::int64_t;

Seconds* MapFile() {
  static Seconds zero = 0;
  const char* const path = std::getenv("CLOCK_SHIFT_FILE");
  if (path == nullptr) return &zero;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  void* const page = mmap(nullptr, sizeof(Seconds), PROT_READ, MAP_SHARED, file, 0);
  if (file >= 0) close(file);
  return page == MAP_FAILED ? &zero : static_cast<Seconds*>(page);
}

time_t Shift() {
  static Seconds* const changing = MapFile();
  static const time_t shift = [] {
    const char* const seconds = std::getenv("CLOCK_SHIFT_SECONDS");
    return seconds == nullptr ? time_t{0} : static_cast<time_t>(std::atoll(seconds));
  }();
  return shift + static_cast<time_t>(*changing);
}

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t id, timespec* now) noexcept {
  static auto* const next = Next<int(clockid_t, timespec*)>("clock_gettime");
  const int result = next(id, now);
  if (result == 0 && id == CLOCK_REALTIME) now->tv_sec += Shift();
  return result;
}

int gettimeofday(timeval* now, void* zone) noexcept {
  static auto* const next = Next<int(timeval*, void*)>("gettimeofday");
  const int result = next(now, zone);
  if (result == 0) now->tv_sec += Shift();
  return result;
}

time_t time(time_t* now) noexcept {
  timespec spec;
  clock_gettime(CLOCK_REALTIME, &spec);
  if (now != nullptr) *now = spec.tv_sec;
  return spec.tv_sec;
}
}
