// What the messages of an Exchange mean, without a stream.
#include "server/service/exchange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dropout/v1/transport.pb.h"
#include "server/base/error.h"
#include "tests/service/support.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;
using namespace testing_support;

// Admits everybody, charges pieces while there is room, and counts.
class CountingGate final : public CallGate {
 public:
  absl::Status Enter(GatedCall& call) override {
    ++entered;
    call.admitted = true;
    call.charged_bytes = call.request_bytes;
    charged += call.charged_bytes;
    return absl::OkStatus();
  }
  void Answer(const GatedCall& call, const absl::Status& outcome) override {
    ++answered;
    last_outcome = outcome;
    last_method = call.method;
    last_request_bytes = call.request_bytes;
  }
  void Leave(const GatedCall& call) override {
    ++left;
    charged -= call.charged_bytes;
  }
  absl::Status Charge(const GatedCall&, std::size_t bytes) override {
    if (charged + bytes > room) return MakeError(dropoutd::Reason::kQuotaBytesInFlight, "full");
    charged += bytes;
    return absl::OkStatus();
  }
  void Refund(const GatedCall&, std::size_t bytes) override { charged -= bytes; }

  int entered = 0;
  int answered = 0;
  int left = 0;
  std::size_t charged = 0;
  std::size_t room = std::size_t{1} << 30;
  absl::Status last_outcome;
  std::string last_method;
  std::size_t last_request_bytes = 0;
};

class ExchangeTest : public testing::Test {
 protected:
  std::vector<v1::ExchangeResponse> Read(const ExchangeOperations::Answers& answers) {
    std::vector<v1::ExchangeResponse> messages;
    for (const auto& each : answers) {
      messages.push_back(Parsed<v1::ExchangeResponse>(each.message));
    }
    return messages;
  }

  // The answer's messages so far to `request`.
  std::vector<v1::ExchangeResponse> Take(const v1::ExchangeRequest& request) {
    ExchangeOperations::Answers answers;
    EXPECT_TRUE(operations_->Take(InSlices(request.SerializeAsString(), 30, 777), answers).ok());
    return Read(answers);
  }

  std::vector<v1::ExchangeResponse> End() {
    ExchangeOperations::Answers answers;
    operations_->End(answers);
    return Read(answers);
  }

  std::vector<v1::ExchangeResponse> Begin(const v1::ForwardRequest& forward, bool has_more) {
    v1::ExchangeRequest request;
    *request.mutable_forward() = forward;
    request.set_has_more(has_more);
    return Take(request);
  }

  std::vector<v1::ExchangeResponse> Data(const std::string& data, bool has_more) {
    v1::ExchangeRequest request;
    request.set_data(data);
    request.set_has_more(has_more);
    return Take(request);
  }

  // Sends the tensor in pieces of `length`; returns all of the answer's messages.
  std::vector<v1::ExchangeResponse> InPieces(v1::ForwardRequest request, std::size_t length) {
    const std::string data = request.input().data();
    request.mutable_input()->set_data(data.substr(0, length));
    auto messages = Begin(request, data.size() > length);
    for (std::size_t at = length; at < data.size(); at += length) {
      for (auto& message : Data(data.substr(at, length), at + length < data.size())) {
        messages.push_back(std::move(message));
      }
    }
    return messages;
  }

  std::string Reason(const std::vector<v1::ExchangeResponse>& messages) {
    if (messages.empty() || !messages.back().has_error()) return "";
    EXPECT_FALSE(messages.back().has_more());
    return messages.back().error().reason();
  }

  EngineFixture fixture_;
  CountingGate gate_;
  const GatedCall stream_;
  std::optional<ExchangeOperations> operations_{std::in_place, fixture_.Resources(), gate_,
                                                stream_};
};

// An answer put together, as docs/api.md says that clients do it.
struct Whole {
  v1::ForwardResponse response;
  std::string data;
};

Whole Join(const std::vector<v1::ExchangeResponse>& messages) {
  Whole whole;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(messages[i].has_more(), i + 1 < messages.size()) << "message " << i;
    EXPECT_FALSE(messages[i].has_error());
    if (messages[i].has_forward()) {
      whole.data += messages[i].forward().output().data();
      whole.response.MergeFrom(messages[i].forward());
    }
    whole.data += messages[i].data();
  }
  return whole;
}

