#include "client/idempotency.h"

#include <cstddef>

namespace dropout {
namespace {

struct Row {
  Rpc rpc;
  Idempotency idempotency;
};

// In the order of Rpc.
constexpr Row kTable[] = {
    // Safe because the request always names its session: the client picks an id if the
    // caller did not.
    {Rpc::kCreateSession, Idempotency::kSafe},
    {Rpc::kGetSession, Idempotency::kSafe},
    {Rpc::kListSessions, Idempotency::kSafe},
    {Rpc::kDeleteSession, Idempotency::kDeletion},
    {Rpc::kExportSession, Idempotency::kSafe},
    // As CreateSession.
    {Rpc::kImportSession, Idempotency::kSafe},
    {Rpc::kForkSession, Idempotency::kSafe},
    {Rpc::kCreateLayer, Idempotency::kSafe},
    {Rpc::kUpdateLayer, Idempotency::kSafe},
    {Rpc::kDeleteLayer, Idempotency::kDeletion},
    {Rpc::kSetMode, Idempotency::kSafe},
    {Rpc::kForward, Idempotency::kSafe},
    {Rpc::kBackward, Idempotency::kSafe},
    // The first attempt may have released the step, and the second would not find it.
    {Rpc::kBackwardRelease, Idempotency::kUnsafe},
    {Rpc::kGetMask, Idempotency::kSafe},
    {Rpc::kReleaseSteps, Idempotency::kSafe},
    {Rpc::kSetParameters, Idempotency::kSafe},
    {Rpc::kGetParameters, Idempotency::kSafe},
    // A repetition may leave a region that nobody knows; it goes with its session.
    {Rpc::kCreateSharedMemory, Idempotency::kSafe},
    {Rpc::kDeleteSharedMemory, Idempotency::kDeletion},
    {Rpc::kGetServerInfo, Idempotency::kSafe},
};

constexpr std::size_t kRows = sizeof(kTable) / sizeof(kTable[0]);

constexpr bool InOrder() {
  for (std::size_t i = 0; i < kRows; ++i) {
    if (kTable[i].rpc != static_cast<Rpc>(i)) return false;
  }
  return kRows == static_cast<std::size_t>(Rpc::kGetServerInfo) + 1;
}
static_assert(InOrder());

}  // namespace

Idempotency IdempotencyOf(Rpc rpc) { return kTable[static_cast<std::size_t>(rpc)].idempotency; }

}  // namespace dropout
