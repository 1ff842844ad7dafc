#include "tests/simulation/engine_simulation.h"

#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "server/store/memory_store.h"
#include "server/store/redis_store.h"
#include "server/store/sqlite_store.h"

namespace dropoutd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kSweep{1};
constexpr seconds kSettling{90};  // Longer than anything is held.
constexpr seconds kLifeBound{8};

// A write may be made until so long after its call has ended: its deadline, and what the clock may
// step back.
std::chrono::nanoseconds PatienceFor(const EngineOptions& options) {
  if (options.store != SimStore::kRedis) return milliseconds(1);
  return seconds(7) +
         (options.network.clock_steps > 0 ? options.network.longest_step_back : seconds(0));
}

}  // namespace

EngineSimulation::EngineSimulation(EngineSimulationOptions options)
    : options_(std::move(options)),
      scheduler_(options_.seed),
      random_(scheduler_.random()),
      drawn_(EngineOptions::Draw(random_)),
      site_(scheduler_, 3),
      network_(scheduler_, site_, drawn_.servers),
      checker_(scheduler_, drawn_.rules, drawn_.limits, PatienceFor(drawn_)),
      servers_(drawn_.servers) {
  for (std::size_t i = 0; i < servers_.size(); ++i) servers_[i].network_client = i;
  checker_.set_replicates(drawn_.wait_replicas > 0);
  site_.set_on_replicate([this] { checker_.Mark(); });
  site_.set_on_loss([this] { checker_.Restore(); });
  site_.set_script_filter(options_.script);
  network_.set_options(drawn_.network);
}

EngineSimulation::~EngineSimulation() {
  servers_.clear();
  file_ = nullptr;
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::string EngineSimulation::Print() const {
  return "engine seed=" + std::to_string(options_.seed) + drawn_.Print();
}

SimulationResult EngineSimulation::Run() {
  scheduler_.set_on_stuck([this] { checker_.Fail("", "stuck"); });
  running_ = living_ = drawn_.clients;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    scheduler_.Spawn("server " + std::to_string(i), [this, i] { RunServer(i); });
  }
  for (std::size_t i = 0; i < drawn_.clients; ++i) {
    scheduler_.Spawn("client " + std::to_string(i), [this, i] { RunClient(i); });
  }
  scheduler_.Spawn("faults", [this] { RunFaults(); });
  scheduler_.Run();
  servers_.clear();
  return {checker_.calls(), checker_.history().digest(), checker_.lost_keys(),
          checker_.violation()};
}

// --- Servers --------------------------------------------------------------------------------

std::unique_ptr<Store> EngineSimulation::OpenRedis(std::size_t server) {
  RedisOptions options;
  options.now = [this] { return scheduler_.now(); };
  options.sleep = [this](milliseconds time) { scheduler_.Sleep(time); };
  options.writers = 0;
  options.wait_replicas = drawn_.wait_replicas;
  while (true) {
    auto opened = RedisStore::Open(network_.MakeTopology(servers_[server].network_client), options);
    if (opened.ok()) return *std::move(opened);
    scheduler_.Sleep(milliseconds(500));
  }
}

// A process that was killed leaves its files as they are: another goes on with a copy of them, so
// that what the first one still does in its end is not seen.
std::shared_ptr<Store> EngineSimulation::OpenFile() {
  const auto now = [this] { return MemoryStore::Time(std::chrono::hours(1) + scheduler_.now()); };
  if (drawn_.store == SimStore::kLocal) {
    return file_ != nullptr ? file_ : std::make_shared<MemoryStore>(now);
  }
  if (folder_.empty()) {
    const auto base = std::filesystem::exists("/dev/shm") ? std::filesystem::path("/dev/shm")
                                                          : std::filesystem::temp_directory_path();
    std::string pattern = base / "dropoutd-simulation-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) return nullptr;
    folder_ = pattern;
  }
  const std::string before = folder_ + "/" + std::to_string(files_);
  const std::string path = folder_ + "/" + std::to_string(++files_);
  for (const char* const suffix : {"", "-wal"}) {
    std::error_code ignored;
    std::filesystem::copy_file(before + suffix, path + suffix, ignored);
  }
  SqliteOptions options;
  options.now = now;
  auto opened = SqliteStore::Open(path, options);
  return opened.ok() ? std::shared_ptr<Store>(*std::move(opened)) : nullptr;
}

