// The client against a fake service in this process, over a real socket.
#include "dropout/client.h"

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <limits>
#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/client/fake_service.h"

namespace dropout {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::ElementsAre;

// A hook that fails the first `count` calls.
FakeService::Hook FailFirst(int count, grpc::StatusCode code = grpc::StatusCode::UNAVAILABLE) {
  return [count, code](grpc::ServerContext&) mutable {
    return count-- > 0 ? grpc::Status(code, "told to") : grpc::Status::OK;
  };
}

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    std::string folder = (std::filesystem::temp_directory_path() / "dropout-XXXXXX").string();
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    options_.initial_backoff = milliseconds(1);
    options_.max_backoff = milliseconds(20);
    StartServer();
  }

  ~ClientTest() override {
    StopServer();
    std::filesystem::remove_all(folder_);
  }

  // A path, so that a second server can take the first one's place.
  std::string address() const { return "unix:" + (folder_ / "socket").string(); }

  void StartServer() {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(-1);
    builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }

  void StopServer() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }

  Client Connect() { return Client::Connect(address(), options_).value(); }

  FakeService service_;
  ClientOptions options_;

 private:
  std::filesystem::path folder_;
  std::unique_ptr<grpc::Server> server_;
};

const StepRef kStep{"s", "l", 7, 32, 9};
const char kBytes[] = "12345678";
const TensorView kInput{DataType::kFloat32, {2}, kBytes, 8};

// ---- What a call sends and returns.

TEST_F(ClientTest, CreateSession) {
  v1::Session answer;
  answer.set_session_id("mine");
  answer.set_seed(5);
  service_.SetResponse(answer);
  SessionOptions options;
  options.session_id = "mine";
  options.seed = 5;
  options.layers.resize(1);
  options.layers[0].layer_id = "drop";
  options.layers[0].p = 0.0;
  options.mode = Mode::kEval;
  options.ttl = seconds(3);

  const auto session = Connect().CreateSession(options);

  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(session->session_id, "mine");
  EXPECT_EQ(session->seed, 5u);
  const auto request = service_.Received<v1::CreateSessionRequest>();
  EXPECT_EQ(request.session_id(), "mine");
  EXPECT_EQ(request.seed(), 5u);
  ASSERT_EQ(request.layers_size(), 1);
  EXPECT_EQ(request.layers(0).layer_id(), "drop");
  EXPECT_EQ(request.mode(), v1::MODE_EVAL);
  EXPECT_EQ(request.ttl().seconds(), 3);
  EXPECT_EQ(service_.session_metadata(), "mine");
}

TEST_F(ClientTest, ALayerNeedsPOrASchedule) {
  Client client = Connect();
  Layer layer;
  layer.layer_id = "drop";
  SessionOptions options;
  options.layers = {layer, layer};
  options.layers[0].p = 0.0;
  for (const absl::Status& status :
       {client.CreateSession(options).status(), client.CreateLayer("s", layer).status(),
        client.UpdateLayer("s", layer).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(".p: not given"));
  }
  EXPECT_THAT(std::string(client.CreateSession(options).status().message()),
              testing::StartsWith("layers[1].p: "));
  EXPECT_EQ(service_.call_count(), 0);
  layer.p = 0.0;
  EXPECT_TRUE(client.CreateLayer("s", layer).ok());
  layer.p.reset();
  layer.schedule = CurriculumSchedule{0.5, 0.01};
  EXPECT_TRUE(client.CreateLayer("s", layer).ok());
}

TEST_F(ClientTest, CreateSessionPicksAnIdAndKeepsItWhenRepeated) {
  std::string first_id;
  service_.SetHook([&, calls = 0](grpc::ServerContext&) mutable {
    if (calls++ > 0) return grpc::Status::OK;
    first_id = service_.session_metadata();
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "told to");
  });
  ASSERT_TRUE(Connect().CreateSession({}).ok());
  EXPECT_EQ(service_.call_count(), 2);
  EXPECT_EQ(first_id.size(), 32u);
  EXPECT_EQ(service_.Received<v1::CreateSessionRequest>().session_id(), first_id);
}

