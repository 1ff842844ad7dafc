#include "server/session/layer_codec.h"

#include "server/base/error.h"
#include "server/dropout/layer_validation.h"

namespace dropoutd {
namespace {

// Readers of another major version must not guess.
constexpr std::uint32_t kLayerFormat = 1;

template <typename Codec>
void DescribeLayer(Codec& codec, LayerConfig& c) {
  codec(c.layer_id, c.mode, c.p, c.generator, c.scaling, c.schedule, c.options);
}

absl::Status Corrupt() {
  return MakeError(Reason::kStoreCorrupt, "the store's record of a layer is damaged");
}

}  // namespace

std::string EncodeLayer(const LayerConfig& config) {
  Encoder encoder;
  encoder(kLayerFormat);
  DescribeLayer(encoder, const_cast<LayerConfig&>(config));  // Which only reads.
  return encoder.Take();
}

absl::StatusOr<LayerConfig> DecodeLayer(std::string_view bytes) {
  Decoder decoder(bytes);
  std::uint32_t format = 0;
  LayerConfig config;
  decoder(format);
  if (!decoder.ok() || format != kLayerFormat) return Corrupt();
  DescribeLayer(decoder, config);
  if (!decoder.ok() || !Validate(config).ok()) return Corrupt();
  return config;
}

}  // namespace dropoutd
