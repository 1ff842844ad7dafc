#include "tests/simulation/history.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace dropoutd {

void History::Add(std::chrono::nanoseconds time, std::string_view key, std::string text) {
  for (const char c : text) digest_ = (digest_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  digest_ = (digest_ ^ static_cast<std::uint64_t>(time.count())) * 0x100000001b3;
  events_.push_back({time, std::string(key), std::move(text)});
  if (events_.size() > kMostEvents) events_.pop_front();
}

std::string History::Print(std::string_view key, std::size_t most) const {
  std::vector<const Event*> chosen;
  for (auto at = events_.rbegin(); at != events_.rend() && chosen.size() < most; ++at) {
    if (at->key.empty() || at->key == key) chosen.push_back(&*at);
  }
  std::string text;
  for (auto at = chosen.rbegin(); at != chosen.rend(); ++at) {
    const double seconds = std::chrono::duration<double>((*at)->time).count();
    absl::StrAppend(&text, absl::StrFormat("  %12.6f ", seconds), (*at)->key, " ", (*at)->text,
                    "\n");
  }
  return text;
}

}  // namespace dropoutd
