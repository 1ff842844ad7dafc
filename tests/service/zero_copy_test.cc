// What a Forward allocates and copies of its payload: one buffer, and nothing beyond the pass
// of the mask.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "server/service/step_operation.h"
#include "tests/service/counting_memory.h"
#include "tests/service/support.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;
using namespace testing_support;

constexpr std::size_t kCount = std::size_t{4} << 20;
constexpr std::size_t kPayload = kCount * 4;
constexpr std::size_t kMaskBytes = kCount / 8;

// The counters count.
TEST(ZeroCopyTest, ACopyAndAnAllocationAreSeen) {
  std::string text;
  const std::string source(kPayload, 'x');
  const MemoryCounts counts = Count([&] { text = source; });
  EXPECT_EQ(counts.large_allocations, 1u);
  EXPECT_GE(counts.allocated_bytes, kPayload);
  EXPECT_GE(counts.copied_bytes, kPayload);
}

// As gRPC delivers 16 MiB: frames of 16 KiB, cut by the reads of the socket.
grpc::ByteBuffer ReceivedRequest(std::uint64_t step) {
  return InSlices(ForwardRequest(step, kCount, Floats(kCount)).SerializeAsString(), 8000, 16'000);
}

TEST(ZeroCopyTest, AForwardTakesOneBufferAndCopiesNothing) {
  EngineFixture fixture;
  const grpc::ByteBuffer request = ReceivedRequest(1);
  grpc::ByteBuffer response;
  const MemoryCounts counts = Count([&] {
    response = *AnswerStep(fixture.Resources(), StepKind::kForward, /*tenant=*/"", request);
  });
  EXPECT_EQ(Parsed<v1::ForwardResponse>(response).output().data().size(), kPayload);
  // The output, and the bits that the step's mask is remembered by.
  EXPECT_EQ(counts.large_allocations, 2u);
  EXPECT_LE(counts.allocated_bytes, kPayload + kPayload / 8 + kMaskBytes + kLarge);
  // Blocks whose bytes came in two slices: 256 bytes in 16,000 at most.
  EXPECT_LE(counts.copied_bytes, kPayload / 50);
}

TEST(ZeroCopyTest, ALaterForwardTakesItsBufferFromThePool) {
  EngineFixture fixture;
  const grpc::ByteBuffer request = ReceivedRequest(1);
  {
    const auto first = AnswerStep(fixture.Resources(), StepKind::kForward, /*tenant=*/"", request);
  }
  const MemoryCounts counts = Count([&] {
    ASSERT_TRUE(AnswerStep(fixture.Resources(), StepKind::kForward, /*tenant=*/"", request).ok());
  });
  EXPECT_LE(counts.allocated_bytes, kMaskBytes + kLarge);
  EXPECT_LE(counts.copied_bytes, kPayload / 50);
}

TEST(ZeroCopyTest, ABackwardCopiesNothingEither) {
  EngineFixture fixture;
  ASSERT_TRUE(
      AnswerStep(fixture.Resources(), StepKind::kForward, /*tenant=*/"", ReceivedRequest(1)).ok());
  v1::BackwardRequest request;
  request.set_session_id(kSession);
  request.set_layer_id(kLayer);
  request.set_step(1);
  *request.mutable_output_gradient() = ForwardRequest(1, kCount, Floats(kCount)).input();
  const grpc::ByteBuffer bytes = InSlices(request.SerializeAsString(), 8000, 16'000);
  const MemoryCounts counts = Count([&] {
    ASSERT_TRUE(AnswerStep(fixture.Resources(), StepKind::kBackward, /*tenant=*/"", bytes).ok());
  });
  EXPECT_LE(counts.allocated_bytes, kLarge);
  EXPECT_LE(counts.copied_bytes, kPayload / 50);
}

}  // namespace
}  // namespace dropoutd
