#include "server/session/stored_step.h"

#include <cstddef>
#include <utility>

#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/dropout/linear.h"
#include "server/dropout/plan.h"
#include "server/dropout/variant.h"

namespace dropoutd {
namespace {

absl::Status DamagedStep() {
  return MakeError(Reason::kStoreCorrupt, "the store's record of a step is damaged");
}

// Its seed plays no part in what is checked.
absl::StatusOr<Plan> PlanOf(const LayerConfig& config, Mode mode, const DropRate& rate,
                            const StepKey& key, const Shape& shape) {
  return MakePlan(config, mode, rate, {0, key.step, key.sample_offset, key.sequence_id}, shape);
}

}  // namespace

absl::StatusOr<StepRecord> RecordOf(const DecodedStep& step, const StepKey& key,
                                    std::shared_ptr<const LayerConfig> config) {
  const StepImage& image = step.image;
  if (!IsRateOf(*config, image.rate) || (!IsSequenceKeyed(*config) && key.sequence_id != 0)) {
    return DamagedStep();
  }
  const auto plan = PlanOf(*config, image.mode, image.rate, key, image.shape);
  if (!plan.ok()) return DamagedStep();
  const bool is_drawn_once = plan->Draws() && IsSequential(config->generator);
  if (image.has_bits != is_drawn_once || image.has_input != plan->NeedsInput() ||
      image.has_input != (image.parameters_version != 0)) {
    return DamagedStep();
  }
  StepRecord record;
  record.mode = image.mode;
  record.rate = image.rate;
  record.shape = image.shape;
  record.nonce = image.nonce;
  record.revision = image.revision;
  record.config = std::move(config);
  if (image.has_bits) {
    DROPOUTD_ASSIGN_OR_RETURN(record.pinned, DecodeBits(step.payload));
    if (record.pinned->count() != static_cast<std::size_t>(plan->layout.noise.ElementCount())) {
      return DamagedStep();
    }
  }
  return record;
}

absl::StatusOr<std::shared_ptr<const RetainedInput>> InputOf(const DecodedStep& step,
                                                             const StepRecord& record,
                                                             SharedParameters parameters) {
  DROPOUTD_ASSIGN_OR_RETURN(const std::shared_ptr<RetainedInput> input, DecodeInput(step.payload));
  if (!record.shape.Takes(input->data_size, ElementSize(input->dtype)) ||
      !CheckParameters(*record.config, *parameters).ok()) {
    return DamagedStep();
  }
  if (IsLinear(*record.config)) {
    const auto plan = PlanOf(*record.config, record.mode, record.rate, {}, record.shape);
    if (!plan.ok() || !LinearParameters::Find(*plan, *parameters).ok()) return DamagedStep();
  }
  input->parameters = std::move(parameters);
  input->parameters_version = step.image.parameters_version;
  return input;
}

}  // namespace dropoutd
