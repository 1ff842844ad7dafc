// A session: a seed, layers, and the steps that ran through them.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_H_
#define DROPOUTD_SERVER_SESSION_SESSION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/parameters.h"
#include "server/dropout/sequential_noise.h"
#include "server/memory/shared_memory.h"
#include "server/session/clock.h"
#include "server/session/parameter_charge.h"
#include "server/session/session_codec.h"
#include "server/session/session_contents.h"
#include "server/session/step_book.h"
#include "server/store/store.h"

namespace dropoutd {

// What a session is made from.
struct SessionSpec {
  std::string session_id;             // Its key; without an id in it the server picks one.
  std::optional<std::uint64_t> seed;  // Nothing: the server draws one.
  std::vector<LayerConfig> layers;
  Mode mode = Mode::kTrain;
  std::optional<Nanoseconds> ttl;  // Nothing: the server's default.
};

// A layer at one moment.
struct LayerView {
  std::shared_ptr<const LayerConfig> config;
  Mode mode = Mode::kTrain;
  std::uint64_t revision = 0;
};

// A session at one moment.
struct SessionView {
  std::string session_id;
  std::uint64_t seed = 0;
  Mode mode = Mode::kTrain;
  std::vector<LayerView> layers;  // Sorted by layer_id.
  Nanoseconds ttl{0};
  WallTime create_time;
  WallTime expire_time;
};

// What `image` has, for those who only look.
SessionView ViewOf(std::string_view session_id, const SessionImage& image, WallTime expire_time);

// A layer and what has happened to it. Guarded by its session's lock, but for `config`,
// whose target never changes.
struct LayerState {
  explicit LayerState(StepBudget& budget) : charge(budget), steps(budget) {}

  std::uint64_t uid = 0;                       // Of this layer alone; never changes.
  std::shared_ptr<const LayerConfig> created;  // As CreateLayer had it, to know a retry.
  std::shared_ptr<const LayerConfig> config;
  Mode mode = Mode::kTrain;
  std::uint64_t revision = 1;
  bool deleted = false;
  SharedParameters parameters;  // Null: none.
  std::uint64_t parameters_version = 0;
  ParameterCharge charge;  // Of the parameters.
  StepBook steps;
  std::atomic<std::uint32_t> stored_steps{0};  // That were written to the store.
};

// What a call needs to know of a layer, copied under the lock.
struct LayerSnapshot {
  std::shared_ptr<LayerState> state;  // To commit to.
  std::shared_ptr<const LayerConfig> config;
  Mode mode = Mode::kTrain;
  std::uint64_t revision = 1;
  SharedParameters parameters;  // Never null.
  std::uint64_t parameters_version = 0;
  std::optional<StepKey> key;                     // That a record written now has.
  std::optional<StepRecord> record;               // Of the step that was asked for,
  StepKey record_key;                             // and where it is.
  std::shared_ptr<const RetainedInput> retained;  // Its input, if that came from the store.
};

// The sequential noise of a session. Whoever draws holds its lock, because the order of the
// draws is what it is about.
struct SharedStream {
  explicit SharedStream(std::uint64_t seed) : noise(seed) {}

  std::mutex mutex;
  SequentialNoise noise;
};

// Thread-safe. Its lock is held for look-ups and small changes, never while a tensor is
// processed.
class Session {
 public:
  // Validates the spec's layers. INVALID_LAYER, LAYER_EXISTS, QUOTA_LAYERS.
  static absl::StatusOr<std::shared_ptr<Session>> Make(const SessionSpec& spec,
                                                       Nanoseconds default_ttl,
                                                       std::size_t max_layers, StepBudget& budget,
                                                       const Clock& clock);
  // The session that a store has kept. `parameters`: of every layer that has some. Restore's
  // errors.
  static absl::StatusOr<std::shared_ptr<Session>> FromImage(std::string_view session_id,
                                                            const SessionImage& image,
                                                            const ParametersByUid& parameters,
                                                            std::size_t max_layers,
                                                            StepBudget& budget, const Clock& clock);
  ~Session();