TEST_F(ClientTest, GetSession) {
  v1::Session answer;
  answer.set_session_id("s");
  service_.SetResponse(answer);
  const auto session = Connect().GetSession("s");
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(session->session_id, "s");
  EXPECT_EQ(service_.Received<v1::GetSessionRequest>().session_id(), "s");
  EXPECT_EQ(service_.session_metadata(), "s");
}

TEST_F(ClientTest, ListSessions) {
  v1::ListSessionsResponse answer;
  answer.add_sessions()->set_session_id("a");
  answer.set_next_page_token("more");
  service_.SetResponse(answer);
  const auto page = Connect().ListSessions(10, "token");
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->sessions.size(), 1u);
  EXPECT_EQ(page->sessions[0].session_id, "a");
  EXPECT_EQ(page->next_page_token, "more");
  const auto request = service_.Received<v1::ListSessionsRequest>();
  EXPECT_EQ(request.page_size(), 10);
  EXPECT_EQ(request.page_token(), "token");
  EXPECT_EQ(service_.session_metadata(), "");
}

TEST_F(ClientTest, DeleteSession) {
  EXPECT_TRUE(Connect().DeleteSession("s").ok());
  EXPECT_EQ(service_.Received<v1::DeleteSessionRequest>().session_id(), "s");
}

TEST_F(ClientTest, ExportSession) {
  v1::ExportSessionResponse answer;
  answer.set_snapshot(std::string("a\0b", 3));
  service_.SetResponse(answer);
  EXPECT_EQ(Connect().ExportSession("s").value(), answer.snapshot());
  EXPECT_EQ(service_.Received<v1::ExportSessionRequest>().session_id(), "s");
}

TEST_F(ClientTest, CopiesAlwaysHaveAnId) {
  v1::Session answer;
  answer.set_session_id("copy");
  service_.SetResponse(answer);
  Client client = Connect();
  EXPECT_EQ(client.ImportSession("bytes", "copy")->session_id, "copy");
  EXPECT_EQ(service_.Received<v1::ImportSessionRequest>().session_id(), "copy");
  EXPECT_EQ(service_.Received<v1::ImportSessionRequest>().snapshot(), "bytes");
  EXPECT_TRUE(client.ImportSession("bytes").ok());
  EXPECT_NE(service_.Received<v1::ImportSessionRequest>().session_id(), "");
  EXPECT_EQ(client.ForkSession("s", "copy")->session_id, "copy");
  EXPECT_EQ(service_.Received<v1::ForkSessionRequest>().session_id(), "s");
  EXPECT_EQ(service_.Received<v1::ForkSessionRequest>().new_session_id(), "copy");
  EXPECT_TRUE(client.ForkSession("s").ok());
  EXPECT_NE(service_.Received<v1::ForkSessionRequest>().new_session_id(), "");
}

TEST_F(ClientTest, CreateLayer) {
  v1::Layer answer;
  answer.set_revision(1);
  service_.SetResponse(answer);
  Layer layer;
  layer.layer_id = "l";
  layer.p = 0.5;
  const auto created = Connect().CreateLayer("s", layer);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->revision, 1u);
  const auto request = service_.Received<v1::CreateLayerRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.layer().layer_id(), "l");
  EXPECT_EQ(request.layer().p(), 0.5);
}

TEST_F(ClientTest, UpdateLayer) {
  v1::Layer answer;
  answer.set_revision(2);
  service_.SetResponse(answer);
  Layer layer;
  layer.layer_id = "l";
  layer.p = 0.25;
  const auto updated = Connect().UpdateLayer("s", layer);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->revision, 2u);
  const auto request = service_.Received<v1::UpdateLayerRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.layer().layer_id(), "l");
  EXPECT_EQ(request.layer().p(), 0.25);
}

