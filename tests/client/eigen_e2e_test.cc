// Eigen through the client to a real dropoutd and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "dropout/client.h"
#include "dropout/eigen.h"
#include "tests/client/server_process.h"

namespace dropout {
namespace {

using testing::ElementsAre;

constexpr double kP = 0.25;
constexpr double kScale = 1.0 / (1.0 - kP);

// One session, seed 7, with a layer "drop" of p = kP, on a server of its own.
class EigenE2eTest : public testing::Test {
 protected:
  EigenE2eTest() : server_(DROPOUTD_PATH), client_(Client::Connect(server_.address()).value()) {
    SessionOptions options;
    options.seed = 7;
    options.layers.resize(1);
    options.layers[0].layer_id = "drop";
    options.layers[0].p = kP;
    session_id_ = client_.CreateSession(options).value().session_id;
  }

  StepRef Step(std::uint64_t step) const {
    StepRef ref;
    ref.session_id = session_id_;
    ref.layer_id = "drop";
    ref.step = step;
    return ref;
  }

  ServerProcess server_;  // Before client_, so that it stops after the client has gone.
  Client client_;
  std::string session_id_;
};

// What `mask` makes of `input`, in the type's own arithmetic.
template <typename Scalar>
RowMajorMatrix<Scalar> Masked(const RowMajorMatrix<Scalar>& input, const Mask& mask) {
  RowMajorMatrix<Scalar> output(input.rows(), input.cols());
  for (Eigen::Index i = 0; i < input.size(); ++i) {
    output.data()[i] = mask.Kept(i) ? input.data()[i] * static_cast<Scalar>(mask.scale) : Scalar(0);
  }
  return output;
}

TEST_F(EigenE2eTest, RowMajorFloatMatrixForwardAndBackward) {
  std::srand(1);
  const RowMajorMatrix<float> x = RowMajorMatrix<float>::Random(32, 64);
  const auto forward = client_.Forward(Step(0), ViewOf(x), /*return_mask=*/true);
  ASSERT_TRUE(forward.ok()) << forward.status();
  EXPECT_EQ(forward->mode, Mode::kTrain);
  EXPECT_EQ(forward->p, kP);
  EXPECT_THAT(forward->output.shape, ElementsAre(32, 64));
  ASSERT_TRUE(forward->mask.has_value());
  EXPECT_THAT(forward->mask->shape, ElementsAre(32, 64));
  EXPECT_EQ(forward->mask->scale, kScale);

  const auto y = MapOf<float>(forward->output);
  EXPECT_EQ(y, Masked(x, *forward->mask));
  // 2048 draws: five standard deviations around a quarter.
  const auto dropped = (y.array() == 0.0f).count();
  EXPECT_GT(dropped, 414);
  EXPECT_LT(dropped, 610);

  const RowMajorMatrix<float> dy = RowMajorMatrix<float>::Random(32, 64);
  const auto backward = client_.Backward(Step(0), ViewOf(dy));
  ASSERT_TRUE(backward.ok()) << backward.status();
  EXPECT_EQ(MapOf<float>(backward->input_gradient), Masked(dy, *forward->mask));
}

TEST_F(EigenE2eTest, DoubleVectorForwardAndBackward) {
  const Eigen::VectorXd x = Eigen::VectorXd::LinSpaced(1000, 1.0, 1000.0);
  const auto forward = client_.Forward(Step(3), ViewOf(x));
  ASSERT_TRUE(forward.ok()) << forward.status();
  EXPECT_FALSE(forward->mask.has_value());
  EXPECT_THAT(forward->output.shape, ElementsAre(1000));

  const auto mask = client_.GetMask(Step(3));
  ASSERT_TRUE(mask.ok()) << mask.status();
  EXPECT_EQ(MapOf<double>(forward->output), Masked<double>(x, *mask));

  const Eigen::VectorXd dy = Eigen::VectorXd::Constant(1000, -1.0);
  const auto backward = client_.Backward(Step(3), ViewOf(dy), {.release = true});
  ASSERT_TRUE(backward.ok()) << backward.status();
  EXPECT_EQ(MapOf<double>(backward->input_gradient), Masked<double>(dy, *mask));

  const auto again = client_.Backward(Step(3), ViewOf(dy));
  EXPECT_TRUE(absl::IsNotFound(again.status())) << again.status();
  EXPECT_EQ(ErrorReason(again.status()), "STEP_NOT_FOUND");
}

TEST_F(EigenE2eTest, RowsOfABatchSentAloneGetTheSameMask) {
  const RowMajorMatrix<float> x = RowMajorMatrix<float>::Ones(8, 100);
  const auto whole = client_.Forward(Step(1), ViewOf(x));
  ASSERT_TRUE(whole.ok()) << whole.status();
  StepRef lower = Step(1);
  lower.sample_offset = 5;
  const auto part = client_.Forward(lower, ViewOf(x.bottomRows(3)));
  ASSERT_TRUE(part.ok()) << part.status();
  EXPECT_EQ(MapOf<float>(part->output), MapOf<float>(whole->output).bottomRows(3));
}

TEST_F(EigenE2eTest, EvalPassesTheInputThrough) {
  const auto set = client_.SetMode(session_id_, Mode::kEval);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(*set, ElementsAre("drop"));
  std::srand(2);
  const Eigen::VectorXd x = Eigen::VectorXd::Random(50);
  StepRef step = Step(0);
  step.step.reset();
  const auto forward = client_.Forward(step, ViewOf(x));
  ASSERT_TRUE(forward.ok()) << forward.status();
  EXPECT_EQ(forward->mode, Mode::kEval);
  EXPECT_EQ(MapOf<double>(forward->output), x);
}

TEST_F(EigenE2eTest, ErrorsCarryTheirReason) {
  const Eigen::VectorXf x = Eigen::VectorXf::Ones(4);
  StepRef no_step = Step(0);
  no_step.step.reset();
  EXPECT_EQ(ErrorReason(client_.Forward(no_step, ViewOf(x)).status()), "STEP_REQUIRED");
  StepRef no_layer = Step(0);
  no_layer.layer_id = "other";
  EXPECT_EQ(ErrorReason(client_.Forward(no_layer, ViewOf(x)).status()), "LAYER_NOT_FOUND");
  EXPECT_EQ(ErrorReason(client_.GetSession("other").status()), "SESSION_NOT_FOUND");
}

TEST_F(EigenE2eTest, SessionsAndLayersComeAndGo) {
  Layer layer;
  layer.layer_id = "second";
  layer.p = 0.5;
  const auto created = client_.CreateLayer(session_id_, layer);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->revision, 1u);
  layer.p = 0.75;
  const auto updated = client_.UpdateLayer(session_id_, layer);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->revision, 2u);

  auto session = client_.GetSession(session_id_);
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(session->seed, 7u);
  ASSERT_EQ(session->layers.size(), 2u);
  EXPECT_EQ(session->layers[1].p, 0.75);
  EXPECT_GT(session->expire_time, session->create_time);

  EXPECT_TRUE(client_.DeleteLayer(session_id_, "second").ok());
  EXPECT_TRUE(client_.DeleteSession(session_id_).ok());
  const auto page = client_.ListSessions();
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_TRUE(page->sessions.empty());
}

TEST_F(EigenE2eTest, ServerInfoNamesTheSupportedVariant) {
  const auto info = client_.GetServerInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->variants, testing::Contains("dropout"));
  EXPECT_GT(info->max_message_bytes, 0);
}

}  // namespace
}  // namespace dropout
