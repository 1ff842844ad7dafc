#include "server/main/listen/listen_address.h"

#include <gtest/gtest.h>

namespace dropoutd {
namespace {

TEST(ListenAddressTest, LoopbackAndUnixSocketsAreLocal) {
  for (const char* const address : {"127.0.0.1:50051", "127.8.9.10:0", "[::1]:50051",
                                    "localhost:50051", "unix:/run/dropoutd.sock"}) {
    EXPECT_TRUE(IsLocal(address)) << address;
  }
}

TEST(ListenAddressTest, EverythingElseIsNot) {
  for (const char* const address :
       {"0.0.0.0:50051", "[::]:50051", "192.0.2.1:50051", "0:50051", "128.0.0.1:1",
        "[2001:db8::1]:1", "no.such.host.invalid:1", "[::ffff:192.0.2.1]:1"}) {
    EXPECT_FALSE(IsLocal(address)) << address;
  }
}

}  // namespace
}  // namespace dropoutd
