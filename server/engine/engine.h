// Everything that a client can ask of sessions, without the wire.
#ifndef DROPOUTD_SERVER_ENGINE_ENGINE_H_
#define DROPOUTD_SERVER_ENGINE_ENGINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/dropout/data_type.h"
#include "server/dropout/packed_bits.h"
#include "server/dropout/plan.h"
#include "server/engine/engine_counters.h"
#include "server/engine/step_call.h"
#include "server/engine/step_run.h"
#include "server/engine/sweeper.h"
#include "server/memory/shared_memory.h"
#include "server/persistence/repository.h"
#include "server/session/budgets.h"
#include "server/session/clock.h"
#include "server/session/limits.h"
#include "server/session/session_changes.h"
#include "server/session/session_registry.h"
#include "server/session/session_spec.h"
#include "server/store/store.h"

namespace dropoutd {

// A tensor in the caller's memory: row-major, any alignment.
struct TensorRef {
  DataType dtype = DataType::kFloat32;
  Shape shape;
  const void* data = nullptr;
};

struct SessionPage {
  std::vector<SessionView> sessions;
  std::vector<std::string> corrupt;  // Keys of sessions that cannot be read.
  std::string next;                  // `after` for the next page; empty on the last.
};

struct EngineSummary {
  std::size_t sessions = 0;
  std::size_t layers_in_train = 0;
  std::size_t layers_in_eval = 0;
  std::size_t steps = 0;
  std::size_t parameter_bytes = 0;
};

// Sessions are named by their keys (session_key.h), in arguments and in answers.
// Thread-safe; no lock is held while a tensor is processed. Every call that names a
// session renews it. Errors are those of the proto; a call that fails changes nothing.
class Engine {
 public:
  // `store` and `clock` must outlive it. Without a store sessions live and die with the engine.
  explicit Engine(const Limits& limits, const Clock& clock = Clock::System(),
                  Store* store = nullptr, Sweeping sweeping = Sweeping::kByThread);

  const Limits& limits() const { return limits_; }
  const Budgets& budgets() const { return budgets_; }
  const MaskCache& mask_cache() const { return budgets_.masks(); }
  const InputCache& input_cache() const { return budgets_.inputs(); }
  const EngineCounters& counters() const { return counters_; }

  // What is in memory at this moment; with a store it may hold more sessions. Looks at every
  // session.
  EngineSummary Summary() const;

  absl::StatusOr<SessionView> CreateSession(SessionSpec spec);
  absl::StatusOr<SessionView> GetSession(std::string_view session_id);
  // Of the tenant of `after`, in the order of their keys.
  absl::StatusOr<SessionPage> ListSessions(std::string_view after, std::size_t count);
  absl::Status DeleteSession(std::string_view session_id);

  // A session with its steps as bytes, for ImportSession of any server. QUOTA_MESSAGE_BYTES.
  absl::StatusOr<std::string> ExportSession(std::string_view session_id);
  // Makes a session from such bytes; without an id in `session_id` the server picks one. The
  // same bytes again find the session that they made. INVALID_SESSION, CreateSession's errors.
  absl::StatusOr<SessionView> ImportSession(std::string session_id, std::string_view snapshot);
  // Makes a session as `session_id` is now. The same again finds the session that was made.
  absl::StatusOr<SessionView> ForkSession(std::string_view session_id, std::string new_session_id);

  absl::StatusOr<LayerView> CreateLayer(std::string_view session_id, const LayerConfig& config);
  absl::StatusOr<LayerView> UpdateLayer(std::string_view session_id, const LayerConfig& config);
  absl::Status DeleteLayer(std::string_view session_id, std::string_view layer_id);
  absl::StatusOr<std::vector<std::string>> SetMode(std::string_view session_id, Mode mode,
                                                   const std::vector<std::string>& layer_ids);

