#include "server/persistence/stored_write.h"

#include <utility>

#include "server/base/error.h"
#include "server/base/running_work.h"
#include "server/base/status_macros.h"
#include "server/persistence/field_names.h"
#include "server/persistence/step_codec.h"
#include "server/persistence/store_limits.h"
#include "server/session/session_key.h"

namespace dropoutd {

StoredWrite::StoredWrite(StoreRepository& repository, const StepPlace& place, IfPresent if_present)
    : repository_(repository),
      place_(place),
      if_present_(if_present),
      token_(Token::Random()),
      turn_(place.session->BeginTurn(*place.layer.book, *place.layer.key)) {
  if (if_present == IfPresent::kKeep) return;
  // Where this server has no record, the store's answer says which one to replace.
  const SharedRecord here = place.layer.book->steps.Find(*place.layer.key);
  if (here != nullptr) replaces_ = here->token;
}

StoreChange StoredWrite::MakeChange(const StepRecord& record, const RetainedInput* input) const {
  StoreChange change;
  change.token = token_;
  change.incarnation = place_.session->incarnation();
  change.expected = place_.version->token;
  change.writes.push_back({StepField(place_.layer.image->uid, *place_.layer.key),
                           EncodeRecord(record, input), replaces_});
  return change;
}

void StoredWrite::Start(const StepRecord& record, const RetainedInput* input) {
  const auto promise = std::make_shared<std::promise<absl::StatusOr<StoreResult>>>();
  begun_ = promise->get_future();
  repository_.store_.StartCommit(
      place_.session->key(), MakeChange(record, input),
      [promise](absl::StatusOr<StoreResult> result) { promise->set_value(std::move(result)); });
}

bool StoredWrite::TryNow(const StepRecord& record) {
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    StoreChange change = MakeChange(record, nullptr);
    change.ttl = repository_.RenewalDue(*place_.session);
    const std::optional<Nanoseconds> ttl = change.ttl;
    const SteadyTime now = repository_.clock_.Now();
    auto result = repository_.store_.Commit(place_.session->key(), std::move(change));
    // It may have been made: what another attempt finds would not say so.
    const bool is_in_doubt = ReasonOf(result.status()) == Reason::kStoreUnavailable;
    if (!result.ok() && !is_in_doubt) return false;
    if (result.ok() && result->outcome == StoreOutcome::kOccupied) {
      replaces_ = result->found.front();
      continue;
    }
    if (result.ok() && result->outcome != StoreOutcome::kDone) return false;
    if (result.ok() && ttl.has_value()) place_.session->ExtendStoredUntil(now + *ttl);
    std::promise<absl::StatusOr<StoreResult>> done;
    begun_ = done.get_future();
    done.set_value(std::move(result));
    return true;
  }
  return false;
}

absl::StatusOr<bool> StoredWrite::PrepareNext(const StoreResult& result,
                                              std::unique_lock<SlowMutex>& turn) {
  switch (result.outcome) {
    case StoreOutcome::kOccupied: {
      replaces_ = result.found.front();
      if (if_present_ == IfPresent::kReplace) return true;
      // A removal is no record.
      const std::string name = StepField(place_.layer.image->uid, *place_.layer.key);
      DROPOUTD_ASSIGN_OR_RETURN(const auto there, repository_.ReadField(place_, name));
      return !there.has_value();
    }
    case StoreOutcome::kConflict:
      DROPOUTD_RETURN_IF_ERROR(repository_.LookAgain(place_, {}, turn).status());
      return true;
    case StoreOutcome::kAbsent:
      return repository_.ForgetIfGone(place_.session, absl::NotFoundError("it was removed"));
    default:
      return TooManyChanges();
  }
}

absl::Status StoredWrite::Finish(StepRecord record, SharedBits mask,
                                 std::shared_ptr<const RetainedInput> input) {
  const std::string& key = place_.session->key();
  absl::StatusOr<StoreResult> result = begun_.get();
  std::unique_lock turn(place_.session->changes(), std::defer_lock);
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    if (i == kTriesAmongOthers && !turn.owns_lock()) turn.lock();
    if (!result.ok()) {
      // It may have been made: the store must say which record there is.
      place_.session->ReleaseStep(*place_.layer.book, *place_.layer.key);
      return repository_.ForgetIfGone(place_.session, result.status());
    }
    if (result->outcome == StoreOutcome::kDone) {
      record.token = token_;
      repository_.TrimNowAndThen(place_);
      // The store's copy serves where there is no room here, and where the copy that is here does
      // not have the layer yet, or no more.
      place_.session
          ->Commit(*place_.layer.book, *place_.layer.key, std::move(record), std::move(mask),
                   std::move(input), if_present_, turn_)
          .IgnoreError();
      return absl::OkStatus();
    }
    DROPOUTD_ASSIGN_OR_RETURN(const bool is_wanted, PrepareNext(*result, turn));
    if (!is_wanted) return absl::OkStatus();
    result = repository_.store_.Commit(key, MakeChange(record, input.get()));
  }
  return TooManyChanges();
}

}  // namespace dropoutd
