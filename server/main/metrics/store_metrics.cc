#include "server/main/metrics/store_metrics.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/base/error.h"
#include "server/base/status_macros.h"
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

// What has no reason is an answer: there is no such session. So is every outcome of a change.
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

// Must not outlive the store that it is of.
class MeasuredSnapshot final : public StoreSnapshot {
 public:
  MeasuredSnapshot(std::unique_ptr<StoreSnapshot> snapshot, const Operation& operation)
      : snapshot_(std::move(snapshot)), operation_(operation) {}

  const StoreAnswer& session() const override { return snapshot_->session(); }
  absl::StatusOr<std::vector<StoreField>> Next(std::size_t limit) override {
    return Measure(operation_, [&] { return snapshot_->Next(limit); });
  }

 private:
  const std::unique_ptr<StoreSnapshot> snapshot_;
  const Operation& operation_;
};

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
  absl::Status Check() override { return store_->Check(); }

  void StartCommit(std::string_view key, StoreChange change, Committed done) override {
    store_->StartCommit(key, std::move(change),
                        [this, start = Clock::now(), done = std::move(done)](auto committed) {
                          CountOne(commit_, start, committed.status());
                          done(std::move(committed));
                        });
  }
  absl::StatusOr<StoreResult> Commit(std::string_view key, StoreChange change) override {
    return Measure(commit_, [&] { return store_->Commit(key, std::move(change)); });
  }
  absl::Status Stage(std::string_view key, Token incarnation,
                     std::vector<StoreField> fields) override {
    return Measure(other_, [&] { return store_->Stage(key, incarnation, std::move(fields)); });
  }
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override {
    return Measure(query_, [&] { return store_->Query(key, query); });
  }
  absl::StatusOr<std::unique_ptr<StoreSnapshot>> Snapshot(std::string_view key) override {
    auto snapshot = Measure(other_, [&] { return store_->Snapshot(key); });
    DROPOUTD_RETURN_IF_ERROR(snapshot.status());
    return std::make_unique<MeasuredSnapshot>(*std::move(snapshot), other_);
  }
  absl::StatusOr<std::vector<Token>> Tokens(const std::vector<std::string>& keys) override {
    return Measure(query_, [&] { return store_->Tokens(keys); });
  }
  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, Token incarnation,
                                           std::optional<Token> expected, const FieldRange& range,
                                           std::size_t keep, std::size_t most) override {
    return Measure(
        other_, [&] { return store_->EraseRange(key, incarnation, expected, range, keep, most); });
  }
  absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation,
                                     Token token) override {
    return Measure(other_, [&] { return store_->Remove(key, incarnation, token); });
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
