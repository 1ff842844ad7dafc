// Sessions that a store keeps.
#ifndef DROPOUTD_SERVER_PERSISTENCE_STORE_REPOSITORY_H_
#define DROPOUTD_SERVER_PERSISTENCE_STORE_REPOSITORY_H_

#include <array>
#include <mutex>
#include <vector>

#include "server/base/slow_mutex.h"
#include "server/persistence/repository.h"
#include "server/session/budgets.h"
#include "server/session/clock.h"
#include "server/session/limits.h"
#include "server/session/session_registry.h"
#include "server/store/store.h"

namespace dropoutd {

// The registry holds copies of the sessions that are in use. What the store says counts: where it
// is shared every call asks it for the session's token, so that no copy is ever taken for more than
// it is; a copy of a store of this server's own is the truth until a change of it fails.
class StoreRepository final : public Repository {
 public:
  // All must outlive it.
  StoreRepository(Store& store, SessionRegistry& registry, Budgets& budgets, const Limits& limits,
                  const Clock& clock)
      : store_(store), registry_(registry), budgets_(budgets), limits_(limits), clock_(clock) {}

  absl::StatusOr<FoundSession> Find(std::string_view key) override;
  absl::StatusOr<FoundSession> Create(const std::string& key, SharedImage image, IsSame is_same,
                                      Copied* copied) override;
  absl::Status Delete(std::string_view key) override;
  absl::StatusOr<SessionList> List(std::string_view after, std::size_t count) override;
  absl::StatusOr<SharedImage> Change(std::string_view key, Next change) override;
  absl::StatusOr<SessionContents> Contents(std::string_view key, std::size_t max_bytes) override;

  absl::StatusOr<StepPlace> FindStep(std::string_view key, std::string_view layer_id,
                                     const std::optional<StepKey>& step,
                                     bool needs_record) override;
  std::unique_ptr<RecordWrite> WriteHere(std::string_view key, std::string_view layer_id,
                                         const StepKey& step, Prepare prepare) override;
  std::unique_ptr<RecordWrite> StartRecord(const StepPlace& place, const StepRecord& record,
                                           std::shared_ptr<const RetainedInput> input,
                                           IfPresent if_present) override;
  absl::Status Release(const StepPlace& place) override;
  absl::StatusOr<std::uint64_t> ReleaseSteps(std::string_view key, std::string_view layer_id,
                                             std::uint64_t through) override;
  absl::StatusOr<Drawn> Draw(const StepPlace& place, const StepKey& asked, const Shape& shape,
                             DrawRecord draw) override;
  std::size_t Sweep() override;

 private:
  friend class StoredWrite;

  // A session's version as the store has it now, and the fields that were asked for.
  struct Asked {
    SharedVersion version;
    std::vector<StoreField> fields;
  };

  // --- Sessions: store_repository.cc ---

  absl::Status Translate(const absl::Status& status, std::string_view key) const;
  // One at a time loads, makes or deletes the session with a key.
  SlowMutex& GateOf(std::string_view key);
  absl::StatusOr<std::shared_ptr<Session>> FindCopy(std::string_view key);
  absl::StatusOr<std::shared_ptr<Session>> Load(std::string_view key);
  absl::StatusOr<std::shared_ptr<Session>> LoadLocked(std::string_view key);
  absl::StatusOr<StoreAnswer> Upgrade(std::string_view key, StoreAnswer answer);
  absl::StatusOr<SharedVersion> VersionOf(std::string_view key, const StoreAnswer& answer,
                                          const SharedVersion& before);
  absl::Status ReadParameters(std::string_view key, Token token, SessionImage& image);
  absl::StatusOr<Asked> Ask(const std::shared_ptr<Session>& session, const SharedVersion& version,
                            std::vector<std::string> fields);
  absl::StatusOr<SharedVersion> UpToDate(const std::shared_ptr<Session>& session);
  absl::StatusOr<SharedVersion> UpToDateOrGone(const std::shared_ptr<Session>& session);
  std::optional<Nanoseconds> RenewalDue(const Session& session) const;
  absl::Status ForgetIfGone(const std::shared_ptr<Session>& session, const absl::Status& status);
  absl::Status EndExpired(const std::shared_ptr<Session>& session);
  absl::StatusOr<SessionContents> ReadWhole(std::string_view key, std::size_t max_bytes);
  void Tidy(std::string_view key, const SessionImage& before, const SessionImage& after);
  absl::StatusOr<std::uint64_t> EraseAll(std::string_view key, Token incarnation,
                                         std::optional<Token> expected, const FieldRange& range,
                                         std::size_t keep);
  absl::Status StageAll(std::string_view key, Token incarnation, std::vector<StoreField> fields);
  absl::StatusOr<FoundSession> Make(const std::string& key, const SharedImage& image,
                                    std::uint64_t staged, Token& removal);
  absl::StatusOr<SharedImage> ChangeCopy(const std::shared_ptr<Session>& session, Next make);
  absl::StatusOr<bool> CommitNext(const std::shared_ptr<Session>& session,
                                  const SharedVersion& version, SharedImage next);
  absl::StatusOr<bool> Shown(const std::shared_ptr<Session>& session, const SharedVersion& version,
                             SharedImage next, Token token,
                             const absl::StatusOr<StoreResult>& result);
  void Doubt(const std::shared_ptr<Session>& session, const SharedVersion& version) const;

  // --- Steps: store_steps.cc ---

  absl::StatusOr<SharedRecord> RecordFrom(const StepPlace& place, const StepKey& key,
                                          const StoreField& field,
                                          std::shared_ptr<const RetainedInput>& input);
  absl::StatusOr<SharedParameters> ParametersOf(const StepPlace& place, const std::string& field);
  absl::Status AdoptRecord(StepPlace& place, const std::vector<StoreField>& fields,
                           const std::vector<StepKey>& keys);
  absl::StatusOr<std::optional<std::string>> ReadField(const StepPlace& place,
                                                       const std::string& name);
  absl::StatusOr<std::optional<std::string>> ReadNeeded(const StepPlace& place,
                                                        const std::string& name);
  absl::StatusOr<std::vector<StoreField>> LookAgain(StepPlace& place,
                                                    const std::vector<std::string>& fields,
                                                    std::unique_lock<SlowMutex>& turn);
  absl::Status FinishRelease(const std::shared_ptr<Session>& session, std::uint64_t& count);
  absl::Status FinishReleaseLocked(const std::shared_ptr<Session>& session, std::uint64_t& count);
  absl::StatusOr<std::uint64_t> ReleaseLocked(const std::shared_ptr<Session>& session,
                                              std::string_view layer_id, std::uint64_t through);
  void TrimNowAndThen(const StepPlace& place);

  Store& store_;
  SessionRegistry& registry_;
  Budgets& budgets_;
  const Limits& limits_;
  const Clock& clock_;
  std::array<SlowMutex, 64> gates_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_STORE_REPOSITORY_H_
