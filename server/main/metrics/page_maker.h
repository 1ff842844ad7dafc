// The thread that makes pages which take time.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_PAGE_MAKER_H_
#define DROPOUTD_SERVER_MAIN_METRICS_PAGE_MAKER_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "server/main/metrics/http_page.h"

namespace dropoutd {

// Makes one page after another, from construction to destruction; a page that many wait for is made
// once for all of them. Thread-safe.
class PageMaker {
 public:
  struct Made {
    std::string path;
    std::uint64_t round = 0;
    std::shared_ptr<const HttpAnswer> answer;
  };

  // `pages` must outlive it. `wake` is called, from its thread, whenever a page is made.
  PageMaker(const std::map<std::string, HttpPage>& pages, std::function<void()> wake);
  ~PageMaker();
  PageMaker(const PageMaker&) = delete;
  PageMaker& operator=(const PageMaker&) = delete;

  // Has the page made, and returns a round: what is made of this path in it or in a later one shows
  // all that was before this call.
  std::uint64_t Ask(const std::string& path);

  // What was made since the last call.
  std::vector<Made> TakeMade();

 private:
  void Run();

  const std::map<std::string, HttpPage>& pages_;
  const std::function<void()> wake_owner_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::set<std::string> asked_;  // In the next round.
  std::vector<Made> made_;
  std::uint64_t round_ = 0;  // The last that has begun.
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_PAGE_MAKER_H_
