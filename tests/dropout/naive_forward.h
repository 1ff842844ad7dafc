// The naive twin of a plan and its application: one element at a time, straight from
// docs/mask-format.md.
#ifndef DROPOUTD_TESTS_DROPOUT_NAIVE_FORWARD_H_
#define DROPOUTD_TESTS_DROPOUT_NAIVE_FORWARD_H_

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <vector>

#include "server/dropout/data_type.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/plan.h"
#include "server/dropout/shape.h"
#include "tests/dropout/whole_pass.h"

namespace dropoutd {

using Bytes = std::vector<std::uint8_t>;
using Sizes = std::vector<std::int64_t>;

// One Forward or GetMask, whatever its element type.
struct Call {
  LayerConfig config;
  Mode mode = Mode::kTrain;
  Coordinates at;
  Sizes shape;
};

std::ostream& operator<<(std::ostream& os, const Call& call);

// A layer of the variant `dropout`.
LayerConfig MakeConfig(double p, std::vector<std::int32_t> broadcast_axes = {},
                       Scaling scaling = Scaling::kInverted);

// The shape and the plan; the test fails if there is none.
Shape MakeShape(const Sizes& sizes);
Plan MakePlanOf(const Call& call);

// The noise layout of a dropout layer with these broadcast_axes.
absl::StatusOr<NoiseLayout> LayoutOf(const Shape& tensor, const std::vector<std::int32_t>& axes,
                                     std::int64_t sample_offset);

std::size_t ByteSize(const Call& call, DataType dtype);

// The server's answers: the bits, and the output with its bits drawn before or in the same
// pass.
Bytes ServerBits(const Call& call);
Bytes ServerApply(const Call& call, DataType dtype, const Bytes& x);
Bytes ServerDrawAndApply(const Call& call, DataType dtype, const Bytes& x);

namespace naive {

// Whether an axis shares one draw, for each axis of the tensor.
std::vector<bool> SharedAxes(std::size_t rank, std::span<const std::int32_t> axes);

// The place in the noise, row-major, of element `element` of the tensor.
std::size_t NoisePlace(const Sizes& tensor, const std::vector<bool>& shared, std::size_t element);

// The packed bits of the noise of a train call with p > 0, and the output of any call.
Bytes Bits(const Call& call);
Bytes Forward(const Call& call, DataType dtype, const Bytes& x);

}  // namespace naive
}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_DROPOUT_NAIVE_FORWARD_H_