TEST_F(ExchangeTest, AWholeTensorIsAnsweredInOneMessage) {
  const auto request = ForwardRequest(1, 1000, Floats(1000));
  const auto messages = Begin(request, false);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_FALSE(messages[0].has_more());
  const auto unary = AnswerStep(fixture_.Resources(), StepKind::kForward, /*tenant=*/"",
                                InSlices(request.SerializeAsString(), 100, 100));
  EXPECT_EQ(messages[0].forward().SerializeAsString(), Flatten(*unary));
  EXPECT_TRUE(operations_->idle());
}

TEST_F(ExchangeTest, ATensorInPiecesIsTheWholeTensor) {
  for (const std::size_t count : {1u, 100u, 4096u, 50'000u}) {
    const auto request = ForwardRequest(1, count, Floats(count));
    const std::string expected = Join(Begin(request, false)).data;
    for (const std::size_t length : {1u, 5u, 256u, 1000u, 65'536u, 100'001u}) {
      if (length < 256 && count > 4096) continue;
      const Whole whole = Join(InPieces(request, length));
      EXPECT_EQ(whole.data, expected) << count << " in pieces of " << length;
      EXPECT_EQ(whole.response.mode(), v1::MODE_TRAIN);
      EXPECT_EQ(whole.response.p(), 0.3);
      EXPECT_EQ(whole.response.output().shape(0), static_cast<std::int64_t>(count));
      EXPECT_TRUE(operations_->idle());
    }
  }
}

TEST_F(ExchangeTest, PiecesAreAnsweredAsTheyCome) {
  auto request = ForwardRequest(1, 100'000, Floats(1000));
  const auto first = Begin(request, true);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].forward().output().data().size(), 1000u / 64 * 64 * 4);
  EXPECT_EQ(first[0].forward().mode(), v1::MODE_TRAIN);
  EXPECT_EQ(Data(Floats(50'000), true).size(), 1u);
  EXPECT_EQ(Data("", true).size(), 0u);
  EXPECT_FALSE(operations_->idle());
}

TEST_F(ExchangeTest, AMaskComesAtTheEnd) {
  auto request = ForwardRequest(1, 10'000, Floats(10'000));
  request.set_return_mask(true);
  const Whole whole = Join(InPieces(request, 4000));
  EXPECT_EQ(whole.data.size(), 40'000u);
  EXPECT_EQ(whole.response.mask().bits(),
            fixture_.engine.GetMask({kSession, kLayer, 1}, std::nullopt)->bits->bytes());
}

TEST_F(ExchangeTest, TheEndMayBeAMessageWithoutBytes) {
  const auto request = ForwardRequest(1, 100, Floats(100));
  auto messages = Begin(request, true);
  for (auto& message : Data("", false)) messages.push_back(std::move(message));
  EXPECT_EQ(Join(messages).data.size(), 400u);
}

TEST_F(ExchangeTest, AnErrorEndsItsOperationAndNotTheStream) {
  auto request = ForwardRequest(1, 1000, Floats(100));
  request.set_session_id("none");
  EXPECT_EQ(Reason(Begin(request, true)), "SESSION_NOT_FOUND");
  // The pieces that were under way already.
  EXPECT_EQ(Data(Floats(100), true).size(), 0u);
  EXPECT_EQ(Data(Floats(800), false).size(), 0u);
  EXPECT_EQ(Join(Begin(ForwardRequest(1, 10, Floats(10)), false)).data.size(), 40u);
}

TEST_F(ExchangeTest, AClientMayGiveUpAfterAnError) {
  auto request = ForwardRequest(1, 1000, Floats(100));
  request.set_session_id("none");
  EXPECT_EQ(Reason(Begin(request, true)), "SESSION_NOT_FOUND");
  EXPECT_EQ(Join(Begin(ForwardRequest(1, 10, Floats(10)), false)).data.size(), 40u);
}

TEST_F(ExchangeTest, TooManyAndTooFewBytesAreErrors) {
  EXPECT_EQ(Reason(InPieces(ForwardRequest(1, 90, Floats(100)), 150)), "INVALID_TENSOR");
  EXPECT_EQ(Reason(InPieces(ForwardRequest(1, 110, Floats(100)), 150)), "INVALID_TENSOR");
  EXPECT_EQ(Reason(Begin(ForwardRequest(1, 110, Floats(100)), false)), "INVALID_TENSOR");
  EXPECT_TRUE(operations_->idle());
  // A call that fails changes nothing.
  EXPECT_FALSE(fixture_.engine.GetMask({kSession, kLayer, 1}, std::nullopt).ok());
}

TEST_F(ExchangeTest, DataWithoutAnOperationIsAnError) {
  EXPECT_EQ(Reason(Data("x", false)), "INVALID_REQUEST");
  EXPECT_EQ(Reason(Data("x", true)), "INVALID_REQUEST");
  EXPECT_EQ(Data("x", false).size(), 0u);
  EXPECT_EQ(Reason(Take(v1::ExchangeRequest())), "INVALID_REQUEST");
}

TEST_F(ExchangeTest, AnOperationThatIsCutOffIsAnsweredBeforeTheNext) {
  Begin(ForwardRequest(1, 1000, Floats(100)), true);
  const auto messages = Begin(ForwardRequest(2, 10, Floats(10)), false);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].error().reason(), "INVALID_REQUEST");
  EXPECT_EQ(messages[1].forward().output().data().size(), 40u);
}

TEST_F(ExchangeTest, AnAnnouncedSizeCostsNothing) {
  // 2^60 bytes of which 400 come.
  auto request = ForwardRequest(1, std::size_t{1} << 58, Floats(100));
  const auto messages = Begin(request, true);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].forward().output().data().size(), 256u);
  EXPECT_EQ(Reason(Data("", false)), "INVALID_TENSOR");
}

