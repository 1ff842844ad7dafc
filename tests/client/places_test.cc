// ForwardInto and BackwardInto with places of right and wrong sizes, through a real dropoutd. Each
// place ends where its memory does: one byte past it ends this test.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "dropout/client.h"
#include "tests/client/server_process.h"

namespace dropout {
namespace {

constexpr Transport kTransports[] = {Transport::kInline, Transport::kStream,
                                     Transport::kSharedMemory, Transport::kAuto};
constexpr std::size_t kPieceBytes = 5000;  // No multiple of an element.
constexpr char kGuard = '\xA5';

// Memory of guards, whose end is the end of what may be written.
class GuardedMemory {
 public:
  explicit GuardedMemory(std::size_t size)
      : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
        writable_((size + 2 * page_ - 1) / page_ * page_) {
    void* const mapped = mmap(nullptr, writable_ + page_, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(mapped, MAP_FAILED);
    data_ = static_cast<char*>(mapped);
    EXPECT_EQ(mprotect(data_ + writable_, page_, PROT_NONE), 0);
    std::memset(data_, kGuard, writable_);
  }
  ~GuardedMemory() { munmap(data_, writable_ + page_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  // The last `size` bytes.
  char* Last(std::size_t size) { return data_ + writable_ - size; }

  // Whether all before the last `size` bytes are as at first.
  bool IsUntouchedBefore(std::size_t size) const {
    return std::string(data_, writable_ - size) == std::string(writable_ - size, kGuard);
  }

 private:
  const std::size_t page_;
  const std::size_t writable_;
  char* data_;
};

// A layer, and the sizes of a row of its input and output.
struct Case {
  std::string name;
  Variant variant;
  std::int64_t in = 8;
  std::int64_t out = 8;
};

std::vector<Case> Cases() {
  DropConnect smaller, larger, square, weights;
  smaller.in_features = 8;
  smaller.out_features = 4;
  larger.in_features = 4;
  larger.out_features = 8;
  square.in_features = square.out_features = 8;
  weights.target = ConnectTarget::kWeights;
  DropBlock blocks;
  blocks.block_size = {2};
  return {{"dropout", Dropout{}},     {"gaussian", Gaussian{}},
          {"alpha", Alpha{}},         {"feature_alpha", FeatureAlpha{}},
          {"spatial", Spatial{}},     {"drop_block", blocks},
          {"concrete", Concrete{}},   {"smaller", smaller, 8, 4},
          {"larger", larger, 4, 8},   {"square", square},
          {"weights", weights},       {"variational", Variational{}},
          {"recurrent", Recurrent{}}, {"stochastic_depth", StochasticDepth{}}};
}

// Rows of `last` numbers; drop_block's have more axes.
struct Numbers {
  Numbers(const Case& layer, std::int64_t rows, std::int64_t last)
      : values(static_cast<std::size_t>(rows * last)) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 100) + 1.0f;
    shape = {rows, last};
    if (std::holds_alternative<DropBlock>(layer.variant)) shape = {rows / 2, 1, 2, last};
  }

  std::size_t byte_size() const { return values.size() * sizeof(float); }
  TensorView View() const { return {DataType::kFloat32, shape, values.data(), byte_size()}; }

  std::vector<float> values;
  std::vector<std::int64_t> shape;
};

StepRef At(const Case& layer, std::uint64_t step) {
  StepRef ref;
  ref.session_id = "s";
  ref.layer_id = layer.name;
  ref.step = step;
  ref.sequence_id = step;
  return ref;
}

class PlacesTest : public testing::TestWithParam<Transport> {
 protected:
  PlacesTest() : server_(DROPOUTD_PATH, {"--shared_memory"}), client_(Connect(GetParam())) {
    SessionOptions options;
    options.session_id = "s";
    options.seed = 7;
    for (const Case& each : Cases()) {
      Layer layer;
      layer.layer_id = each.name;
      layer.p = 0.25;
      layer.variant = each.variant;
      options.layers.push_back(layer);
    }
    EXPECT_TRUE(client_.CreateSession(options).ok());
    for (const Case& each : Cases()) SetWeights(each);
  }

