#include "server/session/mask_cache.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"

namespace dropoutd {

void MaskCache::Put(MaskId id, std::shared_ptr<const PackedBits> bits) {
  const std::size_t cost = Cost(bits->byte_size());
  const std::lock_guard lock(mutex_);
  if (const auto found = index_.find(id); found != index_.end()) Remove(found->second);
  if (cost > budget_ - reserved_) return;
  EvictUntilFree(cost);
  entries_.push_front({id, std::move(bits)});
  index_[id] = entries_.begin();
  bytes_ += cost;
}

std::shared_ptr<const PackedBits> MaskCache::Get(MaskId id) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(id);
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->bits;
}

void MaskCache::Erase(MaskId id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = index_.find(id); found != index_.end()) Remove(found->second);
}

absl::Status MaskCache::Reserve(std::size_t byte_size) {
  const std::size_t cost = Cost(byte_size);
  const std::lock_guard lock(mutex_);
  if (cost > budget_ - reserved_) {
    return MakeError(Reason::kQuotaMaskCache,
                     absl::StrCat("a mask of ", byte_size, " bytes does not fit the mask cache: ",
                                  reserved_, " of ", budget_,
                                  " bytes hold masks of sequential generators; release steps"));
  }
  EvictUntilFree(cost);
  reserved_ += cost;
  bytes_ += cost;
  return absl::OkStatus();
}

void MaskCache::Unreserve(std::size_t byte_size) {
  const std::lock_guard lock(mutex_);
  reserved_ -= Cost(byte_size);
  bytes_ -= Cost(byte_size);
}

std::size_t MaskCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void MaskCache::EvictUntilFree(std::size_t cost) {
  while (bytes_ + cost > budget_) Remove(std::prev(entries_.end()));
}

void MaskCache::Remove(Entries::iterator entry) {
  bytes_ -= Cost(entry->bits->byte_size());
  index_.erase(entry->id);
  entries_.erase(entry);
}

}  // namespace dropoutd
