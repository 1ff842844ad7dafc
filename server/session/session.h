// A session that is in use here: what it is, and what its steps left behind.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_H_
#define DROPOUTD_SERVER_SESSION_SESSION_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/quota.h"
#include "server/base/slow_mutex.h"
#include "server/base/token.h"
#include "server/dropout/pass.h"
#include "server/session/budgets.h"
#include "server/session/clock.h"
#include "server/session/layer_book.h"
#include "server/session/regions.h"
#include "server/session/session_image.h"
#include "server/session/shared_stream.h"
#include "server/session/step_book.h"
#include "server/session/step_record.h"

namespace dropoutd {

// What a session is, and the name of the change that made it so: none where no store keeps it.
// Immutable.
struct Version {
  SharedImage image;
  Token token;
};
using SharedVersion = std::shared_ptr<const Version>;

// What a call needs to know of a layer and a step of it.
struct LayerSnapshot {
  std::shared_ptr<LayerBook> book;  // To commit to.
  SharedLayer image;
  SharedParameters parameters;  // Never null.

  std::optional<StepKey> key;                     // That a record written now has.
  SharedRecord record;                            // Of the step that was asked for, or null,
  StepKey record_key;                             // and where it is.
  std::shared_ptr<const RetainedInput> retained;  // Its input, if that came from the store.

  const SharedConfig& config() const { return image->config; }
  Mode mode() const { return image->mode; }
};

// Thread-safe. Readers see the last version that was shown, which no change touches. Its lock is
// held for look-ups and small changes, never while a tensor is processed.
class Session {
 public:
  // The budgets must outlive it.
  Session(std::string key, SharedVersion version, Budgets& budgets, SteadyTime now);

  // What the session costs, until it goes. Before anybody else has it.
  void Hold(Charge charge) { charge_ = std::move(charge); }

  const std::string& key() const { return key_; }
  const TenantBudget& tenant() const { return *tenant_; }
  SharedVersion version() const;
  Token incarnation() const { return incarnation_; }
  std::uint64_t seed() const { return seed_; }
  Nanoseconds ttl() const { return ttl_; }

  // From now on this is what the session is. With `before`, only if that is what it still was, by
  // its token if it has one, so that no answer that came late hides a later one. The steps of
  // layers that have gone go too.
  void Show(SharedVersion next);
  void ShowAfter(const SharedVersion& before, SharedVersion next);

  // Held, by one, from the version that a change starts from until the next one is shown.
  SlowMutex& changes() { return changes_; }

  void Renew(SteadyTime now) { expire_time_ = now + ttl_; }
  SteadyTime expire_time() const { return expire_time_; }

  // Until when a store keeps it at least, as far as is known here: it only grows.
  SteadyTime stored_until() const { return stored_until_; }
  void ExtendStoredUntil(SteadyTime time);

  // The layer as `version` has it, with the record that is here of the step that the call names by
  // `key`; its sequence_id counts only for layers that are, or were at the step, keyed by sequence.
  // LAYER_NOT_FOUND.
  absl::StatusOr<LayerSnapshot> Snapshot(const SharedVersion& version, std::string_view layer_id,
                                         const std::optional<StepKey>& key) const;

  // Of the version that is shown, at one moment with its record.
  absl::StatusOr<LayerSnapshot> Snapshot(std::string_view layer_id,
                                         const std::optional<StepKey>& key) const;

  // What Commit does to a record that is there already.
  enum class IfPresent { kReplace, kKeep };

  // Whether a record at `key` has room: LAYER_NOT_FOUND if the layer is gone by now, QUOTA_STEPS.
  absl::Status CheckRoom(const LayerBook& book, const StepKey& key) const;

  // Begins a write of the step's record to a store. Commit with the turn that this returns keeps
  // the record only if nothing else has begun to change the step since: else the store must be
  // asked which record is there.
  std::uint32_t BeginTurn(LayerBook& book, const StepKey& key);

  // Writes the step's record, and puts its mask and its input (null: none) into the caches. A
  // pinned mask is charged; where records are copies it is but cached. Errors as CheckRoom's,
  // QUOTA_MASK_CACHE.
  absl::Status Commit(LayerBook& book, const StepKey& key, StepRecord record, SharedBits mask,
                      std::shared_ptr<const RetainedInput> input, IfPresent if_present,
                      std::optional<std::uint32_t> turn = std::nullopt);

  void ReleaseStep(LayerBook& book, const StepKey& key);

  // Of one layer, or with no uid of all: forgets every step up to and including `through`; returns
  // how many.
  std::uint64_t ReleaseThrough(std::optional<std::uint64_t> uid, std::uint64_t through);

  // The version that is shown, with each of whose layers' steps `visit` is called.
  SharedVersion VisitSteps(absl::FunctionRef<void(const LayerImage&, const StepBook&)> visit) const;

  SharedStream& stream();
  // Null if nothing was ever drawn.
  SharedStream* stream_if_any() const;

  Regions& regions() { return regions_; }
  const Regions& regions() const { return regions_; }

 private:
  using Books = std::map<std::uint64_t, std::shared_ptr<LayerBook>>;

  // The lock is held.
  std::shared_ptr<LayerBook> BookOf(const LayerImage& layer) const;
  LayerSnapshot SnapshotLocked(const SharedLayer& layer, const std::optional<StepKey>& key) const;
  Books ShowLocked(SharedVersion next);

  const std::string key_;
  Budgets& budgets_;
  const TenantBudgetRef tenant_;
  Charge charge_;
  const Token incarnation_;
  const std::uint64_t seed_;
  const Nanoseconds ttl_;
  std::atomic<SteadyTime> expire_time_;
  std::atomic<SteadyTime> stored_until_{SteadyTime::min()};

  SlowMutex changes_;
  Regions regions_;

  mutable std::mutex mutex_;
  SharedVersion version_;
  mutable Books books_;  // By the uids of their layers; made when they are first asked for.
  std::unique_ptr<SharedStream> stream_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_H_
