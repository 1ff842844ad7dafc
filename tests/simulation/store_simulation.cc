#include "tests/simulation/store_simulation.h"

#include <chrono>
#include <sstream>
#include <utility>

namespace dropoutd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFaultTick{100};
constexpr seconds kBetweenStepsBack{60};
constexpr seconds kSettling{90};  // Longer than anything is held.
constexpr seconds kLifeBound{8};

// A write may be made until so long after its call has ended: its deadline, and what the clock may
// step back.
std::chrono::nanoseconds PatienceFor(const NetworkOptions& options) {
  return seconds(7) + (options.clock_steps > 0 ? options.longest_step_back : seconds(0));
}

}  // namespace

StoreSimulation::StoreSimulation(StoreSimulationOptions options)
    : options_(std::move(options)),
      scheduler_(options_.seed),
      random_(scheduler_.random()),
      site_(scheduler_, 3),
      clients_(1 + random_.Below(5)),
      stores_(1 + random_.Below(clients_)),
      network_options_(NetworkOptions::Draw(random_)),
      workload_(StoreWorkload::Draw(random_)),
      network_(scheduler_, site_, stores_),
      checker_(scheduler_,
               {[this] { return site_.Clock(); }, [this] { return site_.LatestClock(); }},
               PatienceFor(network_options_), network_options_.longest_step_back > seconds(0)),
      servers_(stores_) {
  if (random_.Chance(0.3)) crashes_ = 0.01 * random_.Fraction();
  if (random_.Chance(0.2)) wait_replicas_ = 1;
  checker_.set_replicates(wait_replicas_ > 0);
  site_.set_on_replicate([this] { checker_.Mark(); });
  site_.set_on_loss([this] { checker_.Restore(); });
  network_.set_options(network_options_);
  site_.set_script_filter(options_.script);
}

std::string StoreSimulation::Print() const {
  std::ostringstream text;
  text << "store seed=" << options_.seed << " clients=" << clients_ << " stores=" << stores_
       << workload_.Print() << network_options_.Print() << " crashes=" << crashes_
       << " wait_replicas=" << wait_replicas_;
  return std::move(text).str();
}

SimulationResult StoreSimulation::Run() {
  scheduler_.set_on_stuck([this] { checker_.Fail("", "stuck"); });
  running_ = clients_;
  for (std::size_t i = 0; i < clients_; ++i) {
    scheduler_.Spawn("client " + std::to_string(i), [this, i] { RunClient(i); });
  }
  scheduler_.Spawn("faults", [this] { RunFaults(); });
  scheduler_.Run();
  servers_.clear();
  return {checker_.calls(), checker_.history().digest(), checker_.lost_keys(),
          checker_.violation()};
}

void StoreSimulation::Open(std::size_t server) {
  while (servers_[server] == nullptr) {
    RedisOptions options;
    options.now = [this] { return scheduler_.now(); };
    options.sleep = [this](milliseconds time) { scheduler_.Sleep(time); };
    options.writers = 0;
    options.wait_replicas = wait_replicas_;
    auto opened = RedisStore::Open(network_.MakeTopology(server), std::move(options));
    if (!opened.ok()) {
      scheduler_.Sleep(milliseconds(500));
    } else if (servers_[server] == nullptr) {
      servers_[server] = *std::move(opened);
      if (options_.wrap) servers_[server] = options_.wrap(std::move(servers_[server]));
    }
  }
}

void StoreSimulation::RunClient(std::size_t number) {
  const std::size_t server = number % stores_;
  Open(server);
  StoreClient client(scheduler_, checker_, workload_, number, *servers_[server]);
  while (checker_.calls() < options_.operations && !checker_.has_failed()) {
    client.Step();
    if (random_.Chance(crashes_)) {
      network_.Crash(server);
      client.Forget();
    }
    // Often at once, so that calls meet; and else long enough for something to happen meanwhile.
    const bool is_quick = random_.Chance(0.6);
    scheduler_.Sleep(
        random_.Between(milliseconds(0), is_quick ? milliseconds(1) : 2 * workload_.pause));
  }
  --running_;
  while (running_ > 0) scheduler_.Sleep(seconds(1));
  scheduler_.Sleep(kSettling);
  if (!checker_.has_failed()) client.ExpectLife(kLifeBound);
}

void StoreSimulation::RunFaults() {
  const double tick = std::chrono::duration<double>(kFaultTick).count();
  while (running_ > 0 && !checker_.has_failed()) {
    scheduler_.Sleep(kFaultTick);
    Fault(tick);
  }
  site_.Start(false);
  site_.SetFull(false);
  network_.Heal();
}

// What happens in so many seconds.
void StoreSimulation::Fault(double time) {
  const NetworkOptions& options = network_options_;
  const auto happens = [&](double rate) { return rate > 0 && random_.Chance(rate * time); };
  if (random_.Chance(0.1)) site_.Replicate();
  if (happens(options.partitions)) {
    network_.Partition(random_.Below(stores_),
                       scheduler_.now() + random_.Between(seconds(0), options.longest_partition));
  }
  const bool loses = happens(options.losses);
  if (loses || happens(options.restarts)) {
    checker_.Note("", loses ? "Redis ends and will have lost" : "Redis ends");
    site_.Kill();
    scheduler_.Sleep(random_.Between(seconds(0), seconds(3)));
    site_.Start(loses);
  }
  const bool is_lossy = happens(options.lossy_fail_overs);
  if (is_lossy || happens(options.fail_overs)) {
    checker_.Note("",
                  is_lossy ? "another Redis takes over, which lacks some" : "another takes over");
    if (!is_lossy) site_.Replicate();
    site_.FailOver();
  }
  if (happens(options.full)) {
    site_.SetFull(true);
    scheduler_.Sleep(random_.Between(seconds(0), seconds(5)));
    site_.SetFull(false);
  }
  if (happens(options.clock_steps)) {
    const bool is_back = random_.Chance(0.5) && scheduler_.now() >= next_step_back_;
    const auto most = is_back ? options.longest_step_back : options.longest_step_ahead;
    const auto step =
        std::chrono::duration_cast<std::chrono::microseconds>(random_.Between(seconds(0), most));
    if (is_back) next_step_back_ = scheduler_.now() + kBetweenStepsBack;
    checker_.Note("", "the clock steps by " + std::to_string((is_back ? -step : step).count()));
    site_.StepClock(is_back ? -step : step);
  }
}

}  // namespace dropoutd
