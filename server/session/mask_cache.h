// Masks of recent steps, within a budget of bytes.
#ifndef DROPOUTD_SERVER_SESSION_MASK_CACHE_H_
#define DROPOUTD_SERVER_SESSION_MASK_CACHE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "absl/status/status.h"
#include "server/dropout/packed_bits.h"

namespace dropoutd {

// Names a mask in the cache. 0 names none.
using MaskId = std::uint64_t;

// Maps ids to masks; what was used least recently goes first. Masks of sequential
// generators live elsewhere and only reserve their bytes here, so that both kinds stay
// within one budget. Thread-safe. Invariant: bytes() <= budget.
class MaskCache {
 public:
  // What an entry costs besides its bits, so that many tiny masks stay within the budget.
  static constexpr std::size_t kEntryOverhead = 160;

  explicit MaskCache(std::size_t budget) : budget_(budget) {}

  // An id that was never given before.
  MaskId NewId() { return next_id_.fetch_add(1, std::memory_order_relaxed); }

  // Evicts until `bits` fit; a mask that is larger than what is not reserved is not kept.
  void Put(MaskId id, std::shared_ptr<const PackedBits> bits);

  // Null if the mask was never put, or evicted.
  std::shared_ptr<const PackedBits> Get(MaskId id);

  void Erase(MaskId id);

  // Takes a mask of `byte_size` bytes off the budget until Unreserve, evicting as needed.
  // QUOTA_MASK_CACHE if it does not fit.
  absl::Status Reserve(std::size_t byte_size);
  void Unreserve(std::size_t byte_size);

  std::size_t bytes() const;
  std::size_t budget() const { return budget_; }

 private:
  struct Entry {
    MaskId id;
    std::shared_ptr<const PackedBits> bits;
  };
  using Entries = std::list<Entry>;

  static std::size_t Cost(std::size_t byte_size) { return byte_size + kEntryOverhead; }
  void EvictUntilFree(std::size_t cost);
  void Remove(Entries::iterator entry);

  const std::size_t budget_;
  std::atomic<MaskId> next_id_{1};
  mutable std::mutex mutex_;
  std::size_t bytes_ = 0;  // Of entries and reservations.
  std::size_t reserved_ = 0;
  Entries entries_;  // Most recently used first.
  std::unordered_map<MaskId, Entries::iterator> index_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_MASK_CACHE_H_
