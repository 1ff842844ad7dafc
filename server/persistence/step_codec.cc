#include "server/persistence/step_codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstring>
#include <limits>
#include <utility>

#include "server/base/status_macros.h"
#include "server/dropout/layer_validation.h"
#include "server/dropout/linear.h"
#include "server/dropout/variant.h"
#include "server/persistence/config_codec.h"
#include "server/persistence/field_names.h"
#include "server/persistence/format1/format1.h"
#include "server/persistence/stored_value.h"

namespace dropoutd {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

absl::Status DamagedStep() { return StoredDamaged("a step"); }

// A step's message, of which two fields are not parsed: most steps have a configuration that is
// known, and payloads are large.
struct SplitStep {
  std::string rest;
  std::string_view config;
  std::string_view payload;
};

bool Split(std::string_view bytes, SplitStep& split) {
  if (bytes.size() > std::size_t{std::numeric_limits<int>::max()}) return false;
  CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  const auto place = [&in] { return static_cast<std::size_t>(in.CurrentPosition()); };
  std::size_t begin = 0;
  for (; const std::uint32_t tag = in.ReadTag(); begin = place()) {
    const int number = WireFormatLite::GetTagFieldNumber(tag);
    const bool is_config = number == stored::StoredStep::kConfigFieldNumber;
    if (!is_config && number != stored::StoredStep::kPayloadFieldNumber) {
      if (!WireFormatLite::SkipField(&in, tag)) return false;
      split.rest += bytes.substr(begin, place() - begin);
      continue;
    }
    std::uint32_t size = 0;
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED ||
        !in.ReadVarint32(&size)) {
      return false;
    }
    (is_config ? split.config : split.payload) = bytes.substr(place(), size);
    if (size > bytes.size() - place() || !in.Skip(static_cast<int>(size))) return false;
  }
  return in.ConsumedEntireMessage();
}

// Its seed plays no part in what is checked.
absl::StatusOr<Plan> PlanOf(const LayerConfig& config, Mode mode, const DropRate& rate,
                            const StepKey& key, const Shape& shape) {
  return MakePlan(config, mode, rate, {0, key.step, key.sample_offset, key.sequence_id}, shape);
}

// The configuration that was in force, the layer's own if it is the same.
absl::StatusOr<SharedConfig> FindConfig(const DecodedStep& step, const LayerImage& layer,
                                        std::string_view config_field) {
  LayerConfig config;
  if (step.config.has_value()) {
    config = *step.config;
    config.layer_id = layer.config->layer_id;
  } else {
    if (!ConfigFieldOf(step, layer).has_value()) return layer.config;
    DROPOUTD_ASSIGN_OR_RETURN(config, format1::ReadConfig(config_field));
  }
  if (config == *layer.config) return layer.config;
  const bool is_of_layer = config.layer_id == layer.config->layer_id;
  if (!is_of_layer || !Validate(config).ok()) return StoredDamaged("a layer");
  return std::make_shared<const LayerConfig>(std::move(config));
}

absl::StatusOr<std::shared_ptr<const PackedBits>> BitsOf(const DecodedStep& step,
                                                         std::int64_t expected) {
  const auto count = static_cast<std::size_t>(expected);
  if (*step.bit_count != count || step.payload.size() != (count + 7) / 8) return DamagedStep();
  auto bits = std::make_shared<PackedBits>(count);
  std::memcpy(bits->data(), step.payload.data(), step.payload.size());
  return bits;
}

}  // namespace

std::string EncodeConfig(const LayerConfig& config) {
  stored::StoredConfig message;
  PutConfig(config, message);
  const std::string bytes = message.SerializeAsString();
  return FieldHead(stored::StoredStep::kConfigFieldNumber, bytes.size()) + bytes;
}

std::string EncodeRecord(const StepRecord& record, const RetainedInput* input,
                         std::string_view config) {
  stored::StoredStep message;
  message.set_revision(record.revision);
  message.set_mode(static_cast<stored::Mode>(record.mode));
  message.set_p(record.rate.p);
  message.set_q(record.rate.q);
  message.set_logit_p(record.rate.logit_p);
  PutShape(record.shape, *message.mutable_shape());
  std::string_view payload;
  if (input != nullptr) {
    if (input->parameters_id) {
      message.mutable_parameters_id()->set_number(input->parameters_id.number);
      message.mutable_parameters_id()->set_random(input->parameters_id.random);
    }
    message.set_input_type(static_cast<stored::DataType>(input->dtype));
    payload = {reinterpret_cast<const char*>(input->data.get()), input->data_size};
  } else if (record.pinned != nullptr) {
    message.set_bit_count(record.pinned->count());
    payload = record.pinned->bytes();
  }
  const std::string head = payload.empty()
                               ? std::string()
                               : FieldHead(stored::StoredStep::kPayloadFieldNumber, payload.size());
  std::string value;
  value.reserve(1 + message.ByteSizeLong() + config.size() + head.size() + payload.size());
  value += kFormat2;
  message.AppendToString(&value);
  value += config;
  value += head;
  value += payload;
  return value;
}

