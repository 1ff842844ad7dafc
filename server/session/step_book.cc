#include "server/session/step_book.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"

namespace dropoutd {

const StepRecord* StepBook::Find(const StepKey& key) const {
  const auto found = records_.find(key);
  return found == records_.end() ? nullptr : &found->second;
}

bool StepBook::HasRoom(const StepKey& key) const {
  return records_.contains(key) ||
         (records_.size() < budget_.max_per_layer && budget_.total < budget_.max_total);
}

StepBook::Records::const_iterator StepBook::FindVictim() const {
  return std::find_if(records_.begin(), records_.end(),
                      [](const auto& entry) { return entry.second.pinned == nullptr; });
}

absl::Status StepBook::NoRoom() const {
  return MakeError(Reason::kQuotaSteps,
                   absl::StrCat("no room for another step: ", records_.size(), " of ",
                                budget_.max_per_layer, " in this layer, ", budget_.total.load(),
                                " of ", budget_.max_total, " in all; release steps"));
}

absl::Status StepBook::CheckRoom(const StepKey& key) const {
  return HasRoom(key) || FindVictim() != records_.end() ? absl::OkStatus() : NoRoom();
}

absl::Status StepBook::MakeRoom(const StepKey& key) {
  if (HasRoom(key)) return absl::OkStatus();
  const auto victim = FindVictim();
  if (victim == records_.end()) return NoRoom();
  Remove(victim);
  return absl::OkStatus();
}

void StepBook::Put(const StepKey& key, StepRecord record) {
  const auto [at, is_new] = records_.try_emplace(key);
  if (is_new) {
    ++budget_.total;
  } else {
    ForgetData(at->second);
  }
  at->second = std::move(record);
}

bool StepBook::Release(const StepKey& key) {
  const auto found = records_.find(key);
  if (found == records_.end()) return false;
  Remove(found);
  return true;
}

std::uint64_t StepBook::ReleaseThrough(std::uint64_t step) {
  std::uint64_t count = 0;
  for (auto at = records_.begin(); at != records_.end() && at->first.step <= step; ++count) {
    at = Remove(at);
  }
  return count;
}

void StepBook::Clear() {
  for (auto at = records_.begin(); at != records_.end();) at = Remove(at);
}

void StepBook::ForgetData(const StepRecord& record) {
  if (record.mask_id != 0) budget_.cache.Erase(record.mask_id);
  if (record.input_id != 0) budget_.inputs.Erase(record.input_id);
  if (record.pinned != nullptr) budget_.cache.Unreserve(record.pinned->byte_size());
}

StepBook::Records::iterator StepBook::Remove(Records::const_iterator at) {
  ForgetData(at->second);
  --budget_.total;
  return records_.erase(at);
}

}  // namespace dropoutd
