// A client that sends and receives bytes, with no more between it and gRPC than must be.
#ifndef DROPOUTD_TESTS_BENCH_RAW_CLIENT_H_
#define DROPOUTD_TESTS_BENCH_RAW_CLIENT_H_

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "tests/bench/echo_server.h"

namespace dropoutd::bench {

// Not thread-safe; several may run side by side.
class RawClient {
 public:
  RawClient(const std::string& address, const ChannelSettings& settings);

  // Calls `method` and waits for the answer. Throws std::runtime_error for an error.
  grpc::ByteBuffer Call(const std::string& method, const grpc::ByteBuffer& request);

 private:
  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
};

// A channel with a connection of its own.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const ChannelSettings& settings);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_RAW_CLIENT_H_
