#include "server/service/step_message.h"

#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "dropout/v1/step.pb.h"
#include "tests/service/random_message.h"
#include "tests/service/step_message_check.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;

std::string Hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<std::uint8_t>(c) >> 4];
    text += "0123456789abcdef"[static_cast<std::uint8_t>(c) & 15];
  }
  return text;
}

// Runs `count` random messages of a type; checks that a good part of them parses and a
// good part does not, so that both sides of the parsers are tried.
void CompareOnRandomMessages(MessageType type, int count) {
  google::protobuf::SetLogHandler(nullptr);  // It has a line for every bad string.
  RandomMessages messages(static_cast<std::uint64_t>(type) + 1);
  int good = 0;
  for (int i = 0; i < count; ++i) {
    const std::string bytes = messages.Next(type);
    bool parsed = false;
    const std::string difference = CompareParsers(type, bytes, messages.Cut(bytes), parsed);
    ASSERT_EQ(difference, "") << "message " << i << ": " << Hex(bytes);
    if (parsed) ++good;
  }
  EXPECT_GT(good, count / 5);
  EXPECT_LT(good, count * 4 / 5);
}

// 10^6 in all.
TEST(StepMessageTest, ForwardIsParsedAsTheGeneratedParserDoes) {
  CompareOnRandomMessages(MessageType::kForward, 400'000);
}

TEST(StepMessageTest, BackwardIsParsedAsTheGeneratedParserDoes) {
  CompareOnRandomMessages(MessageType::kBackward, 300'000);
}

TEST(StepMessageTest, ExchangeIsParsedAsTheGeneratedParserDoes) {
  CompareOnRandomMessages(MessageType::kExchange, 300'000);
}

TEST(StepMessageTest, DataStaysWhereItIs) {
  v1::ForwardRequest request;
  request.mutable_input()->set_data(std::string(1000, 'x'));
  const std::string bytes = request.SerializeAsString();
  const std::string_view view = bytes;
  const std::string_view fragments[] = {view.substr(0, 500), view.substr(500)};
  StepMessage message;
  ASSERT_TRUE(ParseStep(StepKind::kForward, fragments, message));
  std::size_t seen = 0;
  std::get<ByteRange>(message.tensor->storage).ForEach([&](std::string_view piece) {
    EXPECT_GE(piece.data(), bytes.data());
    EXPECT_LE(piece.data() + piece.size(), bytes.data() + bytes.size());
    seen += piece.size();
  });
  EXPECT_EQ(seen, 1000u);
}

TEST(StepMessageTest, ManySizesAreCountedAndNotKept) {
  v1::ForwardRequest request;
  for (int i = 0; i < 100'000; ++i) request.mutable_input()->add_shape(i);
  const std::string bytes = request.SerializeAsString();
  const std::string_view fragments[] = {bytes};
  StepMessage message;
  ASSERT_TRUE(ParseStep(StepKind::kForward, fragments, message));
  EXPECT_EQ(message.tensor->rank, 100'000u);
}

TEST(StepMessageTest, NoFragmentsAreAnEmptyMessage) {
  StepMessage message;
  EXPECT_TRUE(ParseStep(StepKind::kForward, {}, message));
  EXPECT_FALSE(message.tensor.has_value());
}

}  // namespace
}  // namespace dropoutd