TEST_F(ClientTest, DeleteLayer) {
  EXPECT_TRUE(Connect().DeleteLayer("s", "l").ok());
  const auto request = service_.Received<v1::DeleteLayerRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.layer_id(), "l");
}

TEST_F(ClientTest, SetMode) {
  v1::SetModeResponse answer;
  answer.add_layer_ids("a");
  answer.add_layer_ids("b");
  service_.SetResponse(answer);
  const auto set = Connect().SetMode("s", Mode::kEval, {"b", "a"});
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(*set, ElementsAre("a", "b"));
  const auto request = service_.Received<v1::SetModeRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.mode(), v1::MODE_EVAL);
  EXPECT_THAT(request.layer_ids(), ElementsAre("b", "a"));
}

TEST_F(ClientTest, Forward) {
  v1::ForwardResponse answer;
  answer.mutable_output()->set_data("output");
  answer.mutable_mask()->set_bits("bits");
  answer.set_mode(v1::MODE_TRAIN);
  answer.set_p(0.5);
  service_.SetResponse(answer);

  const auto result = Connect().Forward(kStep, kInput, /*return_mask=*/true);

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output.data, "output");
  ASSERT_TRUE(result->mask.has_value());
  EXPECT_EQ(result->mask->bits, "bits");
  EXPECT_EQ(result->mode, Mode::kTrain);
  EXPECT_EQ(result->p, 0.5);
  const auto request = service_.Received<v1::ForwardRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.layer_id(), "l");
  EXPECT_EQ(request.step(), 7u);
  EXPECT_EQ(request.sample_offset(), 32);
  EXPECT_EQ(request.sequence_id(), 9u);
  EXPECT_EQ(request.input().dtype(), v1::DATA_TYPE_FLOAT32);
  EXPECT_THAT(request.input().shape(), ElementsAre(2));
  EXPECT_EQ(request.input().data(), "12345678");
  EXPECT_TRUE(request.return_mask());
  EXPECT_EQ(service_.session_metadata(), "s");
}

TEST_F(ClientTest, Backward) {
  v1::BackwardResponse answer;
  answer.mutable_input_gradient()->set_data("gradient");
  answer.add_parameter_gradients()->set_name("weight");
  service_.SetResponse(answer);

  const auto result =
      Connect().Backward(kStep, kInput, {.release = true, .weight_squared_norm = 2.5});

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->input_gradient.data, "gradient");
  ASSERT_EQ(result->parameter_gradients.size(), 1u);
  EXPECT_EQ(result->parameter_gradients[0].name, "weight");
  const auto request = service_.Received<v1::BackwardRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.layer_id(), "l");
  EXPECT_EQ(request.step(), 7u);
  EXPECT_EQ(request.sample_offset(), 32);
  EXPECT_EQ(request.sequence_id(), 9u);
  EXPECT_EQ(request.output_gradient().data(), "12345678");
  EXPECT_TRUE(request.release());
  EXPECT_EQ(request.weight_squared_norm(), 2.5);
}

TEST_F(ClientTest, GetMask) {
  v1::Mask answer;
  answer.set_scale(2.0);
  answer.set_bits("bits");
  service_.SetResponse(answer);
  const auto mask = Connect().GetMask(kStep, {4, 8});
  ASSERT_TRUE(mask.ok()) << mask.status();
  EXPECT_EQ(mask->scale, 2.0);
  EXPECT_EQ(mask->bits, "bits");
  const auto request = service_.Received<v1::GetMaskRequest>();
  EXPECT_EQ(request.step(), 7u);
  EXPECT_THAT(request.shape(), ElementsAre(4, 8));
}

TEST_F(ClientTest, ReleaseSteps) {
  v1::ReleaseStepsResponse answer;
  answer.set_released_count(3);
  service_.SetResponse(answer);
  const auto count = Connect().ReleaseSteps("s", "l", 0);
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(*count, 3u);
  const auto request = service_.Received<v1::ReleaseStepsRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.layer_id(), "l");
  EXPECT_TRUE(request.has_through_step());
  EXPECT_EQ(request.through_step(), 0u);
}

