#include "server/store/store.h"

#include <future>
#include <memory>
#include <utility>

namespace dropoutd {

absl::StatusOr<StoreResult> CommitAndWait(Store& store, std::string_view key, StoreChange change) {
  // Shared: set_value may still be at work when the answer is here.
  const auto promise = std::make_shared<std::promise<absl::StatusOr<StoreResult>>>();
  std::future<absl::StatusOr<StoreResult>> answer = promise->get_future();
  store.StartCommit(key, std::move(change), [promise](absl::StatusOr<StoreResult> committed) {
    promise->set_value(std::move(committed));
  });
  return answer.get();
}

}  // namespace dropoutd
