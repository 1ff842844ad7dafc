// Which calls may be repeated when the server went away. One table, in idempotency.cc, holds
// it for every RPC of the client.
#ifndef DROPOUTD_CLIENT_IDEMPOTENCY_H_
#define DROPOUTD_CLIENT_IDEMPOTENCY_H_

namespace dropout {

// The calls of the client. Backward counts as two: `release` decides whether it may be
// repeated.
enum class Rpc {
  kCreateSession,
  kGetSession,
  kListSessions,
  kDeleteSession,
  kExportSession,
  kImportSession,
  kForkSession,
  kCreateLayer,
  kUpdateLayer,
  kDeleteLayer,
  kSetMode,
  kForward,
  kBackward,
  kBackwardRelease,
  kGetMask,
  kReleaseSteps,
  kSetParameters,
  kGetParameters,
  kCreateSharedMemory,
  kDeleteSharedMemory,
  kGetServerInfo,
};

enum class Idempotency {
  kUnsafe,    // Sent once.
  kSafe,      // May be repeated.
  kDeletion,  // May be repeated; NOT_FOUND to a repetition means that it is done.
};

Idempotency IdempotencyOf(Rpc rpc);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_IDEMPOTENCY_H_
