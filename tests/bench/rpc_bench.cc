#include "tests/bench/rpc_bench.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dropout/client.h"
#include "dropout/v1/dropout_service.grpc.pb.h"
#include "server/dropout/pass.h"
#include "server/dropout/plan.h"
#include "tests/bench/child.h"
#include "tests/bench/kernel_bench.h"
#include "tests/bench/paired.h"
#include "tests/bench/raw_client.h"
#include "tests/bench/served.h"

namespace dropoutd::bench {
namespace {

namespace v1 = dropout::v1;

constexpr int kInFlight = 32;

// A Forward in a message, against an echo of the same bytes.
void BenchInline(const std::string& where, const std::string& server, const std::string& echo,
                 std::size_t byte_size, const PairOptions& options, Report& report) {
  RawClient to_server(server, {});
  RawClient to_echo(echo, {});
  const grpc::ByteBuffer request = ToBytes(ForwardOf(byte_size));
  report.Add(RunPairs(
      {"Forward in a message, " + where + ", " + SizeName(byte_size),
       "an echo of the bytes",
       2.0 * static_cast<double>(byte_size),
       {},
       {},
       0.95},
      [&] { to_server.Call(kForward, request); },
      TimeOf([&] { to_echo.Call(kEchoMethod, request); }, options.baseline_repeats), options));
}

// The median of `calls` calls, as the time of one.
Timed MedianOf(std::function<void()> call, int calls) {
  return [call = std::move(call), calls] {
    std::vector<double> seconds;
    for (int i = 0; i < calls; ++i) {
      const auto start = std::chrono::steady_clock::now();
      call();
      seconds.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return Quantile(std::move(seconds), 0.5);
  };
}

void BenchSmall(const std::string& server, bool smoke, Report& report) {
  RawClient client(server, {});
  const grpc::ByteBuffer request = ToBytes(ForwardOf(256));
  const grpc::ByteBuffer nothing = ToBytes(v1::GetServerInfoRequest());
  const int calls = smoke ? 3 : 400;
  const Timed forward = MedianOf([&] { client.Call(kForward, request); }, calls);
  const Timed empty = MedianOf([&] { client.Call(kInfo, nothing); }, calls);
  report.Add(RunPairs({"Forward of 64 floats, p50", "an empty call, p50", 512, {}, {}, 1 / 1.15},
                      forward, empty, smoke ? 1 : 15));
}

void BenchSharedMemory(const std::string& server, std::size_t byte_size, const PairOptions& options,
                       Report& report) {
  dropout::Client client = ClientOf(server, dropout::Transport::kSharedMemory);
  dropout::Client inline_client = ClientOf(server, dropout::Transport::kInline);
  auto buffer = client.CreateSharedBuffer(kSession, 2 * byte_size);
  Check(buffer.status());
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(byte_size / 4)};
  std::memset(buffer->data(), 1, 2 * byte_size);
  const dropout::TensorView input{dropout::DataType::kFloat32, shape, buffer->data(), byte_size};
  dropout::StepRef step;
  step.session_id = kSession;
  step.layer_id = kLayer;
  step.step = 1;
  const auto shared = [&] {
    Check(client.ForwardInto(step, input, static_cast<char*>(buffer->data()) + byte_size, byte_size)
              .status());
  };

  const Plan plan = TrainPlan(byte_size);
  std::vector<char> x(byte_size, 1), y(byte_size, 1);
  RawClient raw(server, {});
  const grpc::ByteBuffer nothing = ToBytes(v1::GetServerInfoRequest());
  const auto kernel = [&] {
    const Pass pass(plan, DataType::kFloat32, nullptr, Pass::Bits::kKeep);
    pass.Run(0, byte_size / 4, x.data(), y.data());
    raw.Call(kInfo, nothing);
  };
  const auto bytes = static_cast<double>(byte_size);
  report.Add(RunPairs({"Forward in shared memory, " + SizeName(byte_size),
                       "the kernel here and an empty call",
                       bytes,
                       {},
                       {},
                       1 / 1.2},
                      shared, TimeOf(kernel, options.baseline_repeats), options));
  const std::string data(byte_size, 1);
  const dropout::TensorView owned{dropout::DataType::kFloat32, shape, data.data(), byte_size};
  const auto in_message = [&] { Check(inline_client.Forward(step, owned).status()); };
  report.Add(RunPairs({"Forward in shared memory, " + SizeName(byte_size),
                       "the same in a message",
                       bytes,
                       {},
                       {},
                       10},
                      shared, TimeOf(in_message, options.baseline_repeats), options));
}

// `calls` unary Forwards, kInFlight of them at once.
void CallsAtOnce(v1::DropoutService::Stub& stub, const v1::ForwardRequest& request, int calls) {
  struct Call {
    grpc::ClientContext context;
    v1::ForwardResponse response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::ForwardResponse>> reader;
  };
  grpc::CompletionQueue queue;
  int begun = 0;
  const auto begin = [&] {
    auto* const call = new Call;
    call->reader = stub.AsyncForward(&call->context, request, &queue);
    call->reader->Finish(&call->response, &call->status, call);
    ++begun;
  };
  while (begun < std::min(calls, kInFlight)) begin();
  for (int done = 0; done < calls; ++done) {
    void* tag = nullptr;
    bool good = false;
    queue.Next(&tag, &good);
    const std::unique_ptr<Call> call(static_cast<Call*>(tag));
    if (!call->status.ok()) throw std::runtime_error(call->status.error_message());
    if (begun < calls) begin();
  }
}

// The same operations through one stream.
void OperationsOfAStream(v1::DropoutService::Stub& stub, const v1::ForwardRequest& forward,
                         int calls) {
  grpc::ClientContext context;
  const auto stream = stub.Exchange(&context);
  v1::ExchangeRequest request;
  *request.mutable_forward() = forward;
  std::counting_semaphore<kInFlight> room(kInFlight);
  std::thread writer([&] {
    room.acquire();
    for (int i = 0; i < calls; ++i) {
      // What can be sent at once shares a packet.
      const bool has_more = i + 1 < calls && room.try_acquire();
      grpc::WriteOptions options;
      if (has_more) options.set_buffer_hint();
      if (!stream->Write(request, options)) break;
      if (!has_more && i + 1 < calls) room.acquire();
    }
    stream->WritesDone();
  });
  v1::ExchangeResponse response;
  int answers = 0;
  for (; answers < calls && stream->Read(&response); ++answers) {
    if (response.has_error()) break;
    room.release();
  }
  if (answers < calls) room.release(kInFlight);
  writer.join();
  stream->Finish();
  if (answers < calls) throw std::runtime_error("a stream ended early");
}

void BenchExchange(const std::string& server, bool smoke, Report& report) {
  const auto stub = v1::DropoutService::NewStub(MakeChannel(server, {}));
  const v1::ForwardRequest request = ForwardOf(256);
  const int calls = smoke ? 64 : 4000;
  report.Add(RunPairs({"operations of an Exchange, 64 floats, 32 in flight",
                       "unary calls",
                       512.0 * calls,
                       {},
                       {},
                       3},
                      [&] { OperationsOfAStream(*stub, request, calls); },
                      TimeOf([&] { CallsAtOnce(*stub, request, calls); }, 1),
                      {.pairs = smoke ? 1 : 9}));
}

}  // namespace

void BenchCalls(bool smoke, Report& report) {
  const TemporaryFolder folder;
  const ServerChild server = StartServer(kTcp, {"--shared_memory=true"});
  const ServerChild echo = StartEcho("callback", kTcp);
  const ServerChild local_server = StartServer(folder.Socket("server"), {"--shared_memory=true"});
  const ServerChild local_echo = StartEcho("callback", folder.Socket("echo"));
  for (const ServerChild* each : {&server, &local_server}) MakeSession(each->address());
  const std::vector<std::size_t> sizes = smoke
                                             ? std::vector<std::size_t>{1 << 20}
                                             : std::vector<std::size_t>{1 << 20, 4 << 20, 16 << 20};
  for (const std::size_t size : sizes) {
    const int repeats = smoke ? 1 : static_cast<int>((std::size_t{64} << 20) / size);
    const PairOptions options{smoke ? 1 : 15, repeats, repeats};
    BenchInline("TCP", server.address(), echo.address(), size, options, report);
    BenchInline("Unix socket", local_server.address(), local_echo.address(), size, options, report);
  }
  BenchSmall(server.address(), smoke, report);
  BenchSharedMemory(server.address(), smoke ? 1 << 20 : 16 << 20,
                    {smoke ? 1 : 15, smoke ? 1 : 8, smoke ? 1 : 2}, report);
  BenchExchange(server.address(), smoke, report);
}

}  // namespace dropoutd::bench