std::string EncodeRecord(const StepRecord& record, const RetainedInput* input) {
  return EncodeRecord(record, input, EncodeConfig(*record.config));
}

absl::StatusOr<DecodedStep> DecodeStep(std::string_view bytes) {
  const ValueFormat format = FormatOf(bytes);
  if (format == ValueFormat::kLater) return StoredNewer("a step");
  if (format == ValueFormat::kOne) return format1::ReadStep(bytes);
  SplitStep split;
  if (!Split(bytes.substr(1), split)) return DamagedStep();
  stored::StoredStep message;
  stored::StoredConfig config;
  DROPOUTD_RETURN_IF_ERROR(ParseMessage(split.rest, "a step", message));
  if (message.reads_from() > kReaderVersion) return StoredNewer("a step");
  DROPOUTD_RETURN_IF_ERROR(ParseMessage(split.config, "a step", config));
  if (!stored::Mode_IsValid(message.mode()) || !stored::DataType_IsValid(message.input_type())) {
    return StoredNewer("a step");
  }
  const auto shape = ShapeOf(message.shape());
  if (!shape.ok()) return DamagedStep();
  DecodedStep step;
  DROPOUTD_ASSIGN_OR_RETURN(step.config, ConfigOf(config));
  step.revision = message.revision();
  step.mode = static_cast<Mode>(message.mode());
  step.rate.p = message.p();
  step.rate.q = message.q();
  step.rate.logit_p = message.logit_p();
  step.shape = *shape;
  step.parameters_id = {message.parameters_id().number(), message.parameters_id().random()};
  if (message.has_input_type()) step.input = static_cast<DataType>(message.input_type());
  if (message.has_bit_count()) step.bit_count = message.bit_count();
  step.payload = split.payload;
  return step;
}

std::optional<std::string> ConfigFieldOf(const DecodedStep& step, const LayerImage& layer) {
  if (step.config.has_value() || step.revision == layer.revision) return std::nullopt;
  return ConfigField(layer.uid, step.revision);
}

std::optional<std::string> ParametersFieldOf(const DecodedStep& step, const LayerImage& layer) {
  const bool is_present = step.parameters_id == layer.parameters_id && layer.parameters != nullptr;
  if (!step.parameters_id || is_present) return std::nullopt;
  return ParametersField(layer.uid, step.parameters_id);
}

absl::StatusOr<StepRecord> RecordOf(const DecodedStep& step, const StepKey& key,
                                    const LayerImage& layer, Token token,
                                    std::string_view config_field) {
  DROPOUTD_ASSIGN_OR_RETURN(SharedConfig config, FindConfig(step, layer, config_field));
  if (!IsRateOf(*config, step.rate) || (!IsSequenceKeyed(*config) && key.sequence_id != 0)) {
    return DamagedStep();
  }
  const auto plan = PlanOf(*config, step.mode, step.rate, key, step.shape);
  if (!plan.ok()) return DamagedStep();
  const bool is_drawn_once = plan->Draws() && IsSequential(config->generator);
  const bool has_input = step.input.has_value();
  if (step.bit_count.has_value() != is_drawn_once || has_input != plan->NeedsInput() ||
      has_input != static_cast<bool>(step.parameters_id) || step.revision == 0) {
    return DamagedStep();
  }
  StepRecord record;
  record.mode = step.mode;
  record.rate = step.rate;
  record.shape = step.shape;
  record.token = token;
  record.revision = step.revision;
  record.config = std::move(config);
  if (is_drawn_once) {
    DROPOUTD_ASSIGN_OR_RETURN(record.pinned, BitsOf(step, plan->layout.noise.ElementCount()));
  }
  return record;
}

absl::StatusOr<std::shared_ptr<const RetainedInput>> InputOf(const DecodedStep& step,
                                                             const StepRecord& record,
                                                             SharedParameters parameters) {
  if (!step.input.has_value() || parameters == nullptr ||
      !record.shape.Takes(step.payload.size(), ElementSize(*step.input)) ||
      !CheckParameters(*record.config, *parameters).ok()) {
    return DamagedStep();
  }
  if (IsLinear(*record.config)) {
    const auto plan = PlanOf(*record.config, record.mode, record.rate, {}, record.shape);
    if (!plan.ok() || !LinearParameters::Find(*plan, *parameters).ok()) return DamagedStep();
  }
  auto input = std::make_shared<RetainedInput>();
  input->dtype = *step.input;
  input->data_size = step.payload.size();
  input->data = std::make_unique_for_overwrite<std::byte[]>(step.payload.size());
  std::memcpy(input->data.get(), step.payload.data(), step.payload.size());
  input->parameters = std::move(parameters);
  input->parameters_id = step.parameters_id;
  return input;
}

}  // namespace dropoutd