  // What a linear layer needs before it can be used.
  void SetWeights(const Case& layer) {
    const auto* const connect = std::get_if<DropConnect>(&layer.variant);
    if (connect == nullptr || connect->target == ConnectTarget::kWeights) return;
    const auto parameter = [](const char* name, std::vector<std::int64_t> shape) {
      std::size_t count = 1;
      for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
      const std::vector<float> ones(count, 1.0f);
      const std::string data(reinterpret_cast<const char*>(ones.data()), count * sizeof(float));
      return Parameter{name, {DataType::kFloat32, std::move(shape), data}};
    };
    const absl::Status set = client_.SetParameters(
        "s", layer.name,
        {parameter("weight", {layer.out, layer.in}), parameter("bias", {layer.out})});
    EXPECT_TRUE(set.ok()) << set;
  }

  Client Connect(Transport transport) const {
    ClientOptions options;
    options.transport = transport;
    options.stream_piece_bytes = kPieceBytes;
    return Client::Connect(server_.address(), options).value();
  }

  // One Forward or Backward, into a place or not.
  absl::StatusOr<std::string> Run(bool is_forward, const StepRef& at, const TensorView& tensor,
                                  void* place, std::size_t byte_size, bool release = false) {
    if (is_forward) {
      auto result = client_.ForwardInto(at, tensor, place, byte_size);
      if (!result.ok()) return result.status();
      return std::move(result->output.data);
    }
    BackwardOptions options;
    options.release = release;
    auto result = client_.BackwardInto(at, tensor, place, byte_size, options);
    if (!result.ok()) return result.status();
    return std::move(result->input_gradient.data);
  }

  // Nothing but the place was written, and the call was refused for it.
  void ExpectRefused(bool is_forward, const StepRef& at, const TensorView& tensor,
                     std::size_t byte_size, bool release = false) {
    GuardedMemory memory(byte_size);
    const auto result = Run(is_forward, at, tensor, memory.Last(byte_size), byte_size, release);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << result.status();
    EXPECT_TRUE(memory.IsUntouchedBefore(byte_size));
  }

  bool HasRecord(const StepRef& at) {
    const auto mask = client_.GetMask(at);
    return mask.ok();
  }

  void CheckPlaces(const Case& layer, std::int64_t rows) {
    const Numbers x(layer, rows, layer.in);
    const Numbers dy(layer, rows, layer.out);
    for (const bool is_forward : {true, false}) {
      SCOPED_TRACE(is_forward ? "Forward" : "Backward");
      const TensorView tensor = (is_forward ? x : dy).View();
      const std::size_t exact = (is_forward ? dy : x).byte_size();
      const StepRef at = At(layer, 1);
      const auto expected = Run(is_forward, at, tensor, nullptr, 0);
      ASSERT_TRUE(expected.ok()) << expected.status();
      ASSERT_EQ(expected->size(), exact);
      GuardedMemory memory(exact);
      const auto result = Run(is_forward, at, tensor, memory.Last(exact), exact);
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(*result, "");
      EXPECT_TRUE(std::string(memory.Last(exact), exact) == *expected);
      EXPECT_TRUE(memory.IsUntouchedBefore(exact));
      const std::size_t row = exact / static_cast<std::size_t>(rows);
      for (const std::size_t wrong : {exact - 1, exact - 4, exact - row, exact / 2, std::size_t{0},
                                      exact + 1, exact + 4, exact + row, exact * 2}) {
        SCOPED_TRACE(testing::Message() << wrong << " bytes for " << exact);
        ExpectRefused(is_forward, at, tensor, wrong);
      }
      EXPECT_EQ(Run(is_forward, at, tensor, nullptr, exact).status().code(),
                absl::StatusCode::kInvalidArgument);
    }
  }

  // The wrong place is refused before the server does anything: no record of a Forward, and the
  // record of a Backward with `release` stays.
  void CheckNothingIsDone(const Case& layer, std::int64_t rows) {
    const Numbers x(layer, rows, layer.in);
    const Numbers dy(layer, rows, layer.out);
    for (const std::size_t wrong : {dy.byte_size() - 4, dy.byte_size() / 2, dy.byte_size() * 2}) {
      ExpectRefused(true, At(layer, 2), x.View(), wrong);
      EXPECT_FALSE(HasRecord(At(layer, 2)));
    }
    ASSERT_TRUE(Run(true, At(layer, 3), x.View(), nullptr, 0).ok());
    for (const std::size_t wrong : {x.byte_size() - 4, x.byte_size() / 2, x.byte_size() * 2}) {
      ExpectRefused(false, At(layer, 3), dy.View(), wrong, /*release=*/true);
      EXPECT_TRUE(Run(false, At(layer, 3), dy.View(), nullptr, 0).ok());
    }
  }