TEST_F(ExchangeTest, WhatDoesNotParseEndsTheStream) {
  ExchangeOperations::Answers answers;
  EXPECT_EQ(ReasonOf(operations_->Take(InSlices("\xFF", 1, 1), answers)),
            dropoutd::Reason::kInvalidRequest);
}

TEST_F(ExchangeTest, AnOperationEntersTheGateOnceAndIsAnsweredThereOnce) {
  InPieces(ForwardRequest(1, 1000, Floats(1000)), 100);
  EXPECT_EQ(gate_.entered, 1);
  EXPECT_EQ(gate_.answered, 1);
  EXPECT_EQ(gate_.left, 1);
  EXPECT_EQ(gate_.last_method, "Exchange.Forward");
  EXPECT_GT(gate_.last_request_bytes, 4000u);
  EXPECT_EQ(gate_.charged, 0u);
}

TEST_F(ExchangeTest, WhereThereIsNoRoomForAPieceItsOperationFailsOnce) {
  Begin(ForwardRequest(1, 1000, Floats(100)), true);
  gate_.room = 0;
  EXPECT_EQ(Reason(Data(Floats(100), true)), "QUOTA_BYTES_IN_FLIGHT");
  EXPECT_EQ(Data(Floats(100), true).size(), 0u);
  gate_.room = std::size_t{1} << 30;
  EXPECT_EQ(Data(Floats(700), false).size(), 0u);
  EXPECT_EQ(gate_.entered, 1);
  EXPECT_EQ(gate_.answered, 1);
  EXPECT_EQ(gate_.charged, 0u);
}

TEST_F(ExchangeTest, APieceIsChargedUntilItsAnswerIsSent) {
  v1::ExchangeRequest request;
  *request.mutable_forward() = ForwardRequest(1, 1000, Floats(500));
  request.set_has_more(true);
  ExchangeOperations::Answers answers;
  ASSERT_TRUE(operations_->Take(InSlices(request.SerializeAsString(), 30, 777), answers).ok());
  EXPECT_GE(gate_.charged, 2000u + 448 * sizeof(float));  // The piece, and what is answered.
  answers.clear();
  EXPECT_EQ(gate_.charged, 1000u / 8);  // The bits that are kept until the operation ends.
  operations_.reset();
  EXPECT_EQ(gate_.charged, 0u);
}

TEST_F(ExchangeTest, TheClientsEndFailsWhatWaitsForPieces) {
  EXPECT_EQ(End().size(), 0u);
  Begin(ForwardRequest(1, 1000, Floats(100)), true);
  EXPECT_EQ(Reason(End()), "INVALID_REQUEST");
  EXPECT_EQ(End().size(), 0u);
  EXPECT_EQ(gate_.answered, 1);
  EXPECT_FALSE(fixture_.engine.GetMask({kSession, kLayer, 1}, std::nullopt).ok());
}

TEST_F(ExchangeTest, AStreamThatBreaksLeavesNothingInTheGate) {
  Begin(ForwardRequest(1, 1000, Floats(100)), true);
  operations_.reset();
  EXPECT_EQ(gate_.answered, 1);
  EXPECT_EQ(gate_.left, 1);
  EXPECT_EQ(gate_.charged, 0u);
  EXPECT_EQ(gate_.last_outcome.code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace dropoutd
