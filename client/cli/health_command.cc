// health: the standard health service, for probes.
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <iostream>
#include <string>

#include "client/cli/commands.h"
#include "client/security.h"
#include "client/status.h"

namespace dropout::cli {
namespace {

// A HealthCheckResponse is one enumeration; SERVING is 1.
constexpr char kServing[] = "\x08\x01";

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.DumpToSingleSlice(&slice).ok()) return {};
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

absl::StatusOr<bool> IsServing(const std::string& address, const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  const auto credentials = MakeCredentials(options, &arguments);
  grpc::GenericStub stub(grpc::CreateCustomChannel(address, credentials, arguments));
  grpc::ClientContext context;
  if (options.timeout.count() > 0) {
    context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                      gpr_time_from_nanos(options.timeout.count(), GPR_TIMESPAN)));
  }
  grpc::CompletionQueue queue;
  // About the whole server: an empty HealthCheckRequest.
  const grpc::Slice nothing;
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check",
                                          grpc::ByteBuffer(&nothing, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  if (!status.ok()) return ToAbslStatus(status, context);
  return BytesOf(answer) == kServing;
}

int Health(Context& context) {
  const bool serving = CallResult(IsServing(context.options.address, context.client_options()));
  if (context.options.json) {
    context.PrintJson({{"serving", serving}});
  } else {
    std::cout << (serving ? "serving\n" : "not serving\n");
  }
  return serving ? kExitOk : kExitRefused;
}

}  // namespace

void AddHealthCommand(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("health", "Ask whether the server takes calls; exit status 1 if not");
  RunWhenParsed(command, context, [&context] { return Health(context); });
}

}  // namespace dropout::cli
