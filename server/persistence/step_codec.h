// A step's record as bytes.
#ifndef DROPOUTD_SERVER_PERSISTENCE_STEP_CODEC_H_
#define DROPOUTD_SERVER_PERSISTENCE_STEP_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/base/token.h"
#include "server/dropout/data_type.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/parameters.h"
#include "server/dropout/plan.h"
#include "server/dropout/shape.h"
#include "server/session/retained_input.h"
#include "server/session/session_image.h"
#include "server/session/step_book.h"

namespace dropoutd {

// The record of a step of a plain dropout layer, encoded, is no longer than this.
inline constexpr std::size_t kMostStepBytes = 128;

// The part of EncodeRecord's answer that is the same for all steps with a configuration: for who
// encodes many.
std::string EncodeConfig(const LayerConfig& config);

// The whole of a step, the value of StepField: its record with its bits, if it has some, or its
// input, if that is not null. `config`: EncodeConfig(*record.config). Copies a payload once. The
// token is not part of it: the store has that.
std::string EncodeRecord(const StepRecord& record, const RetainedInput* input,
                         std::string_view config);
std::string EncodeRecord(const StepRecord& record, const RetainedInput* input);

// What the bytes say, of which no more is checked than each value by itself.
struct DecodedStep {
  std::optional<LayerConfig> config;  // Without its layer_id. Nothing: of format 1.
  std::uint64_t revision = 1;
  Mode mode = Mode::kTrain;
  DropRate rate;
  Shape shape;
  ParametersId parameters_id;              // That the input was multiplied with.
  std::optional<DataType> input;           // It has an input of this type, and
  std::optional<std::uint64_t> bit_count;  // so many bits of a sequential generator:
  std::string_view payload;                // these bytes, in those that were decoded.
};

// STORE_CORRUPT, STORE_FORMAT_NEWER. The bytes must outlive the answer.
absl::StatusOr<DecodedStep> DecodeStep(std::string_view bytes);

// The fields that the functions below need besides the step; nothing if the layer has it all.
std::optional<std::string> ConfigFieldOf(const DecodedStep& step, const LayerImage& layer);
std::optional<std::string> ParametersFieldOf(const DecodedStep& step, const LayerImage& layer);

// The record of the step at `key` of `layer`, which shares the layer's configuration if it had that
// one then. `config_field`: the value of ConfigFieldOf, if it names one. `token`: the field's.
// STORE_CORRUPT unless it is one that such a layer writes: its rate and shape fit, and it has the
// bits and the input that its gradient needs, and no others. What it has besides an input is
// checked.
absl::StatusOr<StepRecord> RecordOf(const DecodedStep& step, const StepKey& key,
                                    const LayerImage& layer, Token token,
                                    std::string_view config_field = {});

// The input of a step that has one, and whose record is `record`; `parameters`: that were in force.
// STORE_CORRUPT unless both fit the record, and its gradient needs nothing else.
absl::StatusOr<std::shared_ptr<const RetainedInput>> InputOf(const DecodedStep& step,
                                                             const StepRecord& record,
                                                             SharedParameters parameters);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_STEP_CODEC_H_
