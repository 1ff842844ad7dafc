#include "tests/simulation/redis_faults.h"

#include <chrono>
#include <utility>

namespace dropoutd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFaultTick{100};
constexpr seconds kBetweenStepsBack{60};

}  // namespace

RedisFaults::RedisFaults(Scheduler& scheduler, RedisSite& site, Network& network,
                         const NetworkOptions& options, Hooks hooks)
    : scheduler_(scheduler),
      random_(scheduler.random()),
      site_(site),
      network_(network),
      options_(options),
      hooks_(std::move(hooks)) {}

bool RedisFaults::Happens(double rate) {
  return rate > 0 && random_.Chance(rate * std::chrono::duration<double>(kFaultTick).count());
}

void RedisFaults::End() {
  site_.Start(false);
  site_.SetFull(false);
  network_.Heal();
}

void RedisFaults::Tick() {
  scheduler_.Sleep(kFaultTick);
  if (random_.Chance(0.1)) site_.Replicate();
  if (Happens(options_.partitions)) {
    const std::size_t client = hooks_.client();
    network_.Partition(client,
                       scheduler_.now() + random_.Between(seconds(0), options_.longest_partition));
  }
  const bool loses = Happens(options_.losses);
  if (loses || Happens(options_.restarts)) {
    hooks_.note(loses ? "Redis ends and will have lost" : "Redis ends");
    site_.Kill();
    scheduler_.Sleep(random_.Between(seconds(0), seconds(3)));
    site_.Start(loses);
  }
  const bool is_lossy = Happens(options_.lossy_fail_overs);
  if (is_lossy || Happens(options_.fail_overs)) {
    hooks_.note(is_lossy ? "another Redis takes over, which lacks some" : "another takes over");
    if (!is_lossy) site_.Replicate();
    site_.FailOver();
  }
  if (Happens(options_.full)) {
    site_.SetFull(true);
    scheduler_.Sleep(random_.Between(seconds(0), seconds(5)));
    site_.SetFull(false);
  }
  if (Happens(options_.clock_steps)) {
    const bool is_back = random_.Chance(0.5) && scheduler_.now() >= next_step_back_;
    const auto most = is_back ? options_.longest_step_back : options_.longest_step_ahead;
    auto step =
        std::chrono::duration_cast<std::chrono::microseconds>(random_.Between(seconds(0), most));
    if (is_back) next_step_back_ = scheduler_.now() + kBetweenStepsBack;
    if (is_back) step = -step;
    hooks_.note("the clock steps by " + std::to_string(step.count()));
    if (hooks_.on_step) hooks_.on_step(step);
    site_.StepClock(step);
  }
}

}  // namespace dropoutd
