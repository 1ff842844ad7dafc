// Plain values of the dropout service: tensors, layers, sessions, masks.
//
// Ownership: every struct here owns what it holds, except TensorView, which refers
// to memory of the caller's. Thread safety: as the standard containers.
#ifndef DROPOUT_TYPES_H_
#define DROPOUT_TYPES_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace dropout {

// Element types. Values are those of dropout.v1.DataType.
enum class DataType { kUnspecified = 0, kFloat32 = 1, kFloat64 = 2, kFloat16 = 3, kBFloat16 = 4 };

// Values are those of dropout.v1's enumerations of the same names; a server may answer with
// newer ones. Unspecified in a request: the default, which layer.proto names.
enum class Mode { kUnspecified = 0, kTrain = 1, kEval = 2 };
enum class Generator { kUnspecified = 0, kPhilox = 1, kNumpyLegacy = 2 };
enum class Scaling { kUnspecified = 0, kInverted = 1, kNone = 2, kEval = 3 };
enum class MaskScope { kUnspecified = 0, kSample = 1, kBatch = 2, kSequence = 3, kStep = 4 };
enum class DepthMode { kUnspecified = 0, kRow = 1, kBatch = 2 };
enum class Gamma { kUnspecified = 0, kExact = 1, kPaper = 2 };
enum class Normalization { kUnspecified = 0, kSample = 1, kBatch = 2 };
enum class ConnectTarget { kUnspecified = 0, kLinear = 1, kWeights = 2 };

// Bytes of one element; 0 for an unknown type.
std::size_t ElementSize(DataType dtype);

// A tensor in the caller's memory: row-major, little-endian, no padding.
// `data` must stay valid and unchanged during the call it is given to.
struct TensorView {
  DataType dtype = DataType::kUnspecified;
  std::vector<std::int64_t> shape;
  const void* data = nullptr;
  std::size_t byte_size = 0;
};

// A tensor with memory of its own, in the same layout.
struct Tensor {
  DataType dtype = DataType::kUnspecified;
  std::vector<std::int64_t> shape;
  std::string data;  // The elements' bytes, aligned for every DataType.

  TensorView View() const { return {dtype, shape, data.data(), data.size()}; }
};

// The variants: each as the message of its name in layer.proto, which gives meanings, ranges and
// defaults. An axis is in [-8, 7], negative from the last.
struct Dropout {
  std::vector<std::int32_t> broadcast_axes;
};

struct Gaussian {
  std::vector<std::int32_t> broadcast_axes;
};

struct Alpha {};

struct FeatureAlpha {
  std::int32_t channel_axis = 1;
};

struct Spatial {
  std::int32_t channel_axis = 1;
};

struct DropBlock {
  std::vector<std::int64_t> block_size;  // Empty: 7.
  std::int32_t channel_axis = 1;
  Gamma gamma = Gamma::kUnspecified;
  Normalization normalization = Normalization::kUnspecified;
  bool share_channels = false;
};

struct Concrete {
  std::optional<double> temperature;  // Empty: 0.1, or 2/3 when spatial.
  double weight_regularizer = 0.0;
  double dropout_regularizer = 0.0;
  bool spatial = false;
};

struct DropConnect {
  std::int64_t in_features = 0;
  std::int64_t out_features = 0;
  bool bias = true;
  MaskScope mask_scope = MaskScope::kUnspecified;
  ConnectTarget target = ConnectTarget::kUnspecified;
};

struct Variational {
  std::optional<std::int32_t> time_axis;
};

struct Recurrent {
  MaskScope mask_scope = MaskScope::kUnspecified;
};

struct StochasticDepth {
  DepthMode mode = DepthMode::kUnspecified;
  std::int64_t depth_index = 0;
  std::int64_t depth_count = 0;
};

// A layer's kind and its options. A layer of a kind that this library does not know
// reads back as std::monostate.
using Variant =
    std::variant<std::monostate, Dropout, Gaussian, Alpha, FeatureAlpha, Spatial, DropBlock,
                 Concrete, DropConnect, Variational, Recurrent, StochasticDepth>;

// The schedules: p as a function of the step, as the messages of these names.
struct LinearSchedule {
  double start_p = 0.0;
  double end_p = 0.0;
  std::uint64_t start_step = 0;
  std::uint64_t end_step = 0;
};

struct CosineSchedule {
  double start_p = 0.0;
  double end_p = 0.0;
  std::uint64_t start_step = 0;
  std::uint64_t end_step = 0;
};

struct CurriculumSchedule {
  double end_p = 0.0;
  double gamma = 0.0;
};

struct PiecewiseSchedule {
  std::vector<std::uint64_t> boundaries;
  std::vector<double> values;  // One more than boundaries.
};

