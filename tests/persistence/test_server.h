// A server as the repository's tests see it: what it holds, over a store or without one.
#ifndef DROPOUTD_TESTS_PERSISTENCE_TEST_SERVER_H_
#define DROPOUTD_TESTS_PERSISTENCE_TEST_SERVER_H_

#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/dropout/variant.h"
#include "server/persistence/memory_repository.h"
#include "server/persistence/store_repository.h"
#include "server/session/session_changes.h"
#include "server/session/session_key.h"
#include "tests/engine/manual_clock.h"
#include "tests/session/session_examples.h"

namespace dropoutd {

inline constexpr Nanoseconds kTestTtl = std::chrono::seconds(100);

// Of a Forward with an input of this many elements.
inline constexpr std::int64_t kStepElements = 8;

// Thread-safe. Its layers are those of session_examples.h. Calls answer as the repository does.
class TestServer {
 public:
  // `store`, which may be null, and `clock` must outlive it.
  TestServer(Store* store, const Clock& clock, const Limits& limits = {})
      : limits_(limits),
        clock_(clock),
        budgets_(limits_, store != nullptr ? Holding::kCopies : Holding::kOriginals),
        registry_(clock),
        repository_(MakeRepository(store)) {}

  Repository& repository() { return *repository_; }
  Budgets& budgets() { return budgets_; }
  SessionRegistry& registry() { return registry_; }

  absl::StatusOr<FoundSession> Create(const std::string& key,
                                      const std::vector<LayerConfig>& layers,
                                      Repository::Copied* copied = nullptr) {
    const SessionSpec spec = MakeSpec(key, 7, layers);
    const TenantBudgetRef tenant = budgets_.Open(TenantOf(key));
    DROPOUTD_ASSIGN_OR_RETURN(SharedImage image,
                              NewSession(spec, kTestTtl, clock_.WallNow(), Rules(*tenant)));
    return repository_->Create(
        key, std::move(image), [&](const SessionImage& is) { return IsMadeFrom(is, spec); },
        copied);
  }

  absl::Status Update(std::string_view key, const LayerConfig& config) {
    const TenantBudgetRef tenant = budgets_.Open(TenantOf(key));
    return repository_
        ->Change(
            key,
            [&](const SharedImage& image) { return WithUpdate(image, config, Rules(*tenant)); })
        .status();
  }

  absl::Status CreateLayer(std::string_view key, const LayerConfig& config) {
    const TenantBudgetRef tenant = budgets_.Open(TenantOf(key));
    return repository_
        ->Change(key,
                 [&](const SharedImage& image) { return WithLayer(image, config, Rules(*tenant)); })
        .status();
  }

  absl::Status DeleteLayer(std::string_view key, std::string_view layer_id) {
    return repository_
        ->Change(key, [&](const SharedImage& image) { return WithoutLayer(image, layer_id); })
        .status();
  }

  absl::Status SetWeight(std::string_view key, std::string_view layer_id, char byte = 1) {
    const TenantBudgetRef tenant = budgets_.Open(TenantOf(key));
    Parameter weight = MakeWeight();
    std::memset(weight.data.data(), byte, weight.data.size());
    return repository_
        ->Change(key,
                 [&](const SharedImage& image) {
                   return WithParameters(image, layer_id, {weight}, Rules(*tenant));
                 })
        .status();
  }

  // What the layer's p is; -1 if it cannot be asked.
  double P(std::string_view key, std::string_view layer_id) {
    const auto found = repository_->Find(key);
    if (!found.ok()) return -1;
    const auto layer = FindLayer(*found->version->image, layer_id);
    return layer.ok() ? (*layer)->config->p : -1;
  }

  // What a Forward leaves: the record of its step, and, for linear layers, the input.
  absl::Status Forward(std::string_view key, std::string_view layer_id, const StepKey& step) {
    DROPOUTD_ASSIGN_OR_RETURN(const StepPlace place,
                              repository_->FindStep(key, layer_id, step, false));
    return WriteAt(place);
  }