TEST_F(ClientTest, SetParameters) {
  const Parameter weight{"weight", Tensor{DataType::kFloat32, {1}, "1234"}};
  EXPECT_TRUE(Connect().SetParameters("s", "l", {weight}).ok());
  const auto request = service_.Received<v1::SetParametersRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.layer_id(), "l");
  ASSERT_EQ(request.parameters_size(), 1);
  EXPECT_EQ(request.parameters(0).name(), "weight");
  EXPECT_EQ(request.parameters(0).value().data(), "1234");
}

TEST_F(ClientTest, GetParameters) {
  v1::GetParametersResponse answer;
  answer.add_parameters()->set_name("logit_p");
  service_.SetResponse(answer);
  const auto parameters = Connect().GetParameters("s", "l");
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  ASSERT_EQ(parameters->size(), 1u);
  EXPECT_EQ((*parameters)[0].name, "logit_p");
  const auto request = service_.Received<v1::GetParametersRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.layer_id(), "l");
}

TEST_F(ClientTest, CreateSharedMemory) {
  v1::SharedMemory answer;
  answer.set_region_id("r");
  answer.set_byte_size(4096);
  service_.SetResponse(answer);
  const auto region = Connect().CreateSharedMemory("s", 4096);
  ASSERT_TRUE(region.ok()) << region.status();
  EXPECT_EQ(region->region_id, "r");
  EXPECT_EQ(region->byte_size, 4096);
  const auto request = service_.Received<v1::CreateSharedMemoryRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.byte_size(), 4096);
}

TEST_F(ClientTest, DeleteSharedMemory) {
  EXPECT_TRUE(Connect().DeleteSharedMemory("s", "r").ok());
  const auto request = service_.Received<v1::DeleteSharedMemoryRequest>();
  EXPECT_EQ(request.session_id(), "s");
  EXPECT_EQ(request.region_id(), "r");
}

TEST_F(ClientTest, GetServerInfo) {
  v1::ServerInfo answer;
  answer.set_version("1.2.3");
  answer.mutable_limits()->set_max_sessions(4);
  service_.SetResponse(answer);
  const auto info = Connect().GetServerInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->version, "1.2.3");
  EXPECT_EQ(info->max_sessions, 4);
}

// An id that no HTTP/2 header can carry must reach the server's own check.
TEST_F(ClientTest, AnIdThatIsNoHeaderIsSentInTheRequestOnly) {
  EXPECT_TRUE(Connect().GetSession("line\nbreak").ok());
  EXPECT_EQ(service_.Received<v1::GetSessionRequest>().session_id(), "line\nbreak");
  EXPECT_EQ(service_.session_metadata(), "");
}

// ---- Large messages.

TEST_F(ClientTest, MessagesPastFourMebibytesArriveBothWays) {
  const std::string big(std::size_t{9} << 20, 'x');
  v1::ForwardResponse answer;
  answer.mutable_output()->set_data(big);
  service_.SetResponse(answer);
  const TensorView input{DataType::kFloat32, {std::int64_t{9} << 18}, big.data(), big.size()};
  const auto result = Connect().Forward(kStep, input);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output.data.size(), big.size());
  EXPECT_EQ(service_.Received<v1::ForwardRequest>().input().data().size(), big.size());
}

TEST_F(ClientTest, MaxReceiveBytesIsObeyed) {
  options_.max_receive_bytes = 1000;
  v1::ForwardResponse answer;
  answer.mutable_output()->set_data(std::string(2000, 'x'));
  service_.SetResponse(answer);
  const auto result = Connect().Forward(kStep, kInput);
  EXPECT_TRUE(absl::IsResourceExhausted(result.status())) << result.status();
}

// ---- Errors.

