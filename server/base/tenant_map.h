// What a server keeps for each of its tenants.
#ifndef DROPOUTD_SERVER_BASE_TENANT_MAP_H_
#define DROPOUTD_SERVER_BASE_TENANT_MAP_H_

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace dropoutd {

// One `T` for each tenant that somebody holds one of. What nobody holds any more goes now and then:
// there are at most twice as many as are held, and a few. Thread-safe; `T` guards itself.
template <typename T>
class TenantMap {
 public:
  // The tenant's, made by `make`, which returns a shared_ptr<T> and asks no map, if there is none.
  template <typename Make>
  std::shared_ptr<T> Open(std::string_view tenant, const Make& make) {
    const std::lock_guard lock(mutex_);
    if (const auto found = held_.find(tenant); found != held_.end()) return found->second;
    if (held_.size() >= sweep_at_) Sweep();
    return held_.emplace(tenant, make()).first->second;
  }

  // Calls `look(tenant, T&)` for each. It must neither ask this map nor free anything that does.
  template <typename Look>
  void ForEach(const Look& look) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [tenant, held] : held_) look(tenant, held);
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }

 private:
  static constexpr std::size_t kFew = 16;

  // Nobody can take hold of what is only here: that needs the lock.
  void Sweep() {
    std::erase_if(held_, [](const auto& entry) { return entry.second.use_count() == 1; });
    sweep_at_ = std::max(kFew, 2 * held_.size());
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<T>, std::less<>> held_;
  std::size_t sweep_at_ = kFew;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_TENANT_MAP_H_
