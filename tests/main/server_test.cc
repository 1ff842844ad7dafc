// A whole server, in this process.
#include "server/main/server.h"

#include <grpc/grpc.h>
#include <gtest/gtest.h>

#include <memory>

#include "server/main/flags.h"

namespace dropoutd {
namespace {

// To end gRPC can take ten seconds when nothing is left to wait for (one of about fifty stops under
// load did), which is longer than those who stop containers wait.
TEST(ServerTest, ItsEndDoesNotEndGrpc) {
  Flags flags;
  flags.listen = {"127.0.0.1:0"};
  auto server = Server::Start(flags);
  ASSERT_TRUE(server.ok()) << server.status();
  (*server)->Drain();
  server->reset();
  EXPECT_TRUE(grpc_is_initialized());
}

}  // namespace
}  // namespace dropoutd