// std::monostate: of a kind that this library does not know.
using Schedule = std::variant<std::monostate, LinearSchedule, CosineSchedule, CurriculumSchedule,
                              PiecewiseSchedule>;

// A layer; see dropout.v1.Layer.
struct Layer {
  std::string layer_id;
  Mode mode = Mode::kUnspecified;  // Unspecified in a request: the session's.
  std::uint64_t revision = 0;      // Set by the server.
  // In [0, 1). Without a schedule a new layer must have it, also where it is 0: the client refuses
  // a layer that would drop nothing unasked. Not used with a schedule. Always set in an answer.
  std::optional<double> p;
  Generator generator = Generator::kUnspecified;
  Scaling scaling = Scaling::kUnspecified;
  std::optional<Schedule> schedule;  // Empty: p is constant.
  Variant variant = Dropout{};
};

// A session as the server has it; see dropout.v1.Session.
struct Session {
  std::string session_id;
  std::uint64_t seed = 0;
  Mode mode = Mode::kUnspecified;
  std::vector<Layer> layers;
  std::chrono::nanoseconds ttl{0};
  std::chrono::system_clock::time_point create_time;
  std::chrono::system_clock::time_point expire_time;
};

// What a new session is made from.
struct SessionOptions {
  std::string session_id;             // Empty: the library picks one, so that a retry is safe.
  std::optional<std::uint64_t> seed;  // Empty: the server draws one.
  std::vector<Layer> layers;
  Mode mode = Mode::kUnspecified;   // Unspecified: train.
  std::chrono::nanoseconds ttl{0};  // 0: the server's default.
};

struct SessionPage {
  std::vector<Session> sessions;
  std::string next_page_token;  // Empty on the last page.
  // Those of the page that cannot be read; GetSession says why.
  std::vector<std::string> corrupt_session_ids;
};

// A mask; see dropout.v1.Mask. Either `bits` (one bit an element of `shape`,
// least significant bit first, 1 = kept) or `multipliers` is filled. Where there are
// `sample_scales`, one a sample or one in all, they take the place of `scale`.
struct Mask {
  std::vector<std::int64_t> shape;
  double scale = 1.0;
  std::vector<double> sample_scales;
  std::string bits;
  std::optional<Tensor> multipliers;

  // Whether element `index` (row-major in `shape`) is kept. Only for a mask of bits;
  // `index` must be below the number of elements.
  bool Kept(std::size_t index) const { return (bits[index / 8] >> (index % 8) & 1) != 0; }
};

// What names a Forward: layer, step and place in the batch.
struct StepRef {
  std::string session_id;
  std::string layer_id;
  std::optional<std::uint64_t> step;         // Required in train.
  std::int64_t sample_offset = 0;            // 0 or more.
  std::optional<std::uint64_t> sequence_id;  // For layers that are keyed by sequence.
};

struct ForwardResult {
  Tensor output;
  std::optional<Mask> mask;  // If it was asked for.
  Mode mode = Mode::kUnspecified;
  double p = 0.0;
};

struct Parameter {
  std::string name;
  Tensor value;
};

struct BackwardOptions {
  bool release = false;  // The step is forgotten afterwards, and the call is not repeated.
  // For concrete's weight regulariser. 0 or more.
  std::optional<double> weight_squared_norm = std::nullopt;
};

struct BackwardResult {
  Tensor input_gradient;
  // Of what the server holds: `logit_p` and `logit_p_regularizer` of concrete, `weight` and `bias`
  // of drop_connect. Empty for other layers.
  std::vector<Parameter> parameter_gradients;
};

struct SharedMemory {
  std::string region_id;
  std::string path;
  std::int64_t byte_size = 0;
};

// Limits and abilities of a server; see dropout.v1.ServerInfo.
struct ServerInfo {
  std::string version;
  std::string simd_target;
  std::vector<std::string> simd_targets;
  std::string store;
  std::vector<std::string> variants;
  std::vector<std::string> schedules;
  std::vector<std::string> unsupported_rpcs;
  std::vector<Generator> generators;
  std::vector<DataType> data_types;
  std::int64_t max_sessions = 0;
  std::int64_t max_layers_per_session = 0;
  std::int64_t max_steps_per_layer = 0;
  std::int64_t max_steps = 0;
  std::int64_t mask_cache_bytes = 0;
  std::int64_t max_message_bytes = 0;
  std::int64_t max_bytes_in_flight = 0;
  std::chrono::nanoseconds default_ttl{0};
  std::chrono::nanoseconds max_ttl{0};
};

}  // namespace dropout

#endif  // DROPOUT_TYPES_H_
