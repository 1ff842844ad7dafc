#include "tests/dropout/naive_forward.h"

#include <utility>
#include <variant>

#include "server/random/mask_key.h"
#include "tests/kernels/naive.h"

namespace dropoutd {
namespace {

Bytes ToBytes(const PackedBits& bits) { return {bits.data(), bits.data() + bits.byte_size()}; }

std::size_t Product(const Sizes& sizes) {
  std::size_t product = 1;
  for (const std::int64_t size : sizes) product *= static_cast<std::size_t>(size);
  return product;
}

const std::vector<std::int32_t>& BroadcastAxes(const Call& call) {
  return std::get<DropoutOptions>(call.config.options).broadcast_axes;
}

}  // namespace

std::ostream& operator<<(std::ostream& os, const Call& call) {
  os << "shape " << MakeShape(call.shape).ToString() << " broadcast_axes [";
  for (const std::int32_t axis : BroadcastAxes(call)) os << " " << axis;
  return os << " ] sample_offset " << call.at.sample_offset << " seed " << call.at.seed << " step "
            << call.at.step << " p " << call.config.p << " scaling "
            << static_cast<int>(call.config.scaling)
            << (call.mode == Mode::kTrain ? " train" : " eval");
}

LayerConfig MakeConfig(double p, std::vector<std::int32_t> broadcast_axes, Scaling scaling) {
  LayerConfig config;
  config.layer_id = "drop";
  config.p = p;
  config.scaling = scaling;
  config.options = DropoutOptions{std::move(broadcast_axes)};
  return config;
}

Shape MakeShape(const Sizes& sizes) { return Shape::Make(sizes).value(); }

Plan MakePlanOf(const Call& call) {
  return MakePlan(call.config, call.mode, call.config.p, call.at, MakeShape(call.shape)).value();
}

absl::StatusOr<NoiseLayout> LayoutOf(const Shape& tensor, const std::vector<std::int32_t>& axes,
                                     std::int64_t sample_offset) {
  const auto shared = SharedAxesOf(DropoutOptions{axes}, tensor.rank());
  if (!shared.ok()) return shared.status();
  return MakeNoiseLayout(tensor, *shared, sample_offset);
}

std::size_t ByteSize(const Call& call, DataType dtype) {
  return Product(call.shape) * static_cast<std::size_t>(ElementSize(dtype));
}

Bytes ServerBits(const Call& call) { return ToBytes(DrawBits(MakePlanOf(call))); }

Bytes ServerApply(const Call& call, DataType dtype, const Bytes& x) {
  const Plan plan = MakePlanOf(call);
  Bytes y(x.size(), 0x77);
  if (plan.action == Action::kMask) {
    Apply(plan, ShareBits(DrawBits(plan)), dtype, x.data(), y.data());
  } else {
    Apply(plan, nullptr, dtype, x.data(), y.data());
  }
  return y;
}

Bytes ServerDrawAndApply(const Call& call, DataType dtype, const Bytes& x) {
  Bytes y(x.size(), 0x77);
  DrawAndApply(MakePlanOf(call), dtype, x.data(), y.data());
  return y;
}

namespace naive {

std::vector<bool> SharedAxes(std::size_t rank, std::span<const std::int32_t> axes) {
  std::vector<bool> shared(rank);
  for (const std::int32_t axis : axes) {
    shared.at(static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int32_t>(rank) : axis)) =
        true;
  }
  return shared;
}

std::size_t NoisePlace(const Sizes& tensor, const std::vector<bool>& shared, std::size_t element) {
  std::size_t place = 0;
  std::size_t stride = 1;
  for (std::size_t axis = tensor.size(); axis-- > 0;) {
    const auto size = static_cast<std::size_t>(tensor[axis]);
    const std::size_t coordinate = element % size;
    element /= size;
    if (shared[axis]) continue;
    place += coordinate * stride;
    stride *= size;
  }
  return place;
}

Bytes Bits(const Call& call) {
  const std::vector<bool> shared = SharedAxes(call.shape.size(), BroadcastAxes(call));
  Sizes noise = call.shape;
  for (std::size_t axis = 0; axis < noise.size(); ++axis) {
    if (shared[axis]) noise[axis] = 1;
  }
  const bool samples_share = !shared.empty() && shared[0];
  std::uint64_t first = static_cast<std::uint64_t>(samples_share ? 0 : call.at.sample_offset);
  for (std::size_t axis = 1; axis < noise.size(); ++axis) {
    first *= static_cast<std::uint64_t>(noise[axis]);
  }
  const auto stream = MakeBernoulliStream(
      {call.at.seed, call.config.layer_id, KeyKind::kStep, call.at.step}, call.config.p);
  return BernoulliBits(stream, first, Product(noise));
}

Bytes Forward(const Call& call, DataType dtype, const Bytes& x) {
  const double p = call.config.p;
  const bool train = call.mode == Mode::kTrain;
  if (train ? p == 0 : call.config.scaling != Scaling::kEval || 1 - p == 1) return x;
  const std::size_t count = Product(call.shape);
  Bytes kept((count + 7) / 8, 0xFF);
  double scale = 1 - p;
  if (train) {
    scale = call.config.scaling == Scaling::kInverted ? 1 / (1 - p) : 1;
    const Bytes noise = Bits(call);
    const std::vector<bool> shared = SharedAxes(call.shape.size(), BroadcastAxes(call));
    std::vector<bool> expanded(count);
    for (std::size_t i = 0; i < count; ++i) {
      expanded[i] = Bit(noise, NoisePlace(call.shape, shared, i));
    }
    kept = Pack(expanded);
  }
  return MaskedScale(dtype, x, kept, scale);
}

}  // namespace naive
}  // namespace dropoutd
