#include "server/session/step_book.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "server/base/running_work.h"
#include "server/base/status_macros.h"
#include "server/session/quota_terms.h"

namespace dropoutd {

StepBook::StepBook(Budgets& budgets, TenantBudgetRef tenant)
    : budgets_(budgets), tenant_(std::move(tenant)) {
  tenant_->books.Add(*this);
}

// First of all nobody may reach it any more.
StepBook::~StepBook() { tenant_->books.Remove(*this); }

StepBook::Records StepBook::records() const {
  const std::lock_guard lock(mutex_);
  return {records_.begin(), records_.end()};
}

std::size_t StepBook::size() const {
  const std::lock_guard lock(mutex_);
  return records_.size();
}

SharedRecord StepBook::Find(const StepKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(key);
  return found == records_.end() ? nullptr : found->second;
}

bool StepBook::CanForget(const StepRecord& record) const {
  return record.pinned == nullptr || budgets_.holding() == Holding::kCopies;
}

absl::Status StepBook::NoRoomInLayer() const {
  const std::size_t most = budgets_.max_steps_per_layer();
  return QuotaError(LayerStepTerms(most), QuotaLimit::kTenant, 1, most);
}

absl::Status StepBook::CheckRoom(const StepKey& key) const {
  {
    const std::lock_guard lock(mutex_);
    if (records_.contains(key)) return absl::OkStatus();
    if (IsFull() && forgettable_ == 0) return NoRoomInLayer();
  }
  return budgets_.CheckStep(tenant_);
}

absl::StatusOr<StepRoom> StepBook::MakeRoom(const StepKey& key, std::size_t pinned_bytes) {
  StepRoom room;
  // Bytes first: they cost nobody a step.
  if (pinned_bytes != 0 && budgets_.holding() == Holding::kOriginals) {
    DROPOUTD_ASSIGN_OR_RETURN(room.pinned, budgets_.masks().Reserve(tenant_->masks, pinned_bytes));
  }
  {
    const std::lock_guard lock(mutex_);
    if (records_.contains(key)) return room;
    if (IsFull() && !ForgetOneLocked()) return NoRoomInLayer();
  }
  Tell();
  DROPOUTD_ASSIGN_OR_RETURN(room.record, budgets_.TakeStep(tenant_));
  return room;
}

void StepBook::Put(const StepKey& key, StepRecord record, StepRoom room) {
  auto shared = std::make_shared<const StepRecord>(std::move(record));
  {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(key);
    if (found != records_.end()) {
      Drop(*found->second);
      found->second = shared;
    } else {
      // Another call may have taken the layer's room, or forgotten the record that was there.
      if (IsFull()) ForgetOneLocked();
      if (room.record.amount() == 0) room.record = budgets_.steps().TakeAnyway(tenant_->steps, 1);
      charge_.Absorb(std::move(room.record));
      records_.emplace(key, shared);
    }
    pinned_.Absorb(std::move(room.pinned));
    if (CanForget(*shared)) ++forgettable_;
  }
  Tell();
}

bool StepBook::Release(const StepKey& key) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(key);
    if (found == records_.end()) return false;
    Erase(found);
  }
  Tell();
  return true;
}

std::uint64_t StepBook::ReleaseThrough(std::uint64_t step) {
  std::uint64_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    WorkMeter meter;
    for (auto at = records_.begin(); at != records_.end() && at->first.step <= step; ++count) {
      at = Erase(at);
      meter.AddRecord();
    }
  }
  Tell();
  return count;
}

void StepBook::Clear() { ReleaseThrough(std::numeric_limits<std::uint64_t>::max()); }

bool StepBook::ForgetOne() {
  const std::lock_guard lock(mutex_);
  return ForgetOneLocked();
}

bool StepBook::ForgetOneLocked() {
  if (forgettable_ == 0) return false;
  const auto victim = std::find_if(records_.begin(), records_.end(),
                                   [this](const auto& entry) { return CanForget(*entry.second); });
  Erase(victim);
  return true;
}

// Gives back what the record's mask has taken.
void StepBook::Drop(const StepRecord& record) {
  if (CanForget(record)) --forgettable_;
  if (record.pinned != nullptr && budgets_.holding() == Holding::kOriginals) {
    pinned_.GiveBackOne(record.pinned->byte_size());
  }
}

StepBook::Map::iterator StepBook::Erase(Map::iterator at) {
  Drop(*at->second);
  charge_.GiveBack(1);
  return records_.erase(at);
}

void StepBook::Tell() {
  if (StepShelf::RowOf(forgettable_) != row_) tenant_->books.Update(*this);
}

}  // namespace dropoutd