  // From a place that was found earlier.
  absl::Status WriteAt(const StepPlace& place, IfPresent if_present = IfPresent::kReplace) {
    StepRecord record = RecordAt(place.layer);
    const auto input = InputAt(place.layer);
    const auto write = repository_->StartRecord(place, record, input, if_present);
    return write->Finish(std::move(record), nullptr, input);
  }

  // The same in one round trip. False: it must be done the other way.
  bool ForwardHere(std::string_view key, std::string_view layer_id, const StepKey& step) {
    std::optional<StepRecord> record;
    const auto write = repository_->WriteHere(key, layer_id, step, [&](const StepPlace& place) {
      record = RecordAt(place.layer);
      return &*record;
    });
    return write != nullptr && write->Finish(*std::move(record), nullptr, nullptr).ok();
  }

  // The p that a Backward of the step would apply; an error's code for why not, as a negative.
  double RecordedP(std::string_view key, std::string_view layer_id, const StepKey& step) {
    const auto place = repository_->FindStep(key, layer_id, step, true);
    if (!place.ok()) return -static_cast<double>(place.status().code());
    return place->layer.record == nullptr ? kNoRecord : place->layer.record->rate.p;
  }
  static constexpr double kNoRecord = 2;

  absl::Status Release(std::string_view key, std::string_view layer_id, const StepKey& step) {
    DROPOUTD_ASSIGN_OR_RETURN(const StepPlace place,
                              repository_->FindStep(key, layer_id, step, true));
    return repository_->Release(place);
  }

  // A Forward of a NUMPY_LEGACY layer; the mask's bits.
  absl::StatusOr<std::string> Draw(std::string_view key, std::string_view layer_id,
                                   const StepKey& step) {
    DROPOUTD_ASSIGN_OR_RETURN(const StepPlace place,
                              repository_->FindStep(key, layer_id, step, false));
    const auto draw = [&](SequentialNoise& noise) {
      PackedBits bits(static_cast<std::size_t>(kStepElements));
      noise.Draw(place.layer.config()->p, bits);
      StepRecord record = RecordAt(place.layer);
      record.pinned = std::make_shared<const PackedBits>(std::move(bits));
      return record;
    };
    DROPOUTD_ASSIGN_OR_RETURN(const Repository::Drawn drawn,
                              repository_->Draw(place, step, StepShape(), draw));
    return std::string(drawn.bits->bytes());
  }

  static Shape StepShape() { return *Shape::Make(std::vector<std::int64_t>{kStepElements / 2, 2}); }

  static StepRecord RecordAt(const LayerSnapshot& layer) {
    StepRecord record;
    record.config = layer.config();
    record.revision = layer.image->revision;
    record.mode = layer.mode();
    record.rate = DropRate(layer.config()->p);
    record.shape = StepShape();
    return record;
  }

  static std::shared_ptr<const RetainedInput> InputAt(const LayerSnapshot& layer) {
    if (!IsLinear(*layer.config())) return nullptr;
    auto input = std::make_shared<RetainedInput>();
    input->data_size = kStepElements * sizeof(float);
    input->data = std::make_unique<std::byte[]>(input->data_size);
    input->parameters = layer.parameters;
    input->parameters_id = layer.image->parameters_id;
    return input;
  }

 private:
  ChangeRules Rules(const TenantBudget& tenant) {
    return {budgets_, tenant, limits_.max_layers_per_session};
  }

  std::unique_ptr<Repository> MakeRepository(Store* store) {
    if (store == nullptr) {
      return std::make_unique<MemoryRepository>(registry_, budgets_, limits_, clock_);
    }
    return std::make_unique<StoreRepository>(*store, registry_, budgets_, limits_, clock_);
  }

  const Limits limits_;
  const Clock& clock_;
  Budgets budgets_;
  SessionRegistry registry_;
  const std::unique_ptr<Repository> repository_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_PERSISTENCE_TEST_SERVER_H_
