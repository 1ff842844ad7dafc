// What steps left behind and can do without, within a budget of bytes.
#ifndef DROPOUTD_SERVER_SESSION_STEP_CACHE_H_
#define DROPOUTD_SERVER_SESSION_STEP_CACHE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace dropoutd {

// Names an entry of a cache. 0 names none.
using CacheId = std::uint64_t;

// Maps ids to values with a byte_size(); what was used least recently goes first. Thread-safe.
// Invariant: bytes() <= budget.
template <typename Value>
class StepCache {
 public:
  // What an entry costs besides its bytes, so that many tiny ones stay within the budget.
  static constexpr std::size_t kEntryOverhead = 160;

  explicit StepCache(std::size_t budget) : budget_(budget) {}

  // An id that was never given before.
  CacheId NewId() { return next_id_.fetch_add(1, std::memory_order_relaxed); }

  // Evicts until `value` fits; one that is larger than what is not reserved is not kept.
  void Put(CacheId id, std::shared_ptr<const Value> value) {
    const std::size_t cost = Cost(value->byte_size());
    const std::lock_guard lock(mutex_);
    if (const auto found = index_.find(id); found != index_.end()) Remove(found->second);
    if (cost > budget_ - reserved_) return;
    EvictUntilFree(cost);
    entries_.push_front({id, std::move(value)});
    index_[id] = entries_.begin();
    bytes_ += cost;
  }

  // Null if the value was never put, or evicted.
  std::shared_ptr<const Value> Get(CacheId id) {
    const std::lock_guard lock(mutex_);
    const auto found = index_.find(id);
    ++(found == index_.end() ? misses_ : hits_);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }

  void Erase(CacheId id) {
    const std::lock_guard lock(mutex_);
    if (const auto found = index_.find(id); found != index_.end()) Remove(found->second);
  }

  // Takes a value of `byte_size` bytes, kept elsewhere, off the budget until Unreserve, evicting as
  // needed. False, with nothing changed, if it does not fit beside what is reserved already.
  bool Reserve(std::size_t byte_size) {
    const std::size_t cost = Cost(byte_size);
    const std::lock_guard lock(mutex_);
    if (cost > budget_ - reserved_) return false;
    EvictUntilFree(cost);
    reserved_ += cost;
    bytes_ += cost;
    return true;
  }

  void Unreserve(std::size_t byte_size) {
    const std::lock_guard lock(mutex_);
    reserved_ -= Cost(byte_size);
    bytes_ -= Cost(byte_size);
  }

  std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

  std::size_t reserved() const {
    const std::lock_guard lock(mutex_);
    return reserved_;
  }

  std::size_t budget() const { return budget_; }

  // Since the start.
  struct Counts {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evictions = 0;
  };
  Counts counts() const {
    const std::lock_guard lock(mutex_);
    return {hits_, misses_, evictions_};
  }

 private:
  struct Entry {
    CacheId id;
    std::shared_ptr<const Value> value;
  };
  using Entries = std::list<Entry>;

  static std::size_t Cost(std::size_t byte_size) { return byte_size + kEntryOverhead; }

  void EvictUntilFree(std::size_t cost) {
    for (; bytes_ + cost > budget_; ++evictions_) Remove(std::prev(entries_.end()));
  }

  void Remove(typename Entries::iterator entry) {
    bytes_ -= Cost(entry->value->byte_size());
    index_.erase(entry->id);
    entries_.erase(entry);
  }

  const std::size_t budget_;
  std::atomic<CacheId> next_id_{1};
  mutable std::mutex mutex_;
  std::size_t bytes_ = 0;  // Of entries and reservations.
  std::size_t reserved_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
  std::uint64_t evictions_ = 0;
  Entries entries_;  // Most recently used first.
  std::unordered_map<CacheId, typename Entries::iterator> index_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_STEP_CACHE_H_
