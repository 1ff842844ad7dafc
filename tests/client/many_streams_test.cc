// More calls at once than one connection may have streams, and streams that stay open for later.
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "dropout/client.h"
#include "dropout/v1/dropout_service.grpc.pb.h"
#include "tests/client/server_process.h"

namespace dropout {
namespace {

using std::chrono::seconds;

constexpr int kCalls = 150;
constexpr auto kCallTime = seconds(30);

// Answers operations only once `kCalls` are there at once. Thread-safe.
class GateService final : public v1::DropoutService::Service {
 public:
  grpc::Status Exchange(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::ExchangeResponse, v1::ExchangeRequest>* stream) override {
    v1::ExchangeRequest request;
    if (!stream->Read(&request)) return grpc::Status::OK;
    if (!Arrive(context->peer())) return {grpc::StatusCode::INTERNAL, "the others did not come"};
    v1::ExchangeResponse response;
    response.set_operation(request.operation());
    *response.mutable_forward()->mutable_output() = request.forward().input();
    stream->Write(response);
    while (stream->Read(&request)) continue;
    return grpc::Status::OK;
  }

  std::size_t peers() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return peers_.size();
  }

 private:
  bool Arrive(const std::string& peer) {
    std::unique_lock<std::mutex> lock(mutex_);
    peers_.insert(peer);
    ++here_;
    all_here_.notify_all();
    return all_here_.wait_for(lock, kCallTime / 2, [this] { return here_ >= kCalls; });
  }

  std::mutex mutex_;
  std::condition_variable all_here_;
  int here_ = 0;
  std::set<std::string> peers_;
};

ClientOptions Options(Transport transport) {
  ClientOptions options;
  options.transport = transport;
  options.timeout = kCallTime;
  options.max_attempts = 1;  // Nothing is to fail.
  return options;
}

absl::Status CallForward(Client& client, const std::string& session, std::uint64_t step,
                         const std::vector<float>& x) {
  const TensorView view{
      DataType::kFloat32, {static_cast<std::int64_t>(x.size())}, x.data(), 4 * x.size()};
  return client.Forward({session, "hidden", step, 0, {}}, view).status();
}

void MakeSession(Client& client, const std::string& id) {
  SessionOptions session;
  session.session_id = id;
  session.layers.resize(1);
  session.layers[0].layer_id = "hidden";
  session.layers[0].p = 0.5;
  const absl::Status made = client.CreateSession(session).status();
  ASSERT_TRUE(made.ok()) << made;
}

class ManyStreamsTest : public testing::TestWithParam<int> {
 protected:
  std::string limit_flag() const {
    return "--max_concurrent_streams=" + std::to_string(GetParam());
  }
};

TEST_P(ManyStreamsTest, OperationsAreOpenAtOnce) {
  GateService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, GetParam());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  {
    auto client = Client::Connect("127.0.0.1:" + std::to_string(port), Options(Transport::kStream));
    std::vector<std::thread> threads;
    for (int i = 0; i < kCalls; ++i) {
      threads.emplace_back([&] {
        const absl::Status status = CallForward(*client, "s", 0, {1, 2});
        EXPECT_TRUE(status.ok()) << status;
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_GE(service.peers(), static_cast<std::size_t>((kCalls - 1) / GetParam() + 1));
  EXPECT_LE(service.peers(), static_cast<std::size_t>(kCalls / std::min(GetParam(), 64) * 2));
  server->Shutdown(std::chrono::system_clock::now());
}

// Each thread has a session, so that the streams that one leaves serve no other.
TEST_P(ManyStreamsTest, ManyThreadsTrain) {
  const ServerProcess server(DROPOUTD_PATH, {limit_flag(), "--log_level=warn"});
  for (const Transport transport : {Transport::kStream, Transport::kInline}) {
    auto client = Client::Connect(server.address(), Options(transport));
    std::vector<std::thread> threads;
    for (int i = 0; i < kCalls; ++i) {
      threads.emplace_back([&, id = std::to_string(int(transport)) + "." + std::to_string(i)] {
        MakeSession(*client, id);
        const std::vector<float> x(20'000, 1.0F);
        for (std::uint64_t step = 0; step < 3; ++step) {
          const absl::Status status = CallForward(*client, id, step, x);
          EXPECT_TRUE(status.ok()) << status;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

// Streams that are kept for other sessions take all that the connection may have.
TEST_P(ManyStreamsTest, IdleStreamsHinderNobody) {
  const ServerProcess server(DROPOUTD_PATH, {limit_flag(), "--log_level=warn"});
  auto client = Client::Connect(server.address(), Options(Transport::kStream));
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 2 * GetParam(); ++i) {
    const std::string id = "s" + std::to_string(i);
    MakeSession(*client, id);
    const absl::Status status = CallForward(*client, id, 0, {1, 2});
    ASSERT_TRUE(status.ok()) << i << ": " << status;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, kCallTime / 2);
}

INSTANTIATE_TEST_SUITE_P(Limits, ManyStreamsTest, testing::Values(10, 100));

// Connections end under a client that trains on; only what is safe to repeat is tried again.
TEST(AgedConnectionsTest, TrainingGoesOn) {
  const ServerProcess server(DROPOUTD_PATH,
                             {"--max_connection_age=1s", "--drain_timeout=1s", "--log_level=warn"});
  for (const Transport transport : {Transport::kStream, Transport::kInline}) {
    ClientOptions options = Options(transport);
    options.max_attempts = 100;
    auto client = Client::Connect(server.address(), options);
    const std::string id = std::to_string(int(transport));
    MakeSession(*client, id);
    const auto end = std::chrono::steady_clock::now() + seconds(5);
    const std::vector<float> x(64, 1.0F);
    const TensorView view{DataType::kFloat32, {64}, x.data(), 256};
    for (std::uint64_t step = 0; std::chrono::steady_clock::now() < end; ++step) {
      const absl::Status forward = CallForward(*client, id, step, x);
      ASSERT_TRUE(forward.ok()) << step << ": " << forward;
      BackwardOptions last;
      last.release = true;
      const absl::Status backward =
          client->Backward({id, "hidden", step, 0, {}}, view, last).status();
      ASSERT_TRUE(backward.ok()) << step << ": " << backward;
    }
  }
}

}  // namespace
}  // namespace dropout
