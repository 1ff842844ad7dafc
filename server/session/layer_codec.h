// A layer's configuration as the store's bytes.
#ifndef DROPOUTD_SERVER_SESSION_LAYER_CODEC_H_
#define DROPOUTD_SERVER_SESSION_LAYER_CODEC_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/dropout/layer_config.h"
#include "server/session/byte_codec.h"

namespace dropoutd {

template <>
inline constexpr std::uint64_t kEnumCount<Mode> = 2;
template <>
inline constexpr std::uint64_t kEnumCount<Generator> = 2;
template <>
inline constexpr std::uint64_t kEnumCount<Scaling> = 3;
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

// Fields are only ever added, at the end of LayerConfig's: readers pass over what they do not know.
template <typename Codec>
void Describe(Codec& codec, DropoutOptions& o) {
  codec(o.broadcast_axes);
}
template <typename Codec>
void Describe(Codec& codec, GaussianOptions& o) {
  codec(o.broadcast_axes);
}
template <typename Codec>
void Describe(Codec&, AlphaOptions&) {}
template <typename Codec>
void Describe(Codec& codec, FeatureAlphaOptions& o) {
  codec(o.channel_axis);
}
template <typename Codec>
void Describe(Codec& codec, SpatialOptions& o) {
  codec(o.channel_axis);
}
template <typename Codec>
void Describe(Codec& codec, DropBlockOptions& o) {
  codec(o.block_size, o.channel_axis, o.gamma, o.normalization, o.share_channels);
}
template <typename Codec>
void Describe(Codec& codec, ConcreteOptions& o) {
  codec(o.temperature, o.weight_regularizer, o.dropout_regularizer, o.spatial);
}
template <typename Codec>
void Describe(Codec& codec, DropConnectOptions& o) {
  codec(o.in_features, o.out_features, o.bias, o.mask_scope, o.target);
}
template <typename Codec>
void Describe(Codec& codec, VariationalOptions& o) {
  codec(o.time_axis);
}
template <typename Codec>
void Describe(Codec& codec, RecurrentOptions& o) {
  codec(o.mask_scope);
}
template <typename Codec>
void Describe(Codec& codec, StochasticDepthOptions& o) {
  codec(o.mode, o.depth_index, o.depth_count);
}
template <typename Codec>
void Describe(Codec& codec, LinearSchedule& s) {
  codec(s.start_p, s.end_p, s.start_step, s.end_step);
}
template <typename Codec>
void Describe(Codec& codec, CosineSchedule& s) {
  codec(s.start_p, s.end_p, s.start_step, s.end_step);
}
template <typename Codec>
void Describe(Codec& codec, CurriculumSchedule& s) {
  codec(s.end_p, s.gamma);
}
template <typename Codec>
void Describe(Codec& codec, PiecewiseSchedule& s) {
  codec(s.boundaries, s.values);
}

// The configuration's own format, so that fields can follow.
std::string EncodeLayer(const LayerConfig& config);

// STORE_CORRUPT unless `bytes` are those of a valid configuration.
absl::StatusOr<LayerConfig> DecodeLayer(std::string_view bytes);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_LAYER_CODEC_H_
