#include "server/persistence/format1/format1.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "server/base/status_macros.h"
#include "server/persistence/format1/byte_decoder.h"
#include "server/persistence/stored_value.h"

namespace dropoutd::format1 {

template <>
inline constexpr std::uint64_t kEnumCount<Mode> = 2;
template <>
inline constexpr std::uint64_t kEnumCount<Generator> = 2;
template <>
inline constexpr std::uint64_t kEnumCount<Scaling> = 3;
template <>
inline constexpr std::uint64_t kEnumCount<DataType> = 4;
template <>
inline constexpr std::uint64_t kEnumCount<DropBlockOptions::Gamma> = 2;
template <>
inline constexpr std::uint64_t kEnumCount<DropBlockOptions::Normalization> = 2;
template <>
inline constexpr std::uint64_t kEnumCount<DropConnectOptions::Scope> = 2;
template <>
inline constexpr std::uint64_t kEnumCount<DropConnectOptions::Target> = 2;
template <>
inline constexpr std::uint64_t kEnumCount<RecurrentOptions::Scope> = 2;
template <>
inline constexpr std::uint64_t kEnumCount<StochasticDepthOptions::DepthMode> = 2;

// What the decoder finds by its namespace.
static void Read(Decoder& d, DropoutOptions& o) { d(o.broadcast_axes); }
static void Read(Decoder& d, GaussianOptions& o) { d(o.broadcast_axes); }
static void Read(Decoder&, AlphaOptions&) {}
static void Read(Decoder& d, FeatureAlphaOptions& o) { d(o.channel_axis); }
static void Read(Decoder& d, SpatialOptions& o) { d(o.channel_axis); }
static void Read(Decoder& d, DropBlockOptions& o) {
  d(o.block_size, o.channel_axis, o.gamma, o.normalization, o.share_channels);
}
static void Read(Decoder& d, ConcreteOptions& o) {
  d(o.temperature, o.weight_regularizer, o.dropout_regularizer, o.spatial);
}
static void Read(Decoder& d, DropConnectOptions& o) {
  d(o.in_features, o.out_features, o.bias, o.mask_scope, o.target);
}
static void Read(Decoder& d, VariationalOptions& o) { d(o.time_axis); }
static void Read(Decoder& d, RecurrentOptions& o) { d(o.mask_scope); }
static void Read(Decoder& d, StochasticDepthOptions& o) { d(o.mode, o.depth_index, o.depth_count); }
static void Read(Decoder& d, LinearSchedule& s) { d(s.start_p, s.end_p, s.start_step, s.end_step); }
static void Read(Decoder& d, CosineSchedule& s) { d(s.start_p, s.end_p, s.start_step, s.end_step); }
static void Read(Decoder& d, CurriculumSchedule& s) { d(s.end_p, s.gamma); }
static void Read(Decoder& d, PiecewiseSchedule& s) { d(s.boundaries, s.values); }
static void Read(Decoder& d, LayerConfig& c) {
  d(c.layer_id, c.mode, c.p, c.generator, c.scaling, c.schedule, c.options);
}

static void Read(Decoder& d, StoreField& field) { d(field.name, field.value); }
static void Read(Decoder& d, Export& e) { d(e.id.low, e.document, e.fields); }

namespace {

constexpr std::uint32_t kFormat = 1;

struct LayerFieldsRead {
  std::uint64_t uid = 0;
  std::string created;  // As ReadConfig takes it, as are all configurations here.
  std::string config;
  Mode mode = Mode::kTrain;
  std::uint64_t revision = 0;
  std::uint64_t parameters_version = 0;
};

void Read(Decoder& d, LayerFieldsRead& l) {
  d(l.uid, l.created, l.config, l.mode, l.revision, l.parameters_version);
}

struct SessionFieldsRead {
  std::uint64_t incarnation = 0;
  std::uint64_t seed = 0;
  bool seed_given = false;
  std::optional<std::int64_t> ttl_given;
  std::int64_t ttl = 0;
  std::int64_t create_time = 0;
  Mode created_mode = Mode::kTrain;
  std::vector<std::string> created_layers;
  Mode mode = Mode::kTrain;
  std::uint64_t next_uid = 0;
  std::vector<LayerFieldsRead> layers;
  std::uint64_t origin = 0;
};

void Read(Decoder& d, SessionFieldsRead& s) {
  d(s.incarnation, s.seed, s.seed_given, s.ttl_given, s.ttl, s.create_time, s.created_mode,
    s.created_layers, s.mode, s.next_uid, s.layers);
  if (!d.AtEnd()) d(s.origin);
}

struct StepFieldsRead {
  std::uint64_t revision = 0;
  Mode mode = Mode::kTrain;
  DropRate rate;
  std::vector<std::int64_t> sizes;
  std::uint64_t parameters_version = 0;
  bool has_input = false;
  bool has_bits = false;
  std::uint64_t nonce = 0;
};

void Read(Decoder& d, StepFieldsRead& s) {
  d(s.revision, s.mode, s.rate.p, s.rate.q, s.rate.logit_p, s.sizes, s.parameters_version,
    s.has_input, s.has_bits, s.nonce);
}

struct ParameterFieldsRead {
  std::string name;
  DataType dtype = DataType::kFloat32;
  std::vector<std::int64_t> sizes;
  std::string data;
};

void Read(Decoder& d, ParameterFieldsRead& p) { d(p.name, p.dtype, p.sizes, p.data); }

// Behind the format's number.
template <typename T>
bool ReadRecord(std::string_view bytes, T& value) {
  Decoder decoder(bytes);
  std::uint32_t format = 0;
  decoder(format);
  if (!decoder.ok() || format != kFormat) return false;
  decoder(value);
  return decoder.ok();
}

absl::StatusOr<SharedConfig> ReadShared(std::string_view bytes) {
  DROPOUTD_ASSIGN_OR_RETURN(LayerConfig config, ReadConfig(bytes));
  return std::make_shared<const LayerConfig>(std::move(config));
}

absl::StatusOr<SharedLayer> LayerOf(const LayerFieldsRead& read) {
  auto layer = std::make_shared<LayerImage>();
  layer->uid = read.uid;
  DROPOUTD_ASSIGN_OR_RETURN(layer->created, ReadShared(read.created));
  layer->config = layer->created;
  if (read.config != read.created) {
    DROPOUTD_ASSIGN_OR_RETURN(layer->config, ReadShared(read.config));
  }
  layer->mode = read.mode;
  layer->revision = read.revision;
  layer->parameters_id = {read.parameters_version, 0};
  return layer;
}

// The payload of a step with bits begins with its format and their number.
bool TakeBits(DecodedStep& step) {
  Decoder decoder(step.payload);
  std::uint32_t format = 0;
  decoder(format, step.bit_count.emplace());
  step.payload = decoder.rest();
  return decoder.ok() && format == kFormat;
}

// That of one with an input, with its format and the type.
bool TakeInput(DecodedStep& step) {
  Decoder decoder(step.payload);
  std::uint32_t format = 0;
  decoder(format, step.input.emplace());
  step.payload = decoder.rest();
  return decoder.ok() && format == kFormat;
}

}  // namespace

absl::StatusOr<LayerConfig> ReadConfig(std::string_view bytes) {
  LayerConfig config;
  if (!ReadRecord(bytes, config)) return StoredDamaged("a layer");
  return config;
}

absl::StatusOr<SessionImage> ReadSession(std::string_view bytes, Token incarnation) {
  SessionFieldsRead read;
  if (!ReadRecord(bytes, read)) return StoredDamaged("a session");
  SessionImage image;
  image.incarnation = incarnation ? incarnation : Token{0, read.incarnation};
  image.origin = {0, read.origin};
  image.seed = read.seed;
  image.ttl = Nanoseconds(read.ttl);
  image.create_time =
      WallTime(std::chrono::duration_cast<WallTime::duration>(Nanoseconds(read.create_time)));
  image.mode = read.mode;
  image.seed_given = read.seed_given;
  if (read.ttl_given.has_value()) image.ttl_given = Nanoseconds(*read.ttl_given);
  image.created_mode = read.created_mode;
  for (const std::string& each : read.created_layers) {
    DROPOUTD_ASSIGN_OR_RETURN(image.created_layers.emplace_back(), ReadShared(each));
  }
  for (const LayerFieldsRead& each : read.layers) {
    DROPOUTD_ASSIGN_OR_RETURN(SharedLayer layer, LayerOf(each));
    if (!image.layers.emplace(layer->config->layer_id, layer).second) {
      return StoredDamaged("a session");
    }
  }
  return image;
}

absl::StatusOr<DecodedStep> ReadStep(std::string_view bytes) {
  Decoder decoder(bytes);
  std::string head;
  decoder(head);
  StepFieldsRead read;
  if (!decoder.ok() || !ReadRecord(head, read)) return StoredDamaged("a step");
  const auto shape = Shape::Make(read.sizes);
  if (!shape.ok()) return StoredDamaged("a step");
  DecodedStep step;
  step.revision = read.revision;
  step.mode = read.mode;
  step.rate = read.rate;
  step.shape = *shape;
  step.parameters_id = {read.parameters_version, 0};
  step.payload = decoder.rest();
  if ((read.has_input && read.has_bits) || (read.has_input && !TakeInput(step)) ||
      (read.has_bits && !TakeBits(step))) {
    return StoredDamaged("a step");
  }
  return step;
}

absl::StatusOr<Parameters> ReadParameters(std::string_view bytes) {
  std::vector<ParameterFieldsRead> read;
  if (!ReadRecord(bytes, read)) return StoredDamaged("parameters");
  Parameters parameters;
  for (const ParameterFieldsRead& each : read) {
    const auto shape = Shape::Make(each.sizes);
    if (!shape.ok() || !shape->Takes(each.data.size(), ElementSize(each.dtype))) {
      return StoredDamaged("parameters");
    }
    const auto* const data = reinterpret_cast<const std::byte*>(each.data.data());
    parameters.Set({each.name, each.dtype, *shape, {data, data + each.data.size()}});
  }
  return parameters;
}

absl::StatusOr<Export> ReadExport(std::string_view bytes) {
  Decoder decoder(bytes);
  Export read;
  decoder(read);
  if (!decoder.ok()) return StoredDamaged("an export");
  return read;
}

}  // namespace dropoutd::format1
