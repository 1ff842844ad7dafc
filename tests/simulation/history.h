// What happened in a run, to be printed where something was wrong.
#ifndef DROPOUTD_TESTS_SIMULATION_HISTORY_H_
#define DROPOUTD_TESTS_SIMULATION_HISTORY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace dropoutd {

// The last events, each of a key, or of all where that is empty. Not thread-safe.
class History {
 public:
  static constexpr std::size_t kMostEvents = 50'000;

  void Add(std::chrono::nanoseconds time, std::string_view key, std::string text);

  // The last `most` that concern the key.
  std::string Print(std::string_view key, std::size_t most) const;

  // Of all that was ever added: runs that are the same have the same.
  std::uint64_t digest() const { return digest_; }

 private:
  struct Event {
    std::chrono::nanoseconds time;
    std::string key;
    std::string text;
  };
  std::deque<Event> events_;
  std::uint64_t digest_ = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_HISTORY_H_
