// A client that makes random calls of engines.
#ifndef DROPOUTD_TESTS_SIMULATION_ENGINE_CLIENT_H_
#define DROPOUTD_TESTS_SIMULATION_ENGINE_CLIENT_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/engine_checker.h"
#include "tests/simulation/engine_face.h"
#include "tests/simulation/scheduler.h"

namespace dropoutd {

struct EngineWorkload {
  static constexpr std::size_t kKinds = 17;

  std::size_t keys = 4;
  bool has_tenants = true;
  std::size_t most_unknown = 3;  // Of one key: then it is only read.
  std::chrono::nanoseconds pause = std::chrono::milliseconds(20);
  double short_lived = 0;                          // Sessions that end in seconds.
  double wanders = 0.2;                            // Calls to another server than the last.
  std::array<std::uint32_t, kKinds> weights = {};  // Of the calls, by EngineCallKind.

  static EngineWorkload Draw(RandomSource64& random);
  std::string Print() const;
  std::string KeyOf(std::size_t index) const;
};

// What was exported by any client, to be imported by any.
struct SimExport {
  std::string bytes;
  std::uint32_t id = 0;
  Nanoseconds ttl{0};
  std::shared_ptr<const std::set<SessionState>> state;
};

class EngineClient {
 public:
  // Of a server that runs: what is called on it may fail when it ends meanwhile.
  using Find = std::function<std::shared_ptr<EngineFace>(std::size_t server)>;

  EngineClient(Scheduler& scheduler, EngineChecker& checker, const EngineWorkload& workload,
               std::size_t number, std::size_t servers, Find find, std::vector<SimExport>& exports);

  // One random call.
  void Step();

  // Whether every key is answered for and can be written, through every server, each in `bound`.
  void ExpectLife(std::chrono::nanoseconds bound);

  // Asks every server for every session.
  void ReadAll();

 private:
  using Kind = EngineCallKind;

  Kind RandomKind(const std::string& key);
  void Do(Kind kind, const std::string& key);
  void Create(const std::string& key);
  void Fork(const std::string& key);
  void Import(const std::string& key);
  void Export(const std::string& key);
  void List();
  void ChangeLayer(const std::string& key, Kind kind);
  void SetMode(const std::string& key);
  void UseLogit(const std::string& key, Kind kind);
  void UseStep(const std::string& key, Kind kind);
  void Release(const std::string& key);
  absl::Status RunStep(const std::string& key, const EngineCall& call, EngineAnswer& answer);

  // Ends the call with its answer or its error.
  void Finish(const EngineChecker::Call& call, const absl::Status& status, EngineAnswer answer);
  bool Decode(const std::string& key, const SessionView& view, EngineAnswer& answer);
  bool Decode(const std::string& key, const LayerView& view, SimView& to);
  EngineFace& face() { return *server_; }

  Scheduler& scheduler_;
  RandomSource64& random_;
  EngineChecker& checker_;
  const EngineWorkload workload_;
  const std::size_t number_;
  const std::size_t servers_;
  const Find find_;
  std::vector<SimExport>& exports_;
  std::size_t server_number_;
  std::shared_ptr<EngineFace> server_;  // For the time of a call.
  std::map<std::string, bool> is_there_;
  std::map<std::string, std::uint32_t> last_spec_;
  bool was_lost_ = false;  // A call had no answer.
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_ENGINE_CLIENT_H_
