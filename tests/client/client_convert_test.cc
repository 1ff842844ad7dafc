#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <utility>

#include "client/convert.h"
#include "client/convert_time.h"

namespace dropout {
namespace {

using google::protobuf::TextFormat;
using google::protobuf::util::MessageDifferencer;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

template <typename Message>
Message Parse(const char* text) {
  Message message;
  EXPECT_TRUE(TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// Whether `message` is what `text` says.
template <typename Message>
void ExpectMessage(const Message& message, const char* text) {
  EXPECT_TRUE(MessageDifferencer::Equals(message, Parse<Message>(text)))
      << message.DebugString() << "instead of\n"
      << text;
}

TEST(ConvertTensorTest, ToProto) {
  const char bytes[] = "12345678";
  v1::Tensor message;
  ToProto(TensorView{DataType::kFloat32, {2, 1}, bytes, 8}, &message);
  ExpectMessage(message, R"(dtype: DATA_TYPE_FLOAT32 shape: 2 shape: 1 data: "12345678")");
}

TEST(ConvertTensorTest, EmptyToProto) {
  v1::Tensor message;
  ToProto(TensorView{DataType::kFloat64, {0}, nullptr, 0}, &message);
  ExpectMessage(message, R"(dtype: DATA_TYPE_FLOAT64 shape: 0 data: "")");
}

TEST(ConvertTensorTest, FromProtoMovesTheBytes) {
  v1::Tensor message;
  message.set_dtype(v1::DATA_TYPE_BFLOAT16);
  message.add_shape(500);
  message.set_data(std::string(1000, 'x'));
  const char* bytes = message.data().data();
  const Tensor tensor = FromProto(std::move(message));
  EXPECT_EQ(tensor.dtype, DataType::kBFloat16);
  EXPECT_THAT(tensor.shape, ElementsAre(500));
  EXPECT_EQ(tensor.data.size(), 1000u);
  EXPECT_EQ(tensor.data.data(), bytes);
}

TEST(ConvertTensorTest, FromProtoWithoutData) {
  const Tensor tensor = FromProto(Parse<v1::Tensor>("dtype: DATA_TYPE_FLOAT16 shape: 0"));
  EXPECT_EQ(tensor.dtype, DataType::kFloat16);
  EXPECT_EQ(tensor.data, "");
}

TEST(ConvertSessionTest, OptionsToProto) {
  SessionOptions options;
  options.session_id = "mine";
  options.seed = 0;
  options.layers.resize(2);
  options.layers[1].layer_id = "b";
  options.mode = Mode::kEval;
  options.ttl = milliseconds(1500);
  v1::CreateSessionRequest message;
  ToProto(options, &message);
  ExpectMessage(message, R"(session_id: "mine" seed: 0 mode: MODE_EVAL
                            layers { dropout {} } layers { layer_id: "b" dropout {} }
                            ttl { seconds: 1 nanos: 500000000 })");
}

TEST(ConvertSessionTest, WhatIsUnsetStaysUnset) {
  v1::CreateSessionRequest message;
  ToProto(SessionOptions{}, &message);
  ExpectMessage(message, "");
}

TEST(ConvertSessionTest, FromProto) {
  const Session session = FromProto(Parse<v1::Session>(
      R"(session_id: "s" seed: 18446744073709551615 mode: MODE_TRAIN
         layers { layer_id: "a" } layers { layer_id: "b" }
         ttl { seconds: 90 } create_time { seconds: 10 nanos: 5 } expire_time { seconds: 100 })"));
  EXPECT_EQ(session.session_id, "s");
  EXPECT_EQ(session.seed, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(session.mode, Mode::kTrain);
  ASSERT_EQ(session.layers.size(), 2u);
  EXPECT_EQ(session.layers[1].layer_id, "b");
  EXPECT_EQ(session.ttl, seconds(90));
  EXPECT_EQ(session.create_time.time_since_epoch(), seconds(10) + nanoseconds(5));
  EXPECT_EQ(session.expire_time.time_since_epoch(), seconds(100));
}

TEST(ConvertSessionTest, PageFromProto) {
  const SessionPage page = FromProto(Parse<v1::ListSessionsResponse>(
      R"(sessions { session_id: "a" } sessions { session_id: "b" } next_page_token: "more"
         corrupt_session_ids: "aa" corrupt_session_ids: "ab")"));
  ASSERT_EQ(page.sessions.size(), 2u);
  EXPECT_EQ(page.sessions[0].session_id, "a");
  EXPECT_EQ(page.sessions[1].session_id, "b");
  EXPECT_EQ(page.next_page_token, "more");
  EXPECT_EQ(page.corrupt_session_ids, (std::vector<std::string>{"aa", "ab"}));
}

TEST(ConvertTimeTest, DurationsKeepSignAndNanoseconds) {
  for (const nanoseconds duration : {nanoseconds(0), nanoseconds(1), nanoseconds(-1),
                                     nanoseconds(-1500000000), nanoseconds(3600000000001)}) {
    google::protobuf::Duration message;
    ToProto(duration, &message);
    EXPECT_EQ(FromProto(message), duration);
  }
}

TEST(ConvertTimeTest, WhatChronoCannotHoldSaturates) {
  google::protobuf::Duration message;
  message.set_seconds(315576000000);
  EXPECT_EQ(FromProto(message), nanoseconds::max());
  message.set_seconds(-315576000000);
  EXPECT_EQ(FromProto(message), nanoseconds::min());
  google::protobuf::Timestamp end;
  end.set_seconds(253402300799);  // 9999-12-31T23:59:59Z
  EXPECT_EQ(FromProto(end), std::chrono::system_clock::time_point::max());
}

template <typename Request>
class ConvertStepTest : public testing::Test {};
using StepRequests = testing::Types<v1::ForwardRequest, v1::BackwardRequest, v1::GetMaskRequest>;
TYPED_TEST_SUITE(ConvertStepTest, StepRequests);

TYPED_TEST(ConvertStepTest, AllFields) {
  TypeParam message;
  ToProto(StepRef{"s", "l", 0, 32, 0}, &message);
  ExpectMessage(message, R"(session_id: "s" layer_id: "l" step: 0 sample_offset: 32
                            sequence_id: 0)");
}

TYPED_TEST(ConvertStepTest, WhatIsUnsetStaysUnset) {
  TypeParam message;
  ToProto(StepRef{"s", "l", std::nullopt, 0, std::nullopt}, &message);
  ExpectMessage(message, R"(session_id: "s" layer_id: "l")");
}

TEST(ConvertMaskTest, Bits) {
  const Mask mask = FromProto(Parse<v1::Mask>(
      R"(shape: 3 shape: 3 scale: 2 sample_scales: 1.5 sample_scales: 2.5 bits: "\x05\x01")"));
  EXPECT_THAT(mask.shape, ElementsAre(3, 3));
  EXPECT_EQ(mask.scale, 2.0);
  EXPECT_THAT(mask.sample_scales, ElementsAre(1.5, 2.5));
  EXPECT_EQ(mask.bits, std::string("\x05\x01", 2));
  EXPECT_FALSE(mask.multipliers.has_value());
  EXPECT_TRUE(mask.Kept(0));
  EXPECT_FALSE(mask.Kept(1));
  EXPECT_TRUE(mask.Kept(2));
  EXPECT_TRUE(mask.Kept(8));
}

TEST(ConvertMaskTest, TheHighestBitIsKeptToo) {
  Mask mask;
  mask.bits = "\x80";
  EXPECT_TRUE(mask.Kept(7));
  EXPECT_FALSE(mask.Kept(6));
}

TEST(ConvertMaskTest, Multipliers) {
  const Mask mask = FromProto(Parse<v1::Mask>(
      R"(shape: 1 multipliers { dtype: DATA_TYPE_FLOAT32 shape: 1 data: "abcd" })"));
  EXPECT_THAT(mask.bits, IsEmpty());
  ASSERT_TRUE(mask.multipliers.has_value());
  EXPECT_EQ(mask.multipliers->data, "abcd");
}

TEST(ConvertStepResultTest, Forward) {
  const ForwardResult result = FromProto(Parse<v1::ForwardResponse>(
      R"(output { data: "out" } mask { bits: "m" } mode: MODE_TRAIN p: 0.5)"));
  EXPECT_EQ(result.output.data, "out");
  ASSERT_TRUE(result.mask.has_value());
  EXPECT_EQ(result.mask->bits, "m");
  EXPECT_EQ(result.mode, Mode::kTrain);
  EXPECT_EQ(result.p, 0.5);
}

TEST(ConvertStepResultTest, ForwardWithoutMask) {
  EXPECT_FALSE(FromProto(Parse<v1::ForwardResponse>("")).mask.has_value());
}

TEST(ConvertStepResultTest, Backward) {
  const BackwardResult result = FromProto(Parse<v1::BackwardResponse>(
      R"(input_gradient { data: "dx" } parameter_gradients { name: "w" value { data: "dw" } })"));
  EXPECT_EQ(result.input_gradient.data, "dx");
  ASSERT_EQ(result.parameter_gradients.size(), 1u);
  EXPECT_EQ(result.parameter_gradients[0].name, "w");
  EXPECT_EQ(result.parameter_gradients[0].value.data, "dw");
}

TEST(ConvertParameterTest, ThereAndBack) {
  v1::Parameter message;
  ToProto(Parameter{"bias", Tensor{DataType::kFloat64, {1}, "12345678"}}, &message);
  ExpectMessage(message,
                R"(name: "bias" value { dtype: DATA_TYPE_FLOAT64 shape: 1 data: "12345678" })");
  const Parameter back = FromProto(std::move(message));
  EXPECT_EQ(back.name, "bias");
  EXPECT_EQ(back.value.data, "12345678");
}

TEST(ConvertSharedMemoryTest, FromProto) {
  const SharedMemory region =
      FromProto(Parse<v1::SharedMemory>(R"(region_id: "r" path: "/p" byte_size: 64)"));
  EXPECT_EQ(region.region_id, "r");
  EXPECT_EQ(region.path, "/p");
  EXPECT_EQ(region.byte_size, 64);
}

TEST(ConvertServerInfoTest, FromProto) {
  const ServerInfo info = FromProto(Parse<v1::ServerInfo>(
      R"(version: "1.2.3" simd_target: "AVX2" simd_targets: "AVX2" simd_targets: "SSE4"
         store: "memory" variants: "dropout" schedules: "linear" unsupported_rpcs: "Exchange"
         generators: GENERATOR_PHILOX data_types: DATA_TYPE_FLOAT32 data_types: DATA_TYPE_FLOAT64
         limits { max_sessions: 1 max_layers_per_session: 2 max_steps_per_layer: 3 max_steps: 4
                  mask_cache_bytes: 5 max_message_bytes: 6 max_bytes_in_flight: 7
                  default_ttl { seconds: 8 } max_ttl { seconds: 9 } })"));
  EXPECT_EQ(info.version, "1.2.3");
  EXPECT_EQ(info.simd_target, "AVX2");
  EXPECT_THAT(info.simd_targets, ElementsAre("AVX2", "SSE4"));
  EXPECT_EQ(info.store, "memory");
  EXPECT_THAT(info.variants, ElementsAre("dropout"));
  EXPECT_THAT(info.schedules, ElementsAre("linear"));
  EXPECT_THAT(info.unsupported_rpcs, ElementsAre("Exchange"));
  EXPECT_THAT(info.generators, ElementsAre(Generator::kPhilox));
  EXPECT_THAT(info.data_types, ElementsAre(DataType::kFloat32, DataType::kFloat64));
  EXPECT_EQ(info.max_sessions, 1);
  EXPECT_EQ(info.max_layers_per_session, 2);
  EXPECT_EQ(info.max_steps_per_layer, 3);
  EXPECT_EQ(info.max_steps, 4);
  EXPECT_EQ(info.mask_cache_bytes, 5);
  EXPECT_EQ(info.max_message_bytes, 6);
  EXPECT_EQ(info.max_bytes_in_flight, 7);
  EXPECT_EQ(info.default_ttl, seconds(8));
  EXPECT_EQ(info.max_ttl, seconds(9));
}

}  // namespace
}  // namespace dropout
