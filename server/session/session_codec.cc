#include "server/session/session_codec.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/dropout/sequential_noise.h"
#include "server/dropout/variant.h"
#include "server/session/byte_codec.h"
#include "server/session/clock.h"
#include "server/session/layer_codec.h"

namespace dropoutd {

template <>
inline constexpr std::uint64_t kEnumCount<DataType> = 4;

namespace {

// Each kind of record begins with its format. A reader takes its own number only, and passes over
// bytes at the end, which later versions may add.
constexpr std::uint32_t kFormat = 1;

absl::Status Corrupt(const char* what) {
  return MakeError(Reason::kStoreCorrupt,
                   absl::StrCat("the store's record of ", what, " is damaged"));
}

// Layers as the records that DecodeLayer reads.
struct EncodedLayer {
  LayerImage image;
  std::string created;
  std::string config;
};

template <typename Codec>
void Describe(Codec& codec, EncodedLayer& l) {
  codec(l.image.uid, l.created, l.config, l.image.mode, l.image.revision,
        l.image.parameters_version);
}

struct EncodedSession {
  SessionImage image;
  std::vector<std::string> created_layers;
  std::vector<EncodedLayer> layers;
};

template <typename Codec>
void Describe(Codec& codec, EncodedSession& s) {
  codec(s.image.incarnation, s.image.seed, s.image.seed_given, s.image.ttl_given, s.image.ttl,
        s.image.create_time, s.image.created_mode, s.created_layers, s.image.mode, s.image.next_uid,
        s.layers);
  if (!codec.AtEnd()) codec(s.image.origin);
}

struct StepFields {
  StepImage image;
  std::vector<std::int64_t> sizes;
};

template <typename Codec>
void Describe(Codec& codec, StepFields& s) {
  StepImage& i = s.image;
  codec(i.revision, i.mode, i.rate.p, i.rate.q, i.rate.logit_p, s.sizes, i.parameters_version,
        i.has_input, i.has_bits, i.nonce);
}

struct ParameterFields {
  std::string name;
  DataType dtype = DataType::kFloat32;
  std::vector<std::int64_t> sizes;
  std::string data;
};

template <typename Codec>
void Describe(Codec& codec, ParameterFields& p) {
  codec(p.name, p.dtype, p.sizes, p.data);
}

template <typename T>
std::string Encode(T& fields) {
  Encoder encoder;
  encoder(kFormat, fields);
  return encoder.Take();
}

template <typename T>
bool Decode(std::string_view bytes, T& fields) {
  Decoder decoder(bytes);
  std::uint32_t format = 0;
  decoder(format);
  if (!decoder.ok() || format != kFormat) return false;
  decoder(fields);
  return decoder.ok();
}

// So that what counts upwards never comes round, and what is added to a time fits one.
constexpr std::uint64_t kMostCounted = std::uint64_t{1} << 62;
constexpr std::int64_t kMostTtl = Nanoseconds(std::chrono::hours(24 * 365 * 30)).count();

// Whether a layer has all that its configuration needs, other records aside.
bool IsWhole(const LayerImage& layer, const SessionImage& session) {
  const bool has_parameters = layer.parameters_version != 0;
  return layer.uid != 0 && layer.uid < session.next_uid &&
         layer.created.layer_id == layer.config.layer_id &&  //
         layer.revision != 0 && layer.revision <= kMostCounted &&
         layer.parameters_version < session.next_uid &&
         (has_parameters ? LearnsP(layer.config) || IsLinear(layer.config)
                         : !LearnsP(layer.config)) &&
         (!IsSequential(layer.config.generator) || session.seed <= SequentialNoise::kMaxSeed);
}

bool IsWhole(const SessionImage& image) {
  std::set<std::string_view> ids;
  std::set<std::uint64_t> uids;
  for (const LayerImage& layer : image.layers) {
    if (!IsWhole(layer, image) || !ids.insert(layer.config.layer_id).second ||
        !uids.insert(layer.uid).second) {
      return false;
    }
  }
  return image.ttl > 0 && image.ttl <= kMostTtl && image.next_uid <= kMostCounted;
}

std::vector<std::int64_t> SizesOf(const Shape& shape) {
  return {shape.sizes().begin(), shape.sizes().end()};
}

}  // namespace

std::string EncodeSession(const SessionImage& image) {
  EncodedSession session{image, {}, {}};
  for (const LayerConfig& each : image.created_layers) {
    session.created_layers.push_back(EncodeLayer(each));
  }
  for (const LayerImage& each : image.layers) {
    session.layers.push_back({each, EncodeLayer(each.created), EncodeLayer(each.config)});
  }
  return Encode(session);
}

absl::StatusOr<SessionImage> DecodeSession(std::string_view bytes) {
  EncodedSession session;
  if (!Decode(bytes, session)) return Corrupt("a session");
  SessionImage& image = session.image;
  for (const std::string& each : session.created_layers) {
    DROPOUTD_ASSIGN_OR_RETURN(image.created_layers.emplace_back(), DecodeLayer(each));
  }
  for (EncodedLayer& each : session.layers) {
    DROPOUTD_ASSIGN_OR_RETURN(each.image.created, DecodeLayer(each.created));
    DROPOUTD_ASSIGN_OR_RETURN(each.image.config, DecodeLayer(each.config));
    image.layers.push_back(std::move(each.image));
  }
  if (!IsWhole(image)) return Corrupt("a session");
  return std::move(image);
}

std::string EncodeStep(const StepImage& image, std::string_view payload) {
  StepFields step{image, SizesOf(image.shape)};
  Encoder encoder;
  encoder(Encode(step));
  std::string bytes = encoder.Take();
  bytes += payload;
  return bytes;
}

absl::StatusOr<DecodedStep> DecodeStep(std::string_view bytes) {
  Decoder decoder(bytes);
  std::string head;
  decoder(head);
  StepFields step;
  if (!decoder.ok() || !Decode(head, step)) return Corrupt("a step");
  const auto shape = Shape::Make(step.sizes);
  if (!shape.ok()) return Corrupt("a step");
  step.image.shape = *shape;
  return DecodedStep{step.image, decoder.rest()};
}

std::string EncodeParameters(const Parameters& parameters) {
  std::vector<ParameterFields> fields;
  for (const auto& each : parameters.all()) {
    const auto* const data = reinterpret_cast<const char*>(each->data.data());
    fields.push_back({each->name, each->dtype, SizesOf(each->shape), {data, each->data.size()}});
  }
  return Encode(fields);
}

absl::StatusOr<Parameters> DecodeParameters(std::string_view bytes) {
  std::vector<ParameterFields> fields;
  if (!Decode(bytes, fields)) return Corrupt("parameters");
  Parameters parameters;
  for (const ParameterFields& each : fields) {
    const auto shape = Shape::Make(each.sizes);
    if (!shape.ok() || !shape->Takes(each.data.size(), ElementSize(each.dtype))) {
      return Corrupt("parameters");
    }
    const auto* const data = reinterpret_cast<const std::byte*>(each.data.data());
    parameters.Set({each.name, each.dtype, *shape, {data, data + each.data.size()}});
  }
  return parameters;
}

std::string EncodeInput(const RetainedInput& input) {
  std::string bytes;
  bytes.reserve(input.data_size + 2);
  bytes += static_cast<char>(kFormat);
  bytes += static_cast<char>(input.dtype);
  bytes.append(reinterpret_cast<const char*>(input.data.get()), input.data_size);
  return bytes;
}

absl::StatusOr<std::shared_ptr<RetainedInput>> DecodeInput(std::string_view bytes) {
  if (bytes.size() < 2 || bytes[0] != kFormat ||
      static_cast<unsigned char>(bytes[1]) >= kEnumCount<DataType>) {
    return Corrupt("an input");
  }
  auto input = std::make_shared<RetainedInput>();
  input->dtype = static_cast<DataType>(bytes[1]);
  bytes.remove_prefix(2);
  input->data_size = bytes.size();
  input->data = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
  std::memcpy(input->data.get(), bytes.data(), bytes.size());
  return input;
}

std::string EncodeRecord(const StepRecord& record, const RetainedInput* input) {
  StepImage image;
  image.revision = record.revision;
  image.mode = record.mode;
  image.rate = record.rate;
  image.shape = record.shape;
  image.parameters_version = input != nullptr ? input->parameters_version : 0;
  image.has_input = input != nullptr;
  image.has_bits = record.pinned != nullptr;
  image.nonce = record.nonce;
  if (image.has_input) return EncodeStep(image, EncodeInput(*input));
  return EncodeStep(image, image.has_bits ? EncodeBits(*record.pinned) : std::string());
}

std::string EncodeBits(const PackedBits& bits) {
  Encoder encoder;
  encoder(kFormat, std::uint64_t{bits.count()});
  return encoder.Take() + std::string(bits.bytes());
}

absl::StatusOr<std::shared_ptr<const PackedBits>> DecodeBits(std::string_view bytes) {
  Decoder decoder(bytes);
  std::uint32_t format = 0;
  std::uint64_t count = 0;
  decoder(format, count);
  if (!decoder.ok() || format != kFormat || count > std::uint64_t{8} * decoder.rest().size() ||
      decoder.rest().size() != (count + 7) / 8) {
    return Corrupt("a mask");
  }
  auto bits = std::make_shared<PackedBits>(static_cast<std::size_t>(count));
  std::memcpy(bits->data(), decoder.rest().data(), decoder.rest().size());
  return bits;
}

}  // namespace dropoutd