  ServerProcess server_;
  Client client_;
};

// kAuto uses shared memory from 64 KiB up.
constexpr std::int64_t kRows[] = {2, 4096};

TEST_P(PlacesTest, OnlyAPlaceOfTheAnswersSizeIsWritten) {
  for (const Case& layer : Cases()) {
    for (const std::int64_t rows : kRows) {
      SCOPED_TRACE(testing::Message() << layer.name << ", rows " << rows);
      CheckPlaces(layer, rows);
    }
  }
}

TEST_P(PlacesTest, AWrongPlaceIsRefusedBeforeAnythingIsDone) {
  for (const Case& layer : Cases()) {
    for (const std::int64_t rows : kRows) {
      SCOPED_TRACE(testing::Message() << layer.name << ", rows " << rows);
      CheckNothingIsDone(layer, rows);
    }
  }
}

// A place in a region of the user's: the server writes it, and has no size of it.
TEST_P(PlacesTest, APlaceInARegionIsNotOverrun) {
  for (const Case& layer : Cases()) {
    for (const std::int64_t rows : kRows) {
      SCOPED_TRACE(testing::Message() << layer.name << ", rows " << rows);
      const Numbers x(layer, rows, layer.in);
      const Numbers dy(layer, rows, layer.out);
      const auto expected = Run(true, At(layer, 1), x.View(), nullptr, 0);
      ASSERT_TRUE(expected.ok()) << expected.status();
      const std::size_t exact = dy.byte_size();
      const std::size_t input = x.byte_size();
      auto buffer = client_.CreateSharedBuffer("s", input + 4 * exact);
      ASSERT_TRUE(buffer.ok()) << buffer.status();
      auto* const data = static_cast<char*>(buffer->data());
      TensorView view = x.View();
      view.data = data;
      char* const place = data + input;
      for (const std::size_t size : {exact / 2, exact - 4, exact, exact + 4, 2 * exact, input}) {
        SCOPED_TRACE(testing::Message() << size << " bytes for " << exact);
        std::memcpy(data, x.values.data(), input);
        std::memset(place, kGuard, 4 * exact);
        const auto result = Run(true, At(layer, 1), view, place, size);
        EXPECT_EQ(result.ok(), size == exact) << result.status();
        if (size == exact) {
          EXPECT_EQ(std::memcmp(place, expected->data(), exact), 0);
        } else {
          EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
        }
        EXPECT_EQ(std::string(place + size, 4 * exact - size),
                  std::string(4 * exact - size, kGuard));
      }
      ASSERT_TRUE(client_.DeleteSharedMemory("s", buffer->region_id()).ok());
    }
  }
}

// What the client knew of a layer may have changed.
TEST_P(PlacesTest, ALayerThatIsReplacedElsewhereIsAskedForAnew) {
  const std::vector<Case> cases = Cases();
  Client other = Connect(Transport::kInline);
  Layer layer;
  layer.layer_id = "changes";
  layer.p = 0.25;
  layer.variant = cases[7].variant;
  ASSERT_TRUE(other.CreateLayer("s", layer).ok());
  Case known{"changes", layer.variant, 8, 4};
  SetWeights(known);
  CheckPlaces(known, kRows[1]);
  layer.variant = Dropout{};
  ASSERT_TRUE(other.UpdateLayer("s", layer).ok());
  CheckPlaces({"changes", layer.variant}, kRows[1]);
  layer.variant = cases[7].variant;
  ASSERT_TRUE(other.UpdateLayer("s", layer).ok());
  SetWeights(known);
  // The place fits what the layer was: only the answer shows that it is another now.
  const Numbers x(known, kRows[1], known.in);
  ExpectRefused(true, At(known, 4), x.View(), x.byte_size());
  CheckPlaces(known, kRows[1]);
}

std::string NameOf(const testing::TestParamInfo<Transport>& info) {
  constexpr const char* kNames[] = {"Inline", "Stream", "SharedMemory", "Auto"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Transports, PlacesTest, testing::ValuesIn(kTransports), NameOf);

}  // namespace
}  // namespace dropout
