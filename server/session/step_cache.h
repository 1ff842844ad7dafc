// What steps left behind and can do without, within budgets of bytes.
#ifndef DROPOUTD_SERVER_SESSION_STEP_CACHE_H_
#define DROPOUTD_SERVER_SESSION_STEP_CACHE_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "server/base/quota.h"
#include "server/base/tenant_map.h"

namespace dropoutd {

// Values with a byte_size() that belong to tenants. Where a tenant's budget is full, what it used
// least recently goes; where that of all is, the tenant that holds most loses so. Must outlive
// everything that it gives out. Thread-safe. Invariants: bytes() <= budget, and the same of each
// tenant.
template <typename Value>
class StepCache {
 public:
  // What an entry costs besides its bytes, so that many tiny ones stay within the budget.
  static constexpr std::size_t kEntryOverhead = 160;

  // What one tenant holds; guarded by the cache.
  class Account;
  using AccountRef = std::shared_ptr<Account>;

  // The place of one value. What is in it goes with it, or earlier. The default one is no place.
  // Move-only; Get and Put are thread-safe.
  class Entry {
   public:
    Entry() = default;
    ~Entry() { Clear(); }
    Entry(Entry&& other) noexcept
        : account_(std::move(other.account_)), id_(std::exchange(other.id_, 0)) {}
    Entry& operator=(Entry&& other) noexcept {
      if (this == &other) return *this;
      Clear();
      account_ = std::move(other.account_);
      id_ = std::exchange(other.id_, 0);
      return *this;
    }

    explicit operator bool() const { return account_ != nullptr; }

    // Null if nothing was put there, if it was evicted, and where this is no place.
    std::shared_ptr<const Value> Get() const {
      return account_ == nullptr ? nullptr : account_->cache.Get(id_);
    }

    // Replaces what is there, and evicts until `value` fits; one that is larger than what is not
    // reserved is not kept. Not where this is no place.
    void Put(std::shared_ptr<const Value> value) const {
      account_->cache.Put(*account_, id_, std::move(value));
    }

   private:
    friend class StepCache;
    Entry(AccountRef account, std::uint64_t id) : account_(std::move(account)), id_(id) {}

    void Clear() {
      if (account_ != nullptr) account_->cache.Erase(id_);
    }

    AccountRef account_;
    std::uint64_t id_ = 0;
  };

  // Bytes of values that are kept elsewhere, off the budget until this goes. Move-only, not
  // thread-safe.
  class Reservation {
   public:
    Reservation() = default;
    ~Reservation() { GiveBack(bytes_); }
    Reservation(Reservation&& other) noexcept
        : account_(std::move(other.account_)), bytes_(std::exchange(other.bytes_, 0)) {}
    Reservation& operator=(Reservation&& other) noexcept {
      if (this == &other) return *this;
      GiveBack(bytes_);
      account_ = std::move(other.account_);
      bytes_ = std::exchange(other.bytes_, 0);
      return *this;
    }

    // With the overheads.
    std::size_t bytes() const { return bytes_; }

    // Takes over what `other`, of the same account or of none, has.
    void Absorb(Reservation other) {
      if (other.account_ == nullptr) return;
      if (account_ == nullptr) account_ = other.account_;
      bytes_ += std::exchange(other.bytes_, 0);
    }

    // Gives back what one value of `byte_size` bytes, which is part of this, has taken.
    void GiveBackOne(std::size_t byte_size) { GiveBack(Cost(byte_size)); }

   private:
    friend class StepCache;
    Reservation(AccountRef account, std::size_t bytes)
        : account_(std::move(account)), bytes_(bytes) {}

    void GiveBack(std::size_t bytes) {
      if (bytes == 0) return;
      account_->cache.Unreserve(*account_, bytes);
      bytes_ -= bytes;
    }

    AccountRef account_;
    std::size_t bytes_ = 0;
  };

  // `tenant_budget`: of each tenant.
  explicit StepCache(std::size_t budget, std::size_t tenant_budget = kNoTenantLimit)
      : budget_(budget), tenant_budget_(std::min(budget, tenant_budget)) {}

  AccountRef Open(std::string_view tenant) {
    return accounts_.Open(tenant, [this] { return std::make_shared<Account>(*this); });
  }

  Entry NewEntry(AccountRef account) {
    return Entry(std::move(account), next_id_.fetch_add(1, std::memory_order_relaxed));
  }

  std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

  std::size_t reserved() const {
    const std::lock_guard lock(mutex_);
    return reserved_;
  }

  std::size_t bytes_of(const Account& account) const {
    const std::lock_guard lock(mutex_);
    return account.bytes;
  }

