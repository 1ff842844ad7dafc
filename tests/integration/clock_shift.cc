// A library to preload: the process's wall clock is wrong by CLOCK_SHIFT_SECONDS.
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

#include <cstdlib>

namespace {

time_t Shift() {
  static const time_t shift = [] {
    const char* const seconds = std::getenv("CLOCK_SHIFT_SECONDS");
    return seconds == nullptr ? time_t{0} : static_cast<time_t>(std::atoll(seconds));
  }();
  return shift;
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
