// The client's ways to move a tensor, through a real dropoutd: all give the same.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "dropout/client.h"
#include "tests/client/server_process.h"

namespace dropout {
namespace {

constexpr Transport kTransports[] = {Transport::kInline, Transport::kStream,
                                     Transport::kSharedMemory, Transport::kAuto};
constexpr std::size_t kPieceBytes = 5000;  // No multiple of an element.

std::vector<float> Numbers(std::size_t count) {
  std::vector<float> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = static_cast<float>(i % 1000) - 500.0f;
  return numbers;
}

TensorView ViewOf(const std::vector<float>& numbers) {
  return {DataType::kFloat32,
          {static_cast<std::int64_t>(numbers.size())},
          numbers.data(),
          numbers.size() * sizeof(float)};
}

Client Connect(const ServerProcess& server, Transport transport) {
  ClientOptions options;
  options.transport = transport;
  options.stream_piece_bytes = kPieceBytes;
  return Client::Connect(server.address(), options).value();
}

class TransportsTest : public testing::Test {
 protected:
  explicit TransportsTest(std::vector<std::string> flags = {"--shared_memory"})
      : server_(DROPOUTD_PATH, std::move(flags)) {
    SessionOptions options;
    options.session_id = "s";
    options.seed = 7;
    options.layers.resize(1);
    options.layers[0].layer_id = "drop";
    options.layers[0].p = 0.25;
    EXPECT_TRUE(Connect(server_, Transport::kInline).CreateSession(options).ok());
  }

  static StepRef Step(std::uint64_t step) {
    StepRef ref;
    ref.session_id = "s";
    ref.layer_id = "drop";
    ref.step = step;
    return ref;
  }

  ServerProcess server_;
};

TEST_F(TransportsTest, AllGiveTheSame) {
  for (const std::size_t count : {0u, 1u, 64u, 10'001u, 600'000u}) {
    const std::vector<float> x = Numbers(count);
    Client plain = Connect(server_, Transport::kInline);
    const auto forward = plain.Forward(Step(count), ViewOf(x), /*return_mask=*/true);
    ASSERT_TRUE(forward.ok()) << forward.status();
    for (const Transport transport : kTransports) {
      SCOPED_TRACE(testing::Message() << count << " by " << static_cast<int>(transport));
      Client client = Connect(server_, transport);
      const auto y = client.Forward(Step(count), ViewOf(x), /*return_mask=*/true);
      ASSERT_TRUE(y.ok()) << y.status();
      EXPECT_TRUE(y->output.data == forward->output.data);
      EXPECT_EQ(y->output.shape, forward->output.shape);
      EXPECT_TRUE(y->mask->bits == forward->mask->bits);
      EXPECT_EQ(y->p, 0.25);
      const auto dx = client.Backward(Step(count), ViewOf(x));
      ASSERT_TRUE(dx.ok()) << dx.status();
      EXPECT_TRUE(dx->input_gradient.data == forward->output.data);
    }
  }
}

TEST_F(TransportsTest, ASharedBufferIsWorkedOnInPlaceAndApart) {
  const std::vector<float> x = Numbers(100'000);
  const std::size_t size = x.size() * sizeof(float);
  const auto expected =
      Connect(server_, Transport::kInline).Forward(Step(1), ViewOf(x)).value().output.data;
  Client client = Connect(server_, Transport::kSharedMemory);
  auto buffer = client.CreateSharedBuffer("s", 2 * size);
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  auto* const place = static_cast<char*>(buffer->data());
  TensorView view = ViewOf(x);
  view.data = place;
  for (char* const output : {place + size, place}) {
    std::memcpy(place, x.data(), size);
    const auto y = client.ForwardInto(Step(1), view, output, size);
    ASSERT_TRUE(y.ok()) << y.status();
    EXPECT_EQ(std::memcmp(output, expected.data(), size), 0);
  }
}

TEST_F(TransportsTest, AnErrorHasItsReason) {
  const std::vector<float> x = Numbers(10'000);
  for (const Transport transport : kTransports) {
    StepRef step = Step(1);
    step.layer_id = "none";
    const auto y = Connect(server_, transport).Forward(step, ViewOf(x));
    EXPECT_EQ(ErrorReason(y.status()), "LAYER_NOT_FOUND") << static_cast<int>(transport);
  }
}

class PlainServerTest : public TransportsTest {
 protected:
  PlainServerTest() : TransportsTest({}) {}
};

TEST_F(PlainServerTest, AutoDoesWithoutSharedMemory) {
  const std::vector<float> x = Numbers(2'000'000);
  const auto expected = Connect(server_, Transport::kInline).Forward(Step(1), ViewOf(x));
  const auto y = Connect(server_, Transport::kAuto).Forward(Step(1), ViewOf(x));
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_TRUE(y->output.data == expected.value().output.data);
}

}  // namespace
}  // namespace dropout
