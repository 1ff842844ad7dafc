// The steps of one layer: what each Forward did, so that Backward can do the same.
#ifndef DROPOUTD_SERVER_SESSION_STEP_BOOK_H_
#define DROPOUTD_SERVER_SESSION_STEP_BOOK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/quota.h"
#include "server/session/budgets.h"
#include "server/session/step_record.h"
#include "server/session/step_shelf.h"

namespace dropoutd {

// Room for one record, given back unless it is put there. Move-only.
struct StepRoom {
  Charge record;
  MaskCache::Reservation pinned;
};

// Thread-safe, with a lock of its own that comes after any other: other sessions may make it forget
// records that can be made again. What is released is given back at once, even if calls still hold
// the record. The budgets must outlive it.
class StepBook {
 public:
  StepBook(Budgets& budgets, TenantBudgetRef tenant);
  ~StepBook();
  StepBook(const StepBook&) = delete;
  StepBook& operator=(const StepBook&) = delete;

  // By key, as they are at this moment.
  using Records = std::vector<std::pair<StepKey, SharedRecord>>;
  Records records() const;
  std::size_t size() const;

  // Null if there is none.
  SharedRecord Find(const StepKey& key) const;

  // Makes room for a record at `key`. Where a limit is reached a step that can be made again is
  // forgotten: the lowest of the layer, or of whoever holds most. `pinned_bytes`: of the record's
  // pinned mask, if it has one. Where records are copies all of them can be made again, and none is
  // pinned: the bits go into the record's mask entry.
  // QUOTA_STEPS, QUOTA_MASK_CACHE: then no step is forgotten. Check changes nothing.
  absl::Status CheckRoom(const StepKey& key) const;
  absl::StatusOr<StepRoom> MakeRoom(const StepKey& key, std::size_t pinned_bytes = 0);

  // Replaces the record at `key`. `room`: as MakeRoom gave it for the key; a pinned mask needs its
  // bytes there.
  void Put(const StepKey& key, StepRecord record, StepRoom room);

  // Places for the record's mask and input.
  MaskCache::Entry NewMask() const { return budgets_.masks().NewEntry(tenant_->masks); }
  InputCache::Entry NewInput() const { return budgets_.inputs().NewEntry(tenant_->inputs); }

  // Whether there was one.
  bool Release(const StepKey& key);

  // Forgets every step up to and including `step`; returns how many records.
  std::uint64_t ReleaseThrough(std::uint64_t step);

  void Clear();

 private:
  friend class StepShelf;
  using Map = std::map<StepKey, SharedRecord>;

  bool CanForget(const StepRecord& record) const;
  absl::Status NoRoomInLayer() const;

  // The lowest record that can be made again; false if there is none.
  bool ForgetOne();

  // The lock is held.
  bool ForgetOneLocked();
  bool IsFull() const { return records_.size() >= budgets_.max_steps_per_layer(); }
  void Drop(const StepRecord& record);
  Map::iterator Erase(Map::iterator at);

  // Tells the shelf what has changed. The lock is not held.
  void Tell();

  Budgets& budgets_;
  const TenantBudgetRef tenant_;
  mutable std::mutex mutex_;
  Map records_;
  Charge charge_;                            // Of the records.
  MaskCache::Reservation pinned_;            // Of their pinned masks.
  std::atomic<std::size_t> forgettable_{0};  // Records.
  std::atomic<std::size_t> row_{0};          // Of the shelf, which writes it.
  StepShelf::Place place_;                   // There.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_STEP_BOOK_H_
