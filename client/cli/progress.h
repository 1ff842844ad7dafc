// Signs of life on stderr while something takes long. Silent where stderr is no terminal.
#ifndef DROPOUTD_CLIENT_CLI_PROGRESS_H_
#define DROPOUTD_CLIENT_CLI_PROGRESS_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace dropout::cli {

// From this size on, in bytes, a transfer shows its progress.
inline constexpr std::size_t kProgressBytes = std::size_t{16} << 20;

// A line that is written at least once, and anew ten times a second from the constructor to
// the destructor, which wipes it away. `describe` gives its text; it is called from a thread of its
// own until the destructor returns.
class ProgressLine {
 public:
  explicit ProgressLine(std::function<std::string(std::chrono::duration<double> elapsed)> describe);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();

 private:
  void Run();

  const std::function<std::string(std::chrono::duration<double>)> describe_;
  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_PROGRESS_H_