TEST_F(ClientTest, StatusAndReasonReachTheCaller) {
  service_.SetHook([](grpc::ServerContext& context) {
    context.AddTrailingMetadata("dropout-error-reason", "STEP_REQUIRED");
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "step is not set");
  });
  const absl::Status status = Connect().Forward(kStep, kInput).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "step is not set");
  EXPECT_EQ(ErrorReason(status), "STEP_REQUIRED");
  EXPECT_EQ(service_.call_count(), 1);
}

TEST_F(ClientTest, AnErrorWithoutReasonHasNone) {
  service_.SetHook(FailFirst(1, grpc::StatusCode::INTERNAL));
  const absl::Status status = Connect().GetServerInfo().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrorReason(status), "");
  EXPECT_EQ(ErrorReason(absl::OkStatus()), "");
}

// ---- Retries.

TEST_F(ClientTest, EveryCallButBackwardWithReleaseIsRepeated) {
  Layer layer;
  layer.p = 0.5;
  Client client = Connect();
  const std::vector<std::function<absl::Status()>> calls = {
      [&] { return client.CreateSession({}).status(); },
      [&] { return client.GetSession("s").status(); },
      [&] { return client.ListSessions().status(); },
      [&] { return client.DeleteSession("s"); },
      [&] { return client.ExportSession("s").status(); },
      [&] { return client.ImportSession("bytes").status(); },
      [&] { return client.ForkSession("s").status(); },
      [&] { return client.CreateLayer("s", layer).status(); },
      [&] { return client.UpdateLayer("s", layer).status(); },
      [&] { return client.DeleteLayer("s", "l"); },
      [&] { return client.SetMode("s", Mode::kTrain).status(); },
      [&] { return client.Forward(kStep, kInput).status(); },
      [&] { return client.Backward(kStep, kInput).status(); },
      [&] { return client.GetMask(kStep).status(); },
      [&] { return client.ReleaseSteps("s", "", 1).status(); },
      [&] { return client.SetParameters("s", "l", {}); },
      [&] { return client.GetParameters("s", "l").status(); },
      [&] { return client.CreateSharedMemory("s", 1).status(); },
      [&] { return client.DeleteSharedMemory("s", "r"); },
      [&] { return client.GetServerInfo().status(); },
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const int calls_before = service_.call_count();
    service_.SetHook(FailFirst(2));
    EXPECT_TRUE(calls[i]().ok()) << i;
    EXPECT_EQ(service_.call_count() - calls_before, 3) << i;
  }
}

TEST_F(ClientTest, BackwardWithReleaseIsSentOnce) {
  service_.SetHook(FailFirst(1));
  EXPECT_TRUE(absl::IsUnavailable(Connect().Backward(kStep, kInput, {.release = true}).status()));
  EXPECT_EQ(service_.call_count(), 1);
}

TEST_F(ClientTest, MaxAttemptsCountsAttempts) {
  options_.max_attempts = 3;
  service_.SetHook(FailFirst(100));
  EXPECT_TRUE(absl::IsUnavailable(Connect().GetServerInfo().status()));
  EXPECT_EQ(service_.call_count(), 3);
}

TEST_F(ClientTest, RepeatedDeletesThatFindNothingHaveSucceeded) {
  Client client = Connect();
  const std::vector<std::function<absl::Status()>> deletes = {
      [&] { return client.DeleteSession("s"); },
      [&] { return client.DeleteLayer("s", "l"); },
      [&] { return client.DeleteSharedMemory("s", "r"); },
  };
  for (const auto& call : deletes) {
    service_.SetHook([calls = 0](grpc::ServerContext&) mutable {
      return grpc::Status(
          calls++ == 0 ? grpc::StatusCode::UNAVAILABLE : grpc::StatusCode::NOT_FOUND, "told to");
    });
    EXPECT_TRUE(call().ok());
    EXPECT_TRUE(absl::IsNotFound(call()));
  }
}

