// Fuzz target: the operations of an Exchange, whatever the order of its messages.
//
// The input is a program. A message is its kind (0 forward, 1 backward, 2 data, 3 the bytes that
// follow as they are), has_more, a length and, for a request, the number of elements of its
// tensor; a message's data repeats one byte of the program.
#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "dropout/v1/transport.pb.h"
#include "server/service/exchange.h"
#include "tests/service/support.h"

namespace {

namespace v1 = dropout::v1;
using namespace dropoutd;
using namespace dropoutd::testing_support;

constexpr std::size_t kMostMessages = 64;
// Bytes of a message, and elements of a tensor, are below this: several slices, and quick to run.
constexpr std::size_t kSizes = 4096;

// The program's bytes; zeros past its end.
class Program {
 public:
  Program(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}

  bool done() const { return left_ == 0; }

  std::size_t Byte() {
    if (left_ == 0) return 0;
    --left_;
    return *at_++;
  }

  std::size_t Size() {
    const std::size_t low = Byte();
    return (low | Byte() << 8) % kSizes;
  }

  std::string Bytes(std::size_t size) {
    const std::size_t n = std::min(size, left_);
    std::string bytes(reinterpret_cast<const char*>(at_), n);
    at_ += n;
    left_ -= n;
    return bytes;
  }

 private:
  const std::uint8_t* at_;
  std::size_t left_;
};

void FillTensor(Program& program, std::size_t size, v1::Tensor& tensor) {
  tensor.set_dtype(static_cast<v1::DataType>(program.Byte() % 5));
  tensor.add_shape(static_cast<std::int64_t>(program.Size()));
  tensor.set_data(std::string(size, static_cast<char>(program.Byte())));
}

template <typename Request>
void FillStep(Program& program, Request& request) {
  request.set_session_id(kSession);
  request.set_layer_id(kLayer);
  request.set_step(program.Byte() % 4);
}

std::string NextMessage(Program& program) {
  v1::ExchangeRequest message;
  const std::size_t kind = program.Byte() % 4;
  message.set_has_more(program.Byte() % 2 == 1);
  const std::size_t size = program.Size();
  switch (kind) {
    case 0:
      FillStep(program, *message.mutable_forward());
      FillTensor(program, size, *message.mutable_forward()->mutable_input());
      break;
    case 1:
      FillStep(program, *message.mutable_backward());
      FillTensor(program, size, *message.mutable_backward()->mutable_output_gradient());
      break;
    case 2:
      message.set_data(std::string(size, static_cast<char>(program.Byte())));
      break;
    default:
      return program.Bytes(size);
  }
  return message.SerializeAsString();
}

[[noreturn]] void Fail(const char* what) {
  std::fprintf(stderr, "exchange: %s\n", what);
  std::abort();
}

// Holds that each operation is answered once: how many last messages of answers each message of
// the client's has.
class Answers {
 public:
  void Check(const v1::ExchangeRequest& request, std::size_t count) {
    const bool is_step = request.has_forward() || request.has_backward();
    const bool begins = is_step || idle_;
    const std::size_t unfinished = is_step && owed_ ? 1 : 0;  // Its error comes first.
    if (count < unfinished) Fail("an operation that was cut short has no error");
    const std::size_t own = count - unfinished;
    if (own > (begins || owed_ ? 1 : 0)) Fail("an operation was answered twice");
    owed_ = (begins || owed_) && own == 0;
    if (owed_ && (!request.has_more() || !(is_step || !idle_))) Fail("an operation has no answer");
    idle_ = !request.has_more();
  }

  // What the client's end is answered with.
  void CheckEnd(std::size_t count) const {
    if (count != (owed_ ? 1 : 0)) Fail("an operation that the stream's end cut short has no error");
  }

 private:
  bool idle_ = true;   // The next message begins an operation.
  bool owed_ = false;  // One has begun, and its answer has not ended.
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool quiet = (google::protobuf::SetLogHandler(nullptr), true);
  if (!quiet) return 0;
  static OpenGate gate;
  static EngineFixture fixture;
  const GatedCall stream;
  ExchangeOperations operations(fixture.Resources(), gate, stream);
  Program program(data, size);
  Answers answers;
  for (std::size_t i = 0; i < kMostMessages && !program.done(); ++i) {
    const std::string bytes = NextMessage(program);
    v1::ExchangeRequest request;
    const bool parses = request.ParseFromString(bytes);
    ExchangeOperations::Answers answer;
    const bool taken = operations.Take(InSlices(bytes, 1 + i, 777), answer).ok();
    if (taken != parses) Fail("the stream's verdict is not the generated parser's");
    if (!taken) return 0;
    std::size_t last_messages = 0;
    for (const auto& each : answer) {
      const auto response = Parsed<v1::ExchangeResponse>(each.message);
      if (response.has_error() && response.has_more()) Fail("an error is not the last message");
      if (!response.has_more()) ++last_messages;
    }
    answers.Check(request, last_messages);
  }
  ExchangeOperations::Answers last;
  operations.End(last);
  answers.CheckEnd(last.size());
  return 0;
}
