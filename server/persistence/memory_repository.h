// Sessions that live and die with this process.
#ifndef DROPOUTD_SERVER_PERSISTENCE_MEMORY_REPOSITORY_H_
#define DROPOUTD_SERVER_PERSISTENCE_MEMORY_REPOSITORY_H_

#include "server/base/quota.h"
#include "server/persistence/repository.h"
#include "server/session/budgets.h"
#include "server/session/clock.h"
#include "server/session/limits.h"
#include "server/session/session_registry.h"

namespace dropoutd {

class MemoryRepository final : public Repository {
 public:
  // All must outlive it.
  MemoryRepository(SessionRegistry& registry, Budgets& budgets, const Limits& limits,
                   const Clock& clock);

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
  std::unique_ptr<RecordWrite> WriteHere(std::string_view, std::string_view, const StepKey&,
                                         Prepare) override {
    return nullptr;
  }
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
  absl::StatusOr<std::shared_ptr<Session>> FindSession(std::string_view key) const;
  absl::StatusOr<Charge> TakePlace(std::string_view key);

  SessionRegistry& registry_;
  Budgets& budgets_;
  Quota sessions_;
  const Clock& clock_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_MEMORY_REPOSITORY_H_