  std::size_t budget() const { return budget_; }
  std::size_t tenant_budget() const { return tenant_budget_; }

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

 protected:
  // What a reservation for a value came to.
  struct Reserved {
    std::optional<Reservation> reservation;
    QuotaLimit broken = QuotaLimit::kNone;  // Unless there is a reservation,
    std::size_t held = 0;                   // and what the tenant had reserved then.
  };

  // Evicts as needed. Changes nothing if the value does not fit beside what is reserved already.
  Reserved TryReserve(const AccountRef& account, std::size_t byte_size) {
    const std::size_t cost = Cost(byte_size);
    const std::lock_guard lock(mutex_);
    const QuotaLimit broken = Breaks(*account, cost);
    if (broken != QuotaLimit::kNone) return {std::nullopt, broken, account->reserved};
    EvictUntilFree(*account, cost);
    account->reserved += cost;
    account->bytes += cost;
    reserved_ += cost;
    bytes_ += cost;
    return {Reservation(account, cost)};
  }

  static std::size_t Cost(std::size_t byte_size) { return byte_size + kEntryOverhead; }

 private:
  struct Kept {
    Account* account;
    std::uint64_t id;
    std::shared_ptr<const Value> value;
  };
  using Entries = std::list<Kept>;

  std::shared_ptr<const Value> Get(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    const auto found = index_.find(id);
    ++(found == index_.end() ? misses_ : hits_);
    if (found == index_.end()) return nullptr;
    Entries& entries = found->second->account->entries;
    entries.splice(entries.begin(), entries, found->second);
    return found->second->value;
  }

  void Put(Account& account, std::uint64_t id, std::shared_ptr<const Value> value) {
    const std::size_t cost = Cost(value->byte_size());
    const std::lock_guard lock(mutex_);
    if (const auto found = index_.find(id); found != index_.end()) Remove(found->second);
    if (Breaks(account, cost) != QuotaLimit::kNone) return;
    EvictUntilFree(account, cost);
    account.entries.push_front({&account, id, std::move(value)});
    index_[id] = account.entries.begin();
    account.bytes += cost;
    bytes_ += cost;
  }

  void Erase(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    if (const auto found = index_.find(id); found != index_.end()) Remove(found->second);
  }

  void Unreserve(Account& account, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    account.reserved -= bytes;
    account.bytes -= bytes;
    reserved_ -= bytes;
    bytes_ -= bytes;
  }

  // The lock is held by whoever calls these.

  // Which limit stands against `cost` even when everything is evicted.
  QuotaLimit Breaks(const Account& account, std::size_t cost) const {
    if (cost > tenant_budget_ - account.reserved) return QuotaLimit::kTenant;
    return cost > budget_ - reserved_ ? QuotaLimit::kTotal : QuotaLimit::kNone;
  }

  void EvictUntilFree(Account& account, std::size_t cost) {
    while (account.bytes + cost > tenant_budget_) EvictFrom(account);
    while (bytes_ + cost > budget_) EvictFrom(*HoldsMost(account, cost));
  }

  // Of those that have something to evict. `account` is about to have `cost` more.
  Account* HoldsMost(Account& account, std::size_t cost) const {
    Account* most = account.entries.empty() ? nullptr : &account;
    std::size_t held = most == nullptr ? 0 : account.bytes + cost;
    accounts_.ForEach([&](std::string_view, const AccountRef& other) {
      if (other->entries.empty() || other->bytes <= held) return;
      most = other.get();
      held = other->bytes;
    });
    return most;
  }

  void EvictFrom(Account& account) {
    Remove(std::prev(account.entries.end()));
    ++evictions_;
  }

  void Remove(typename Entries::iterator kept) {
    Account& account = *kept->account;
    const std::size_t cost = Cost(kept->value->byte_size());
    account.bytes -= cost;
    bytes_ -= cost;
    index_.erase(kept->id);
    account.entries.erase(kept);
  }

  const std::size_t budget_;
  const std::size_t tenant_budget_;
  TenantMap<Account> accounts_;
  std::atomic<std::uint64_t> next_id_{1};
  mutable std::mutex mutex_;
  std::size_t bytes_ = 0;  // Of entries and reservations, of all accounts.
  std::size_t reserved_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
  std::uint64_t evictions_ = 0;
  std::unordered_map<std::uint64_t, typename Entries::iterator> index_;
};

template <typename Value>
class StepCache<Value>::Account {
 public:
  explicit Account(StepCache& of) : cache(of) {}

 private:
  friend class StepCache;

  StepCache& cache;
  std::size_t bytes = 0;     // Of its entries and reservations.
  std::size_t reserved = 0;  // Of its reservations.
  Entries entries;           // Most recently used first.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_STEP_CACHE_H_
