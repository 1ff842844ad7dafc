// A record on its way to a store.
#ifndef DROPOUTD_SERVER_PERSISTENCE_STORED_WRITE_H_
#define DROPOUTD_SERVER_PERSISTENCE_STORED_WRITE_H_

#include <cstdint>
#include <future>
#include <memory>
#include <mutex>

#include "server/persistence/store_repository.h"

namespace dropoutd {

// Begins at once, and goes on while the caller works.
class StoredWrite final : public RecordWrite {
 public:
  StoredWrite(StoreRepository& repository, const StepPlace& place, IfPresent if_present);

  // Begins to write; `input`: what the record's Backward needs, or null.
  void Start(const StepRecord& record, const RetainedInput* input);

  // Writes, unless the session is another than the place has it, and waits. False: it was not
  // written. Where that is not known Finish says so.
  bool TryNow(const StepRecord& record);

  absl::Status Finish(StepRecord record, SharedBits mask,
                      std::shared_ptr<const RetainedInput> input) override;

 private:
  StoreChange MakeChange(const StepRecord& record, const RetainedInput* input) const;

  // After an attempt that was in vain: finds out why, and what to name next. False: the record is
  // not to be written, because there is one.
  absl::StatusOr<bool> PrepareNext(const StoreResult& result, std::unique_lock<SlowMutex>& turn);

  StoreRepository& repository_;
  StepPlace place_;
  const IfPresent if_present_;
  const Token token_;
  const std::uint32_t turn_;
  Token replaces_;
  std::future<absl::StatusOr<StoreResult>> begun_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_STORED_WRITE_H_