std::unique_ptr<Store> EngineSimulation::OpenStore(std::size_t server) {
  if (drawn_.store == SimStore::kNone) return nullptr;
  std::unique_ptr<Store> store;
  if (drawn_.store == SimStore::kRedis) {
    store = OpenRedis(server);
  } else {
    file_ = OpenFile();
    if (file_ == nullptr) {
      checker_.Fail("", "the file cannot be opened");
      return nullptr;
    }
    auto local =
        std::make_unique<LocalStore>(file_, scheduler_, IsRunning() ? drawn_.local : LocalFaults());
    local->set_full(is_full_);
    servers_[server].local = local.get();
    store = std::move(local);
  }
  return options_.wrap ? options_.wrap(std::move(store)) : std::move(store);
}

void EngineSimulation::Start(std::size_t server) {
  auto store = OpenStore(server);
  const auto offset = random_.Between(-std::chrono::hours(3), std::chrono::hours(3));
  servers_[server].process = std::make_shared<EngineServer>(scheduler_, offset, drawn_.limits,
                                                            std::move(store), options_.face);
}

// Calls that are under way go on, and fail.
void EngineSimulation::Stop(std::size_t server) {
  Place& place = servers_[server];
  checker_.Note("", "server " + std::to_string(server) + " ends");
  network_.End(place.network_client);
  place.network_client = network_.AddClient();
  if (place.local != nullptr) place.local->End();
  place.local = nullptr;
  place.process = nullptr;
  if (drawn_.store == SimStore::kNone) checker_.Vanish();
}

void EngineSimulation::RunServer(std::size_t server) {
  while (living_ > 0) {
    if (servers_[server].process == nullptr) Start(server);
    scheduler_.Sleep(random_.Between(kSweep / 2, kSweep));
    const auto process = servers_[server].process;
    process->engine.RemoveExpired();
    const double chance = drawn_.restarts * std::chrono::duration<double>(kSweep).count();
    if (!IsRunning() || !random_.Chance(chance)) continue;
    Stop(server);
    if (random_.Chance(0.5)) scheduler_.Sleep(random_.Between(seconds(0), seconds(5)));
  }
}

std::shared_ptr<EngineFace> EngineSimulation::Find(std::size_t server) {
  while (servers_[server].process == nullptr) scheduler_.Sleep(milliseconds(20));
  const auto process = servers_[server].process;
  return {process, process->face.get()};
}

// --- Clients and faults ---------------------------------------------------------------------

void EngineSimulation::RunClient(std::size_t number) {
  EngineClient client(
      scheduler_, checker_, drawn_.workload, number, drawn_.servers,
      [this](std::size_t server) { return Find(server); }, exports_);
  while (checker_.calls() < options_.operations && !checker_.has_failed()) {
    client.Step();
    // Often at once, so that calls meet; and else long enough for something to happen meanwhile.
    const bool is_quick = random_.Chance(0.7);
    scheduler_.Sleep(
        random_.Between(milliseconds(0), is_quick ? milliseconds(1) : 2 * drawn_.workload.pause));
  }
  --running_;
  while (running_ > 0) scheduler_.Sleep(seconds(1));
  scheduler_.Sleep(kSettling);
  if (!checker_.has_failed()) client.ExpectLife(kLifeBound);
  if (living_ == 1 && !checker_.has_failed()) client.ReadAll();
  --living_;
}

void EngineSimulation::RunFaults() {
  if (drawn_.store == SimStore::kRedis) {
    RedisFaults faults(
        scheduler_, site_, network_, drawn_.network,
        {[this](std::string text) { checker_.Note("", std::move(text)); },
         [this](Scheduler::Time step) {
           if (step > seconds(0)) checker_.StepAhead(step);
         },
         [this] { return servers_[random_.Below(servers_.size())].network_client; }});
    while (IsRunning()) faults.Tick();
    return faults.End();
  }
  while (IsRunning()) {
    scheduler_.Sleep(milliseconds(100));
    is_full_ = random_.Chance(drawn_.local.fills);
    if (servers_[0].local != nullptr) servers_[0].local->set_full(is_full_);
    if (is_full_) scheduler_.Sleep(random_.Between(seconds(0), seconds(3)));
  }
  is_full_ = false;
  if (servers_[0].local != nullptr) servers_[0].local->Heal();
}

}  // namespace dropoutd
