// The client's streams at a server whose limits refuse many calls: an answer is the caller's own,
// or an error.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "dropout/client.h"
#include "tests/client/server_process.h"

namespace dropout {
namespace {

constexpr std::size_t kThreads = 8;

// Answers to wait for, beside a refusal.
int AnswersWanted() {
  const char* const given = std::getenv("DROPOUTD_STREAM_ANSWERS");
  return given != nullptr ? std::atoi(given) : 110;
}

// How long a caller that was refused leaves the server to the others.
constexpr std::chrono::milliseconds kPause(20);

struct Limit {
  const char* flag;
  std::size_t piece_bytes;  // So that some calls are refused in the middle,
  std::size_t most_elements;
};
void PrintTo(const Limit& limit, std::ostream* out) { *out << limit.flag; }

// An input that names its call: each element is the call's number, and few others have its size.
std::vector<float> InputOf(std::size_t call, std::size_t most_elements) {
  return std::vector<float>(1 + call * 7919 % most_elements, static_cast<float>(call + 1));
}

struct Tally {
  std::atomic<int> good{0};
  std::atomic<int> foreign{0};
  std::atomic<int> refused{0};
};

// A Forward of a layer in EVAL, which answers its input.
void CallOnce(Client& client, const std::vector<float>& x, Tally& tally) {
  StepRef step;
  step.session_id = "s";
  step.layer_id = "plain";
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(x.size())};
  const std::size_t size = x.size() * sizeof(float);
  const auto y = client.Forward(step, {DataType::kFloat32, shape, x.data(), size});
  if (!y.ok()) {
    EXPECT_TRUE(absl::IsResourceExhausted(y.status())) << y.status();
    ++tally.refused;
    std::this_thread::sleep_for(kPause);
    return;
  }
  const std::string& data = y->output.data;
  const bool is_own = y->output.shape == shape && data.size() == size &&
                      std::memcmp(data.data(), x.data(), size) == 0;
  ++(is_own ? tally.good : tally.foreign);
}

class StreamLimitsTest : public testing::TestWithParam<Limit> {};

TEST_P(StreamLimitsTest, AnAnswerIsTheCallersOwn) {
  const Limit& limit = GetParam();
  const ServerProcess server(DROPOUTD_PATH, {limit.flag, "--log_level=warn"});
  SessionOptions session;
  session.session_id = "s";
  session.layers.resize(1);
  session.layers[0].layer_id = "plain";
  session.layers[0].p = 0.5;
  session.layers[0].mode = Mode::kEval;
  ClientOptions options;
  options.transport = Transport::kStream;
  options.stream_piece_bytes = limit.piece_bytes;
  auto client = Client::Connect(server.address(), options);
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE(client->CreateSession(session).ok());

  Tally tally;
  std::atomic<std::size_t> next_call{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      while ((tally.good + tally.foreign < AnswersWanted() || tally.refused == 0) &&
             !HasFailure()) {
        CallOnce(*client, InputOf(next_call++, limit.most_elements), tally);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(tally.foreign, 0);
}

INSTANTIATE_TEST_SUITE_P(Limits, StreamLimitsTest,
                         testing::Values(Limit{"--max_calls_per_second=100", 4096, 60'000},
                                         Limit{"--max_bytes_in_flight=1MiB", 200'000, 1'000'000},
                                         Limit{"--max_bytes_in_flight=64KiB", 4096, 60'000}));

}  // namespace
}  // namespace dropout