  // What a store keeps of it, and back: layers that are still there keep their steps.
  // `parameters` has those whose version changes. QUOTA_PARAMETER_BYTES, and STORE_CORRUPT for a
  // layer that lacks parameters or has wrong ones, change nothing.
  SessionImage Image() const;
  absl::Status Restore(const SessionImage& image, const ParametersByUid& parameters);
  ParametersByUid AllParameters() const;

  // The session with its steps, of a server without a store; what the caches have lost is left
  // out. Holds the lock while it copies. QUOTA_MESSAGE_BYTES for more than `max_bytes`.
  absl::StatusOr<SessionContents> Contents(std::size_t max_bytes) const;

  // Puts the steps, and the stream, of a copy into this session, which has none. QUOTA_STEPS,
  // QUOTA_MASK_CACHE.
  absl::Status Install(SessionParts parts);

  // Held, by one, while the session changes here and in the store, and by many while they look
  // at what it is. Comes before the session's own lock.
  std::shared_mutex& changes() { return changes_; }

  // Of the document in the store that this is. 0: it must be read again. Guarded by changes().
  StoreVersion version() const { return version_; }
  void set_version(StoreVersion version) { version_ = version; }

  // The history of the store that the version is of.
  std::uint64_t history() const { return history_; }
  void set_history(std::uint64_t history) { history_ = history; }

  // Until when the store keeps it, unless it is renewed there.
  WallTime stored_until() const { return stored_until_; }
  void set_stored_until(WallTime time) { stored_until_ = time; }

  Nanoseconds ttl() const { return ttl_; }
  bool has_regions() const;

  // The uids of the named layer, or of all. LAYER_NOT_FOUND.
  absl::StatusOr<std::vector<std::uint64_t>> LayerUids(std::string_view layer_id) const;

  const std::string& session_id() const { return session_id_; }
  std::uint64_t incarnation() const { return incarnation_; }
  std::uint64_t origin() const { return origin_; }
  std::uint64_t seed() const { return seed_; }

  // Whether the session was made from such a spec: then a second CreateSession is a retry.
  bool MadeFrom(const SessionSpec& spec) const;

  void Renew(SteadyTime now) { expire_time_ = now + ttl_; }
  SteadyTime expire_time() const { return expire_time_; }

  SessionView View() const;

  // The layers. Errors: INVALID_LAYER, LAYER_EXISTS, LAYER_NOT_FOUND, QUOTA_LAYERS.
  absl::StatusOr<LayerView> CreateLayer(const LayerConfig& config);
  absl::StatusOr<LayerView> UpdateLayer(const LayerConfig& config);
  absl::Status DeleteLayer(std::string_view layer_id);

  // Sets the mode of the named layers, or of all and of later ones; returns their ids,
  // sorted. LAYER_NOT_FOUND changes nothing.
  absl::StatusOr<std::vector<std::string>> SetMode(Mode mode,
                                                   const std::vector<std::string>& layer_ids);

  // What the server holds for a layer. SetParameters replaces those that are named, all or none.
  // LAYER_NOT_FOUND, CheckParameter's, QUOTA_PARAMETER_BYTES.
  absl::Status SetParameters(std::string_view layer_id, std::vector<Parameter> parameters);
  absl::StatusOr<SharedParameters> GetParameters(std::string_view layer_id) const;

  // `key`: as the call names the step; its sequence_id counts only for layers that are, or were at
  // the step, keyed by sequence. LAYER_NOT_FOUND.
  absl::StatusOr<LayerSnapshot> Snapshot(std::string_view layer_id,
                                         const std::optional<StepKey>& key) const;

  // What Commit does to a record that is there already.
  enum class IfPresent { kReplace, kKeep };

