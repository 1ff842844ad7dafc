// A step's record as a codec writes it, whatever it says.
#ifndef DROPOUTD_TESTS_ENGINE_REENCODE_H_
#define DROPOUTD_TESTS_ENGINE_REENCODE_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "server/persistence/step_codec.h"

namespace dropoutd {

// The bytes of a step with an input, with bits or with neither. An input is taken as it is, though
// it may not fit what the step says.
inline std::string Reencode(const DecodedStep& step) {
  StepRecord record;
  record.config = std::make_shared<const LayerConfig>(*step.config);
  record.revision = step.revision;
  record.mode = step.mode;
  record.rate = step.rate;
  record.shape = step.shape;
  if (step.bit_count.has_value()) {
    PackedBits bits(static_cast<std::size_t>(*step.bit_count));
    std::memcpy(bits.data(), step.payload.data(), std::min(bits.byte_size(), step.payload.size()));
    record.pinned = std::make_shared<const PackedBits>(std::move(bits));
  }
  if (!step.input.has_value()) return EncodeRecord(record, nullptr);
  RetainedInput input;
  input.dtype = *step.input;
  input.data_size = step.payload.size();
  input.data = std::make_unique<std::byte[]>(step.payload.size());
  std::memcpy(input.data.get(), step.payload.data(), step.payload.size());
  input.parameters_id = step.parameters_id;
  return EncodeRecord(record, &input);
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_ENGINE_REENCODE_H_
