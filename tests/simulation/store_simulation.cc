#include "tests/simulation/store_simulation.h"

#include <chrono>
#include <sstream>
#include <utility>

namespace dropoutd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

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
  RedisFaults faults(scheduler_, site_, network_, network_options_,
                     {[this](std::string text) { checker_.Note("", std::move(text)); }, nullptr,
                      [this] { return random_.Below(stores_); }});
  while (running_ > 0 && !checker_.has_failed()) faults.Tick();
  faults.End();
}

}  // namespace dropoutd
