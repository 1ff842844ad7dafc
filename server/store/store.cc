#include "server/store/store.h"

#include <future>
#include <memory>
#include <utility>

namespace dropoutd {

absl::StatusOr<StoreVersion> CommitAndWait(Store& store, std::string_view key, StoreChange change) {
  // Shared: set_value may still be at work when the answer is here.
  const auto promise = std::make_shared<std::promise<absl::StatusOr<StoreVersion>>>();
  std::future<absl::StatusOr<StoreVersion>> answer = promise->get_future();
  store.StartCommit(key, std::move(change), [promise](absl::StatusOr<StoreVersion> committed) {
    promise->set_value(std::move(committed));
  });
  return answer.get();
}

}  // namespace dropoutd
