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

// Values are those of dropout.v1.Mode, Generator and Scaling; a server may answer with
// newer ones.
enum class Mode { kUnspecified = 0, kTrain = 1, kEval = 2 };
enum class Generator { kUnspecified = 0, kPhilox = 1, kNumpyLegacy = 2 };
enum class Scaling { kUnspecified = 0, kInverted = 1, kNone = 2, kEval = 3 };

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

// Bernoulli dropout; see dropout.v1.Dropout.
struct Dropout {
  std::vector<std::int32_t> broadcast_axes;  // Each in [-8, 7].
};

// A layer's kind and its options. A layer of a kind that this library does not know
// reads back as std::monostate.
using Variant = std::variant<std::monostate, Dropout>;

// A layer; see dropout.v1.Layer.
struct Layer {
  std::string layer_id;
  Mode mode = Mode::kUnspecified;  // Unspecified in a request: the session's.
  std::uint64_t revision = 0;      // Set by the server.
  double p = 0.0;                  // In [0, 1).
  Generator generator = Generator::kUnspecified;
  Scaling scaling = Scaling::kUnspecified;
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
};

// A mask; see dropout.v1.Mask. Either `bits` (one bit an element of `shape`,
// least significant bit first, 1 = kept) or `multipliers` is filled.
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

struct BackwardResult {
  Tensor input_gradient;
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