  // A Forward or Backward in parts. Begin checks the call and plans it, and Start, which is part of
  // BeginForward unless that is told otherwise, has its first effect: it begins to write what is to
  // be remembered, or draws from a sequential generator. StepRun::Run works on the elements, and
  // Finish ends the write. A run that has not started leaves nothing behind, and one that fails to
  // start neither. What can be refused is refused before: `check` is what the caller asks of the
  // planned run; it may be called again, for another plan.
  using RunCheck = absl::FunctionRef<absl::Status(const StepRun&)>;
  absl::StatusOr<StepRun> BeginForward(const StepRef& at, DataType dtype, const Shape& shape,
                                       const ForwardOptions& options, RunCheck check);
  absl::Status StartForward(StepRun& run);
  absl::StatusOr<ForwardOutcome> FinishForward(StepRun& run);
  absl::StatusOr<StepRun> BeginBackward(const StepRef& at, DataType dtype, const Shape& shape,
                                        const BackwardOptions& options, RunCheck check);
  absl::StatusOr<BackwardOutcome> FinishBackward(StepRun& run);

  // All parts. `output` has the size of the answer: the input's, except for drop_connect. It may be
  // the input's own place.
  absl::StatusOr<ForwardOutcome> Forward(const StepRef& at, const TensorRef& input, void* output,
                                         bool return_mask);
  absl::Status Backward(const StepRef& at, const TensorRef& output_gradient, void* input_gradient,
                        bool release);

  absl::StatusOr<MaskView> GetMask(const StepRef& at, const std::optional<Shape>& shape);
  absl::StatusOr<std::uint64_t> ReleaseSteps(std::string_view session_id, std::string_view layer_id,
                                             std::uint64_t through_step);

  absl::Status SetParameters(std::string_view session_id, std::string_view layer_id,
                             std::vector<Parameter> parameters);
  absl::StatusOr<SharedParameters> GetParameters(std::string_view session_id,
                                                 std::string_view layer_id);

  // From now on sessions may have regions of shared memory, made by `memory`, which must outlive
  // the engine. Before the first call only.
  void UseSharedMemory(SharedMemory& memory) { shared_memory_ = &memory; }
  bool has_shared_memory() const { return shared_memory_ != nullptr; }

  // A region lives until it is deleted or its session ends. RPC_UNSUPPORTED without shared memory;
  // SharedMemory::Create's errors, REGION_NOT_FOUND.
  absl::StatusOr<SharedRegionRef> CreateSharedMemory(std::string_view session_id,
                                                     std::int64_t byte_size);
  absl::StatusOr<SharedRegionRef> FindSharedMemory(std::string_view session_id,
                                                   std::string_view region_id);
  absl::Status DeleteSharedMemory(std::string_view session_id, std::string_view region_id);

  // Removes sessions that have expired, as a thread of the engine's does by itself every
  // second unless the caller said that it would; returns how many.
  std::size_t RemoveExpired() { return repository_->Sweep(); }

 private:
  absl::StatusOr<SessionView> AddCopy(std::string session_id, SessionContents contents,
                                      Token origin);
  absl::Status ChargeParameters(SessionImage& image, const TenantBudget& tenant);
  ChangeRules RulesFor(const TenantBudget& tenant);
  SessionView ViewOf(const FoundSession& found) const;
  absl::StatusOr<LayerView> ChangeLayer(std::string_view session_id, std::string_view layer_id,
                                        Repository::Next change);
  absl::Status CheckSpec(const SessionSpec& spec) const;
  absl::StatusOr<StepRun> PlanForward(Call call, const StepRef& at, DataType dtype,
                                      const Shape& shape, bool return_mask);
  absl::Status Prepare(StepRun::State& state);
  absl::StatusOr<StepRun> BeginForwardHere(const StepRef& at, DataType dtype, const Shape& shape,
                                           bool return_mask, RunCheck check);
  absl::Status DrawFromStream(StepRun::State& state);
  absl::StatusOr<MaskView> MaskOf(const Call& call, const StepRef& at,
                                  const std::optional<Shape>& shape);
  void StartRecord(StepRun::State& state);
  SharedBits BitsOf(const StepRecord& record);

  const Limits limits_;
  const Clock& clock_;
  Budgets budgets_;
  EngineCounters counters_;
  SessionRegistry registry_;
  const std::unique_ptr<Repository> repository_;
  SharedMemory* shared_memory_ = nullptr;
  std::optional<Sweeper> sweeper_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_ENGINE_ENGINE_H_