TEST_F(ClientTest, ACallOutlivesARestartOfTheServer) {
  Client client = Connect();
  ASSERT_TRUE(client.GetServerInfo().ok());
  StopServer();
  auto call = std::async(std::launch::async, [&] { return client.GetServerInfo().status(); });
  StartServer();
  EXPECT_TRUE(call.get().ok());
}

// ---- Deadlines.

TEST_F(ClientTest, ACallThatHangsEndsAtItsTimeout) {
  options_.timeout = milliseconds(100);
  absl::Notification done;
  service_.SetHook([&](grpc::ServerContext&) {
    done.WaitForNotification();
    return grpc::Status::OK;
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(Connect().GetServerInfo().status()));
  done.Notify();
  StopServer();  // Waits for the hook, which refers to `done`.
}

TEST_F(ClientTest, RetriesEndAtTheTimeout) {
  options_.timeout = milliseconds(200);
  service_.SetHook(FailFirst(std::numeric_limits<int>::max()));
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status = Connect().GetServerInfo().status();
  EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) << status;
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(10));
  EXPECT_GT(service_.call_count(), 1);
}

TEST_F(ClientTest, TheServerLearnsTheDeadline) {
  options_.timeout = seconds(100);
  std::chrono::system_clock::duration left{};
  service_.SetHook([&](grpc::ServerContext& context) {
    left = context.deadline() - std::chrono::system_clock::now();
    return grpc::Status::OK;
  });
  ASSERT_TRUE(Connect().GetServerInfo().ok());
  EXPECT_GT(left, seconds(50));
  EXPECT_LE(left, seconds(101));
}

TEST_F(ClientTest, TimeoutZeroSendsNoDeadline) {
  options_.timeout = nanoseconds::zero();
  auto deadline = std::chrono::system_clock::time_point::min();
  service_.SetHook([&](grpc::ServerContext& context) {
    deadline = context.deadline();
    return grpc::Status::OK;
  });
  ASSERT_TRUE(Connect().GetServerInfo().ok());
  EXPECT_EQ(deadline, std::chrono::system_clock::time_point::max());
}

// ---- Options and threads.

TEST_F(ClientTest, ManyThreadsMayShareAClient) {
  Client client = Connect();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 20; ++j) EXPECT_TRUE(client.Forward(kStep, kInput).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(service_.call_count(), 160);
}

TEST_F(ClientTest, AClientCanBeMoved) {
  Client first = Connect();
  Client second = std::move(first);
  EXPECT_TRUE(second.GetServerInfo().ok());
}

TEST(ConnectTest, RefusesOptionsOutOfRange) {
  const auto refused = [](auto change) {
    ClientOptions options;
    change(options);
    return absl::IsInvalidArgument(Client::Connect("unix:/none", options).status());
  };
  EXPECT_TRUE(refused([](ClientOptions& o) { o.timeout = nanoseconds(-1); }));
  EXPECT_TRUE(refused([](ClientOptions& o) { o.max_attempts = 0; }));
  EXPECT_TRUE(refused([](ClientOptions& o) { o.initial_backoff = nanoseconds(-1); }));
  EXPECT_TRUE(refused([](ClientOptions& o) { o.max_backoff = nanoseconds(-1); }));
  EXPECT_TRUE(refused([](ClientOptions& o) { o.max_receive_bytes = -2; }));
  EXPECT_TRUE(refused([](ClientOptions& o) { o.max_receive_bytes = std::int64_t{1} << 31; }));
  EXPECT_FALSE(refused([](ClientOptions&) {}));
}

TEST(ConnectTest, RefusesAnEmptyAddress) {
  EXPECT_TRUE(absl::IsInvalidArgument(Client::Connect("").status()));
}

TEST(ConnectTest, NobodyListensIsUnavailable) {
  ClientOptions options;
  options.max_attempts = 1;
  auto client = Client::Connect("unix:/nonexistent/socket", options);
  ASSERT_TRUE(client.ok());
  EXPECT_TRUE(absl::IsUnavailable(client->GetServerInfo().status()));
}

}  // namespace
}  // namespace dropout