  // Room for a record at `key`: LAYER_NOT_FOUND if the layer is gone by now, QUOTA_STEPS. Check
  // says whether it can be made.
  absl::Status CheckRoom(const LayerState& layer, const StepKey& key) const;
  absl::Status MakeRoom(LayerState& layer, const StepKey& key);

  // Writes the step's record, and puts its mask and its input (null: none) into the caches.
  // Errors as MakeRoom's.
  absl::Status Commit(LayerState& layer, const StepKey& key, StepRecord record,
                      std::shared_ptr<const PackedBits> mask,
                      std::shared_ptr<const RetainedInput> input, IfPresent if_present);

  // Puts a mask that was made again back into the cache, if its step is still there.
  void Recache(LayerState& layer, const StepKey& key, CacheId mask_id,
               std::shared_ptr<const PackedBits> bits);

  void ReleaseStep(LayerState& layer, const StepKey& key);

  // Empty layer_id: all layers. Returns how many records were forgotten. LAYER_NOT_FOUND.
  absl::StatusOr<std::uint64_t> ReleaseSteps(std::string_view layer_id, std::uint64_t through_step);

  SharedStream& stream();

  // Regions of shared memory. QUOTA_SHARED_MEMORY if there are too many, REGION_NOT_FOUND.
  absl::Status AddRegion(SharedRegionRef region, std::size_t max_regions);
  absl::StatusOr<SharedRegionRef> FindRegion(std::string_view region_id) const;
  absl::Status RemoveRegion(std::string_view region_id);

  // The session was removed: calls that hold it go on, but nobody finds it any more.
  void End();

 private:
  using Layers = std::map<std::string, std::shared_ptr<LayerState>, std::less<>>;

  Session(const SessionSpec& spec, Nanoseconds default_ttl, std::size_t max_layers,
          StepBudget& budget, const Clock& clock);
  Session(std::string_view session_id, const SessionImage& image, std::size_t max_layers,
          StepBudget& budget, const Clock& clock);

  // The lock is held.
  SessionImage ImageLocked() const;
  absl::Status CollectFields(const LayerState& layer, FieldCollector& fields) const;
  absl::Status InstallStep(LayerState& layer, SessionParts::Step step);
  absl::Status CheckLayer(const LayerConfig& config) const;
  absl::StatusOr<LayerState*> FindLayer(std::string_view layer_id) const;
  absl::Status MakeRoomLocked(LayerState& layer, const StepKey& key);
  static LayerView ViewOf(const LayerState& layer);
  void Remove(LayerState& layer);
  absl::Status ReplaceParameters(LayerState& layer, Parameters parameters);
  absl::Status SetParameters(LayerState& layer, SharedParameters parameters, std::uint64_t version);
  struct Restored;
  absl::StatusOr<Restored> Prepare(const LayerImage& image, const ParametersByUid& parameters);

  const std::string session_id_;
  const std::uint64_t incarnation_;
  const std::uint64_t origin_ = 0;  // As SessionImage's.
  const std::uint64_t seed_;
  const Nanoseconds ttl_;
  const std::size_t max_layers_;
  StepBudget& budget_;
  const Clock& clock_;
  const WallTime create_time_;
  std::atomic<SteadyTime> expire_time_;

  // As CreateSession had it, to know a retry.
  const bool seed_given_;
  const std::optional<Nanoseconds> ttl_given_;
  const Mode created_mode_;
  std::vector<std::shared_ptr<const LayerConfig>> created_layers_;

  std::shared_mutex changes_;
  std::atomic<StoreVersion> version_{0};
  std::atomic<std::uint64_t> history_{0};
  std::atomic<WallTime> stored_until_{WallTime::max()};

  mutable std::mutex mutex_;
  std::uint64_t next_uid_ = 1;  // Names layers, and versions of their parameters.
  Mode mode_;
  Layers layers_;
  std::unique_ptr<SharedStream> stream_;
  std::map<std::string, SharedRegionRef, std::less<>> regions_;
  bool ended_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_H_
