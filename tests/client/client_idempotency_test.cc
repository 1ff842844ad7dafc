#include <gtest/gtest.h>

#include "client/idempotency.h"

namespace dropout {
namespace {

TEST(IdempotencyTest, OnlyBackwardWithReleaseIsUnsafe) {
  for (int i = 0; i <= static_cast<int>(Rpc::kGetServerInfo); ++i) {
    const Rpc rpc = static_cast<Rpc>(i);
    EXPECT_EQ(IdempotencyOf(rpc) == Idempotency::kUnsafe, rpc == Rpc::kBackwardRelease) << i;
  }
}

TEST(IdempotencyTest, DeletionsMayFindNothingTheSecondTime) {
  for (int i = 0; i <= static_cast<int>(Rpc::kGetServerInfo); ++i) {
    const Rpc rpc = static_cast<Rpc>(i);
    const bool deletion =
        rpc == Rpc::kDeleteSession || rpc == Rpc::kDeleteLayer || rpc == Rpc::kDeleteSharedMemory;
    EXPECT_EQ(IdempotencyOf(rpc) == Idempotency::kDeletion, deletion) << i;
  }
}

}  // namespace
}  // namespace dropout
