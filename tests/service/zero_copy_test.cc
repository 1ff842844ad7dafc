// What a Forward allocates and copies of its payload: at most one buffer, and nothing beyond the
// pass of the mask.
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
constexpr std::size_t kFrame = 16'000;

// As a client sends it who wants to be a burden.
constexpr std::size_t kCrumb = 1000;

// Allocated to refer to that many slices, in all; a small part of their bytes.
constexpr std::size_t kFrameSlices = kPayload / 20;
constexpr std::size_t kCrumbSlices = kPayload / 4;

grpc::ByteBuffer ReceivedRequest(std::uint64_t step, std::size_t slice = kFrame) {
  return InSlices(ForwardRequest(step, kCount, Floats(kCount)).SerializeAsString(), 800, slice);
}

TEST(ZeroCopyTest, AForwardTakesNoBufferAndCopiesNothing) {
  EngineFixture fixture;
  const grpc::ByteBuffer request = ReceivedRequest(1);
  grpc::ByteBuffer response;
  const MemoryCounts counts = Count([&] {
    response = *AnswerStep(fixture.Resources(), StepKind::kForward, /*tenant=*/"", request);
  });
  EXPECT_EQ(Parsed<v1::ForwardResponse>(response).output().data().size(), kPayload);
  // The bits that the step's mask is remembered by.
  EXPECT_EQ(counts.large_allocations, 1u);
  EXPECT_LE(counts.allocated_bytes, kMaskBytes + kFrameSlices);
  // Blocks whose bytes came in two slices: 256 bytes in 16,000 at most, there and back.
  EXPECT_LE(counts.copied_bytes, kPayload / 25);
}

TEST(ZeroCopyTest, AForwardOfCrumbsTakesOneBuffer) {
  EngineFixture fixture;
  const grpc::ByteBuffer request = ReceivedRequest(1, kCrumb);
  grpc::ByteBuffer response;
  const MemoryCounts counts = Count([&] {
    response = *AnswerStep(fixture.Resources(), StepKind::kForward, /*tenant=*/"", request);
  });
  EXPECT_TRUE(Flatten(response) == Flatten(*AnswerStep(fixture.Resources(), StepKind::kForward,
                                                       /*tenant=*/"", ReceivedRequest(1))));
  EXPECT_LE(counts.allocated_bytes, kPayload + kPayload / 8 + kMaskBytes + kCrumbSlices);
  EXPECT_LE(counts.copied_bytes, kPayload / 3);
}

TEST(ZeroCopyTest, ALaterForwardTakesItsBufferFromThePool) {
  EngineFixture fixture;
  const grpc::ByteBuffer request = ReceivedRequest(1, kCrumb);
  {
    const auto first = AnswerStep(fixture.Resources(), StepKind::kForward, /*tenant=*/"", request);
  }
  const MemoryCounts counts = Count([&] {
    ASSERT_TRUE(AnswerStep(fixture.Resources(), StepKind::kForward, /*tenant=*/"", request).ok());
  });
  EXPECT_LE(counts.allocated_bytes, kMaskBytes + kCrumbSlices);
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
  const grpc::ByteBuffer bytes = InSlices(request.SerializeAsString(), 8000, kFrame);
  const MemoryCounts counts = Count([&] {
    ASSERT_TRUE(AnswerStep(fixture.Resources(), StepKind::kBackward, /*tenant=*/"", bytes).ok());
  });
  EXPECT_LE(counts.allocated_bytes, kFrameSlices);
  EXPECT_LE(counts.copied_bytes, kPayload / 25);
}

}  // namespace
}  // namespace dropoutd
