#include "server/main/metrics/store_metrics.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "server/base/error.h"
#include "server/main/metrics/latency_buckets.h"

namespace dropoutd {
namespace {

using Clock = std::chrono::steady_clock;

absl::Status StatusOf(const absl::Status& status) { return status; }
template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

struct Operation {
  prometheus::Histogram& seconds;
  prometheus::Counter& failures;
};

// What has no reason is an answer: there is no such session, or it has changed.
void CountOne(const Operation& operation, Clock::time_point start, const absl::Status& status) {
  operation.seconds.Observe(std::chrono::duration<double>(Clock::now() - start).count());
  if (!status.ok() && ReasonOf(status).has_value()) operation.failures.Increment();
}

template <typename Call>
auto Measure(const Operation& operation, Call call) {
  const Clock::time_point start = Clock::now();
  auto result = call();
  CountOne(operation, start, StatusOf(result));
  return result;
}

class MeasuredStore final : public Store {
 public:
  MeasuredStore(std::unique_ptr<Store> store, prometheus::Registry& registry)
      : store_(std::move(store)),
        seconds_(prometheus::BuildHistogram()
                     .Name("dropoutd_store_seconds")
                     .Help("Time that the store took, by operation")
                     .Register(registry)),
        failures_(prometheus::BuildCounter()
                      .Name("dropoutd_store_failures_total")
                      .Help("Operations of the store that failed for its own reasons")
                      .Register(registry)),
        commit_(Add("commit")),
        query_(Add("query")),
        other_(Add("other")) {}

  std::string_view kind() const override { return store_->kind(); }
  bool is_shared() const override { return store_->is_shared(); }
  std::uint64_t history() const override { return store_->history(); }
  absl::Status Check() override { return store_->Check(); }

  void StartCommit(std::string_view key, StoreChange change, Committed done) override {
    store_->StartCommit(key, std::move(change),
                        [this, start = Clock::now(), done = std::move(done)](auto committed) {
                          CountOne(commit_, start, committed.status());
                          done(std::move(committed));
                        });
  }
  absl::StatusOr<StoreVersion> Commit(std::string_view key, StoreChange change) override {
    return Measure(commit_, [&] { return store_->Commit(key, std::move(change)); });
  }
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override {
    return Measure(query_, [&] { return store_->Query(key, query); });
  }
  absl::StatusOr<std::vector<StoreField>> Scan(std::string_view key, const FieldRange& range,
                                               std::size_t limit) override {
    return Measure(other_, [&] { return store_->Scan(key, range, limit); });
  }
  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, const FieldRange& range,
                                           std::size_t keep) override {
    return Measure(other_, [&] { return store_->EraseRange(key, range, keep); });
  }
  absl::Status Remove(std::string_view key) override {
    return Measure(other_, [&] { return store_->Remove(key); });
  }
  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override {
    return Measure(other_, [&] { return store_->List(prefix, after, limit); });
  }
  absl::StatusOr<std::uint64_t> Count() override {
    return Measure(other_, [&] { return store_->Count(); });
  }
  absl::Status RemoveExpired() override {
    return Measure(other_, [&] { return store_->RemoveExpired(); });
  }

 private:
  Operation Add(const std::string& name) {
    return {seconds_.Add({{"operation", name}}, LatencyBuckets()),
            failures_.Add({{"operation", name}})};
  }

  const std::unique_ptr<Store> store_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  prometheus::Family<prometheus::Counter>& failures_;
  const Operation commit_;
  const Operation query_;
  const Operation other_;
};

}  // namespace

std::unique_ptr<Store> MeasureStore(std::unique_ptr<Store> store, prometheus::Registry& registry) {
  return std::make_unique<MeasuredStore>(std::move(store), registry);
}

}  // namespace dropoutd
