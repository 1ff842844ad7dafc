// Forward and Backward from slices to slices, against the engine's own whole-tensor calls.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "dropout/v1/step.pb.h"
#include "server/base/error.h"
#include "server/service/step_operation.h"
#include "tests/service/support.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;
using namespace testing_support;

class AnswerStepTest : public testing::Test {
 protected:
  absl::StatusOr<grpc::ByteBuffer> Answer(const v1::ForwardRequest& request, std::size_t first,
                                          std::size_t length) {
    return AnswerStep(fixture_.Resources(), StepKind::kForward, /*tenant=*/"",
                      InSlices(request.SerializeAsString(), first, length));
  }

  // The engine's answer, as the generated classes would have it.
  std::string Expected(const v1::ForwardRequest& request) {
    v1::ForwardResponse response;
    v1::Tensor& output = *response.mutable_output();
    output.set_dtype(request.input().dtype());
    *output.mutable_shape() = request.input().shape();
    output.mutable_data()->resize(request.input().data().size());
    const auto outcome = fixture_.engine.Forward(
        {kSession, kLayer, request.step(), request.sample_offset()},
        {DataType::kFloat32,
         *Shape::Make({request.input().shape().data(),
                       static_cast<std::size_t>(request.input().shape_size())}),
         request.input().data().data()},
        output.mutable_data()->data(), false);
    response.set_mode(outcome->mode == Mode::kTrain ? v1::MODE_TRAIN : v1::MODE_EVAL);
    response.set_p(outcome->p);
    return response.SerializeAsString();
  }

  EngineFixture fixture_;
};

TEST_F(AnswerStepTest, TheAnswerIsByteForByteTheGeneratedOne) {
  ASSERT_TRUE(fixture_.status.ok());
  std::uint64_t step = 0;
  for (const std::size_t count : {0u, 1u, 5u, 63u, 64u, 65u, 1000u, 10'000u, 300'000u}) {
    for (const std::size_t length : {1u, 3u, 250u, 16'384u, 65'535u, 10'000'000u}) {
      if (length < 250 && count > 1000) continue;
      const auto request = ForwardRequest(++step, count, Floats(count));
      const auto answer = Answer(request, 1 + length / 3, length);
      ASSERT_TRUE(answer.ok()) << answer.status();
      EXPECT_EQ(Flatten(*answer), Expected(request)) << count << " in slices of " << length;
    }
  }
}

// Large enough for every thread to have a part.
TEST_F(AnswerStepTest, TensorsThatThreadsShareAreTheSame) {
  const std::size_t count = 2'000'003;
  for (const std::size_t length : {8'191u, 65'536u, 10'000'000u}) {
    const auto request = ForwardRequest(length, count, Floats(count));
    const auto answer = Answer(request, 77, length);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_TRUE(Flatten(*answer) == Expected(request)) << "in slices of " << length;
  }
}

TEST_F(AnswerStepTest, EveryShapeHasItsHead) {
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{}, {4}, {2, 3}, {0}, {5, 0, 7}, {1, 1, 1, 1, 1, 1, 1, 200}}) {
    auto request = ForwardRequest(1, 0, "");
    request.mutable_input()->clear_shape();
    std::size_t count = 1;
    for (const std::int64_t size : shape) {
      request.mutable_input()->add_shape(size);
      count *= static_cast<std::size_t>(size);
    }
    request.mutable_input()->set_data(Floats(count));
    const auto answer = Answer(request, 50, 50);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(Flatten(*answer), Expected(request));
  }
}

TEST_F(AnswerStepTest, AMaskThatIsAskedForComesAlong) {
  auto request = ForwardRequest(1, 100'000, Floats(100'000));
  request.set_return_mask(true);
  const auto answer = Answer(request, 100, 16'384);
  ASSERT_TRUE(answer.ok());
  const auto response = Parsed<v1::ForwardResponse>(*answer);
  const auto mask = fixture_.engine.GetMask({kSession, kLayer, 1}, std::nullopt);
  EXPECT_EQ(response.mask().bits(), mask->bits->bytes());
  EXPECT_EQ(response.p(), 0.3);
  EXPECT_EQ(response.mode(), v1::MODE_TRAIN);
}

TEST_F(AnswerStepTest, BackwardAppliesTheSameMask) {
  const auto forward =
      Parsed<v1::ForwardResponse>(*Answer(ForwardRequest(3, 10'000, Floats(10'000)), 100, 1000));
  v1::BackwardRequest request;
  request.set_session_id(kSession);
  request.set_layer_id(kLayer);
  request.set_step(3);
  *request.mutable_output_gradient() = ForwardRequest(3, 10'000, Floats(10'000)).input();
  const auto answer = AnswerStep(fixture_.Resources(), StepKind::kBackward, /*tenant=*/"",
                                 InSlices(request.SerializeAsString(), 7, 999));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(Parsed<v1::BackwardResponse>(*answer).input_gradient().data(), forward.output().data());
}

TEST_F(AnswerStepTest, ErrorsAreThoseOfTheContract) {
  const auto reason = [&](const v1::ForwardRequest& request) {
    return ReasonOf(Answer(request, 10, 10).status());
  };
  auto request = ForwardRequest(1, 4, Floats(3));
  EXPECT_EQ(reason(request), Reason::kInvalidTensor);
  request = ForwardRequest(1, 4, Floats(4));
  request.mutable_input()->set_dtype(static_cast<v1::DataType>(77));
  EXPECT_EQ(reason(request), Reason::kInvalidTensor);
  request = ForwardRequest(1, 4, Floats(4));
  for (int i = 0; i < 8; ++i) request.mutable_input()->add_shape(1);
  EXPECT_EQ(reason(request), Reason::kInvalidTensor);
  request = ForwardRequest(1, 4, Floats(4));
  request.set_session_id("none");
  EXPECT_EQ(reason(request), Reason::kSessionNotFound);
  request = ForwardRequest(1, 4, Floats(4));
  request.clear_step();
  EXPECT_EQ(reason(request), Reason::kStepRequired);
  request.clear_input();
  EXPECT_EQ(reason(request), Reason::kInvalidTensor);
  request = ForwardRequest(1, 4, Floats(4));
  request.mutable_output()->set_region_id("none");
  EXPECT_EQ(reason(request), Reason::kRpcUnsupported);
  const auto answer =
      AnswerStep(fixture_.Resources(), StepKind::kForward, /*tenant=*/"", InSlices("\xFF", 1, 1));
  EXPECT_EQ(ReasonOf(answer.status()), Reason::kInvalidRequest);
}

}  // namespace
}  // namespace dropoutd
