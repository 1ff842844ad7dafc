#include "server/persistence/session_codec.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <utility>

#include "server/base/status_macros.h"
#include "server/dropout/layer_validation.h"
#include "server/dropout/variant.h"
#include "server/persistence/config_codec.h"
#include "server/persistence/field_names.h"
#include "server/persistence/format1/format1.h"
#include "server/persistence/stored_value.h"

namespace dropoutd {
namespace {

constexpr std::string_view kASession = "a session";
constexpr std::string_view kALayer = "a layer";

// So that what counts upwards never comes round, and what is added to a time fits one.
constexpr std::uint64_t kMostCounted = std::uint64_t{1} << 62;
constexpr Nanoseconds kMostTtl = std::chrono::hours(24 * 365 * 30);

// Configurations are valid where they are read.
absl::StatusOr<SharedConfig> ValidConfig(absl::StatusOr<LayerConfig> config) {
  if (!config.ok()) return config.status();
  if (!Validate(*config).ok()) return StoredDamaged(kALayer);
  return std::make_shared<const LayerConfig>(*std::move(config));
}

void PutWholeConfig(const LayerConfig& config, stored::StoredConfig& to) {
  to.set_layer_id(config.layer_id);
  PutConfig(config, to);
}

// A message that has what a later version stored with the last one.
template <typename Message>
Message Continue(const std::string& unknown) {
  Message message;
  if (!unknown.empty()) message.ParseFromString(unknown);
  return message;
}

stored::SessionHead HeadOf(const SessionImage& image) {
  auto head = Continue<stored::SessionHead>(image.unknown);
  head.set_seed(image.seed);
  head.set_ttl_nanoseconds(image.ttl.count());
  const auto since_epoch = image.create_time.time_since_epoch();
  head.set_create_nanoseconds(std::chrono::duration_cast<Nanoseconds>(since_epoch).count());
  head.set_mode(static_cast<stored::Mode>(image.mode));
  head.set_origin(image.origin ? image.origin.Bytes() : std::string());
  head.set_seed_given(image.seed_given);
  head.clear_ttl_given_nanoseconds();
  if (image.ttl_given.has_value()) head.set_ttl_given_nanoseconds(image.ttl_given->count());
  head.set_created_mode(static_cast<stored::Mode>(image.created_mode));
  auto& layers = *head.mutable_created_layers();
  const int count = static_cast<int>(image.created_layers.size());
  while (layers.size() < count) layers.Add();
  while (layers.size() > count) layers.RemoveLast();
  for (int i = 0; i < layers.size(); ++i) PutWholeConfig(*image.created_layers[i], layers[i]);
  return head;
}

stored::StoredLayer MessageOfLayer(const LayerImage& layer) {
  auto message = Continue<stored::StoredLayer>(layer.unknown);
  message.set_uid(layer.uid);
  PutWholeConfig(*layer.created, *message.mutable_created());
  PutWholeConfig(*layer.config, *message.mutable_config());
  message.set_mode(static_cast<stored::Mode>(layer.mode));
  message.set_revision(layer.revision);
  if (layer.parameters_id) {
    message.mutable_parameters_id()->set_number(layer.parameters_id.number);
    message.mutable_parameters_id()->set_random(layer.parameters_id.random);
  } else {
    message.clear_parameters_id();
  }
  message.clear_releasing();
  if (layer.releasing.has_value()) message.set_releasing(*layer.releasing);
  return message;
}

// What there is in a value besides what an image has: nothing where the image gives the same bytes.
std::string UnknownIn(const std::string& value, const std::string& again) {
  return value == again ? std::string() : value.substr(1);
}

// Sets all of the image but its layers and incarnation.
absl::Status ReadHead(const std::string& value, SessionImage& image) {
  DROPOUTD_ASSIGN_OR_RETURN(const auto head, MessageOf<stored::SessionHead>(value, kASession));
  if (!stored::Mode_IsValid(head.mode()) || !stored::Mode_IsValid(head.created_mode())) {
    return StoredNewer(kASession);
  }
  image.seed = head.seed();
  image.ttl = Nanoseconds(head.ttl_nanoseconds());
  image.create_time = WallTime(
      std::chrono::duration_cast<WallTime::duration>(Nanoseconds(head.create_nanoseconds())));
  image.mode = static_cast<Mode>(head.mode());
  const auto origin = Token::FromBytes(head.origin());
  if (!origin.has_value() && !head.origin().empty()) return StoredDamaged(kASession);
  image.origin = origin.value_or(Token{});
  image.seed_given = head.seed_given();
  image.ttl_given.reset();
  if (head.has_ttl_given_nanoseconds()) {
    image.ttl_given = Nanoseconds(head.ttl_given_nanoseconds());
  }
  image.created_mode = static_cast<Mode>(head.created_mode());
  image.created_layers.clear();
  for (const stored::StoredConfig& each : head.created_layers()) {
    DROPOUTD_ASSIGN_OR_RETURN(image.created_layers.emplace_back(), ValidConfig(ConfigOf(each)));
  }
  image.unknown.clear();
  image.unknown = UnknownIn(value, *EncodeHead(image).value);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<LayerImage>> ReadLayer(const std::string& value) {
  DROPOUTD_ASSIGN_OR_RETURN(const auto message, MessageOf<stored::StoredLayer>(value, kALayer));
  if (!stored::Mode_IsValid(message.mode())) return StoredNewer(kALayer);
  auto layer = std::make_shared<LayerImage>();
  layer->uid = message.uid();
  DROPOUTD_ASSIGN_OR_RETURN(layer->created, ValidConfig(ConfigOf(message.created())));
  DROPOUTD_ASSIGN_OR_RETURN(layer->config, ValidConfig(ConfigOf(message.config())));
  if (*layer->config == *layer->created) layer->config = layer->created;
  layer->mode = static_cast<Mode>(message.mode());
  layer->revision = message.revision();
  layer->parameters_id = {message.parameters_id().number(), message.parameters_id().random()};
  if (message.has_releasing()) layer->releasing = message.releasing();
  layer->unknown = UnknownIn(value, *EncodeLayer(*layer).value);
  return layer;
}

// Whether a layer has all that its configuration needs, the parameters themselves aside.
bool IsWhole(const LayerImage& layer, const SessionImage& session) {
  return layer.uid != 0 && layer.created->layer_id == layer.config->layer_id &&
         layer.revision != 0 && layer.revision <= kMostCounted &&
         layer.parameters_id.number <= kMostCounted &&
         (layer.parameters_id || layer.parameters_id.random == 0) &&
         (layer.parameters_id ? LearnsP(*layer.config) || IsLinear(*layer.config)
                              : !LearnsP(*layer.config)) &&
         (!IsSequential(layer.config->generator) || session.seed <= SequentialNoise::kMaxSeed);
}

using LayersByUid = std::map<std::uint64_t, SharedLayer>;

// Gives the session these layers.
absl::StatusOr<SessionImage> Assemble(SessionImage image, const LayersByUid& layers) {
  image.layers.clear();
  for (const auto& [uid, layer] : layers) {
    const auto [at, is_new] = image.layers.emplace(layer->config->layer_id, layer);
    if (!is_new || !IsWhole(*layer, image)) return StoredDamaged(kASession);
  }
  if (image.ttl <= Nanoseconds(0) || image.ttl > kMostTtl) return StoredDamaged(kASession);
  return image;
}

absl::Status ReadLayerPart(const StorePart& part, LayersByUid& layers) {
  const auto uid = ParseLayerPartName(part.name);
  // Parts of other kinds are a later version's.
  if (!uid.has_value()) return absl::OkStatus();
  const auto was = layers.find(*uid);
  if (!part.value.has_value()) {
    if (was != layers.end()) layers.erase(was);
    return absl::OkStatus();
  }
  DROPOUTD_ASSIGN_OR_RETURN(const std::shared_ptr<LayerImage> layer, ReadLayer(*part.value));
  if (layer->uid != *uid) return StoredDamaged(kALayer);
  if (was != layers.end() && was->second->parameters_id == layer->parameters_id) {
    layer->parameters = was->second->parameters;
  }
  layers[*uid] = layer;
  return absl::OkStatus();
}

absl::StatusOr<SessionImage> SessionOfFormat1(std::string_view document, Token incarnation) {
  if (FormatOf(document) == ValueFormat::kLater) return StoredNewer(kASession);
  DROPOUTD_ASSIGN_OR_RETURN(SessionImage image, format1::ReadSession(document, incarnation));
  LayersByUid layers;
  const auto is_valid = [](const SharedConfig& config) { return Validate(*config).ok(); };
  bool all_are_valid =
      std::all_of(image.created_layers.begin(), image.created_layers.end(), is_valid);
  for (const auto& [id, layer] : image.layers) {
    all_are_valid = all_are_valid && is_valid(layer->created) && is_valid(layer->config) &&
                    layers.emplace(layer->uid, layer).second;
  }
  if (!all_are_valid) return StoredDamaged(kASession);
  return Assemble(std::move(image), layers);
}

const StorePart* FindPart(const std::vector<StorePart>& parts, std::string_view name) {
  const auto found = std::find_if(parts.begin(), parts.end(), [&](const StorePart& each) {
    return each.name == name && each.value.has_value();
  });
  return found == parts.end() ? nullptr : &*found;
}

}  // namespace

StorePart EncodeHead(const SessionImage& image) { return {HeadPartName(), ValueOf(HeadOf(image))}; }

StorePart EncodeLayer(const LayerImage& layer) {
  return {LayerPartName(layer.uid), ValueOf(MessageOfLayer(layer))};
}

std::vector<StorePart> EncodeSession(const SessionImage& image) {
  std::vector<StorePart> parts = {EncodeHead(image)};
  for (const auto& [id, layer] : image.layers) parts.push_back(EncodeLayer(*layer));
  return parts;
}

absl::StatusOr<SessionImage> DecodeSession(const std::vector<StorePart>& parts, Token incarnation) {
  if (const StorePart* const document = FindPart(parts, DocumentPartName())) {
    return SessionOfFormat1(*document->value, incarnation);
  }
  if (FindPart(parts, HeadPartName()) == nullptr) return StoredDamaged(kASession);
  SessionImage nothing;
  nothing.incarnation = incarnation;
  return Refresh(nothing, parts);
}

absl::StatusOr<SessionImage> Refresh(const SessionImage& before,
                                     const std::vector<StorePart>& changed) {
  if (IsFormat1(changed)) return DecodeSession(changed, before.incarnation);
  SessionImage image = before;
  LayersByUid layers;
  for (const auto& [id, layer] : before.layers) layers.emplace(layer->uid, layer);
  if (const StorePart* const head = FindPart(changed, HeadPartName())) {
    DROPOUTD_RETURN_IF_ERROR(ReadHead(*head->value, image));
  }
  for (const StorePart& each : changed) DROPOUTD_RETURN_IF_ERROR(ReadLayerPart(each, layers));
  return Assemble(std::move(image), layers);
}

absl::Status CheckWhole(const SessionImage& image) {
  for (const auto& [id, layer] : image.layers) {
    const bool has_parameters = layer->parameters != nullptr;
    if (!IsWhole(*layer, image) || has_parameters != static_cast<bool>(layer->parameters_id) ||
        (has_parameters && !CheckParameters(*layer->config, *layer->parameters).ok())) {
      return StoredDamaged(kALayer);
    }
  }
  return absl::OkStatus();
}

bool IsFormat1(const std::vector<StorePart>& parts) {
  return FindPart(parts, DocumentPartName()) != nullptr;
}

std::string EncodeParameters(const Parameters& parameters) {
  stored::StoredParameters message;
  for (const auto& each : parameters.all()) {
    stored::StoredParameter& to = *message.add_parameters();
    to.set_name(each->name);
    to.set_dtype(static_cast<stored::DataType>(each->dtype));
    PutShape(each->shape, *to.mutable_shape());
    to.set_data(each->data.data(), each->data.size());
  }
  return ValueOf(message);
}

absl::StatusOr<Parameters> DecodeParameters(std::string_view bytes) {
  constexpr std::string_view kWhat = "parameters";
  if (FormatOf(bytes) == ValueFormat::kOne) {
    auto parameters = format1::ReadParameters(bytes);
    if (parameters.ok() && parameters->all().empty()) return StoredDamaged(kWhat);
    return parameters;
  }
  DROPOUTD_ASSIGN_OR_RETURN(const auto message, MessageOf<stored::StoredParameters>(bytes, kWhat));
  Parameters parameters;
  for (const stored::StoredParameter& each : message.parameters()) {
    if (!stored::DataType_IsValid(each.dtype())) return StoredNewer(kWhat);
    const auto dtype = static_cast<DataType>(each.dtype());
    const auto shape = ShapeOf(each.shape());
    if (!shape.ok() || !shape->Takes(each.data().size(), ElementSize(dtype))) {
      return StoredDamaged(kWhat);
    }
    const auto* const data = reinterpret_cast<const std::byte*>(each.data().data());
    parameters.Set({each.name(), dtype, *shape, {data, data + each.data().size()}});
  }
  if (parameters.all().empty()) return StoredDamaged(kWhat);
  return parameters;
}

std::string EncodeStream(const SequentialNoise& stream) {
  stored::StoredStream message;
  message.set_state(stream.State());
  return ValueOf(message);
}

absl::StatusOr<SequentialNoise> DecodeStream(std::string_view bytes, std::uint64_t seed) {
  constexpr std::string_view kWhat = "a stream";
  std::string state(bytes);
  if (FormatOf(bytes) != ValueFormat::kOne) {
    DROPOUTD_ASSIGN_OR_RETURN(auto message, MessageOf<stored::StoredStream>(bytes, kWhat));
    state = std::move(*message.mutable_state());
  }
  if (seed > SequentialNoise::kMaxSeed) return StoredDamaged(kWhat);
  SequentialNoise stream(seed);
  if (!stream.SetState(state)) return StoredDamaged(kWhat);
  return stream;
}

}  // namespace dropoutd
