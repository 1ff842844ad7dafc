// Where sessions are kept: in memory alone, or in a store.
#ifndef DROPOUTD_SERVER_PERSISTENCE_REPOSITORY_H_
#define DROPOUTD_SERVER_PERSISTENCE_REPOSITORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/dropout/sequential_noise.h"
#include "server/persistence/session_contents.h"
#include "server/session/session.h"
#include "server/session/session_view.h"

namespace dropoutd {

// A session, as it was at one moment of a call.
struct FoundSession {
  std::shared_ptr<Session> session;
  SharedVersion version;
};

// And a layer of it.
struct StepPlace : FoundSession {
  LayerSnapshot layer;
};

struct SessionList {
  std::vector<SessionView> sessions;
  std::vector<std::string> corrupt;  // Keys of those that cannot be read.
  std::string last;                  // The last key that was looked at.
};

// A record on its way to where it is kept. Not thread-safe. It must not outlive its repository.
class RecordWrite {
 public:
  virtual ~RecordWrite() = default;

  // Returns when the record is kept, or is not: LAYER_NOT_FOUND, QUOTA_STEPS, and a store's
  // errors. `record`: the one that was begun; its mask and its input, or null, are cached with it.
  // Once only.
  virtual absl::Status Finish(StepRecord record, SharedBits mask,
                              std::shared_ptr<const RetainedInput> input) = 0;
};

// What becomes of a record that is there already.
using IfPresent = Session::IfPresent;

// Sessions by their keys (session_key.h). Thread-safe. No lock is held while a tensor is processed.
// A call that fails changes nothing. After STORE_UNAVAILABLE alone, the change may or may not have
// been made.
//
// Errors, beside those named: SESSION_NOT_FOUND; of a store STORE_UNAVAILABLE, STORE_CORRUPT and
// STORE_FORMAT_NEWER.
class Repository {
 public:
  virtual ~Repository() = default;

  // The session as it is now, renewed.
  virtual absl::StatusOr<FoundSession> Find(std::string_view key) = 0;

  // Adds a new session, or finds the one with its key that `is_same`: then the call is a retry.
  // `copied`: what a copy of another holds, or null. SESSION_EXISTS, QUOTA_SESSIONS; for copies
  // QUOTA_STEPS and QUOTA_MASK_CACHE too.
  using IsSame = absl::FunctionRef<bool(const SessionImage&)>;
  struct Copied {
    std::vector<StoreField> fields;
    SessionParts parts;
  };
  virtual absl::StatusOr<FoundSession> Create(const std::string& key, SharedImage image,
                                              IsSame is_same, Copied* copied) = 0;

  virtual absl::Status Delete(std::string_view key) = 0;

  // Up to `count` sessions of the tenant of `after` with keys after it, sorted by key; renews none.
  virtual absl::StatusOr<SessionList> List(std::string_view after, std::size_t count) = 0;

  // Makes the session what `change` makes of it, which may be called again, on what another server
  // has made of the session meanwhile. Returns what it has become.
  using Next = absl::FunctionRef<absl::StatusOr<SharedImage>(const SharedImage&)>;
  virtual absl::StatusOr<SharedImage> Change(std::string_view key, Next change) = 0;

  // A session with all that it holds, at one moment. QUOTA_MESSAGE_BYTES for more than `max_bytes`.
  virtual absl::StatusOr<SessionContents> Contents(std::string_view key, std::size_t max_bytes) = 0;

  // --- Steps ---

  // The layer, with the record of the step at `step` if there is one and it `needs_record`: then
  // with its bits, if they cannot be made again, and with its input, if that is not in the record.
  // LAYER_NOT_FOUND.
  virtual absl::StatusOr<StepPlace> FindStep(std::string_view key, std::string_view layer_id,
                                             const std::optional<StepKey>& step,
                                             bool needs_record) = 0;

  // Writes a record of a layer as it is here, in one round trip with the question whether that is
  // how it is. `prepare` answers the record for the place, which must stay until this returns, or
  // null for one that cannot be written so. Null if it must be written the other way: FindStep,
  // then StartRecord.
  using Prepare = absl::FunctionRef<const StepRecord*(const StepPlace&)>;
  virtual std::unique_ptr<RecordWrite> WriteHere(std::string_view key, std::string_view layer_id,
                                                 const StepKey& step, Prepare prepare) = 0;

  // Begins to write the record at the layer's key; `input`: what its Backward needs, or null.
  virtual std::unique_ptr<RecordWrite> StartRecord(const StepPlace& place, const StepRecord& record,
                                                   std::shared_ptr<const RetainedInput> input,
                                                   IfPresent if_present) = 0;

  // Forgets the place's record.
  virtual absl::Status Release(const StepPlace& place) = 0;

  // Of a layer, or of all where the id is empty: every step up to and including `through`; returns
  // how many records. LAYER_NOT_FOUND.
  virtual absl::StatusOr<std::uint64_t> ReleaseSteps(std::string_view key,
                                                     std::string_view layer_id,
                                                     std::uint64_t through) = 0;

  // The mask of the place's step. If one was drawn with this shape before, that one, and `record`
  // says how; else one that `draw` takes from the session's sequential generator, whose record,
  // with the bits in it, is kept together with where the generator is then. `draw` may be called
  // again, from another place of the stream. An error has drawn nothing. QUOTA_STEPS,
  // QUOTA_MASK_CACHE.
  using DrawRecord = absl::FunctionRef<StepRecord(SequentialNoise&)>;
  struct Drawn {
    SharedBits bits;
    SharedRecord record;  // Null: it was drawn now.
  };
  virtual absl::StatusOr<Drawn> Draw(const StepPlace& place, const StepKey& asked,
                                     const Shape& shape, DrawRecord draw) = 0;

  // Removes what has expired, and copies that nobody has used for a while; returns how many.
  virtual std::size_t Sweep() = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_REPOSITORY_H_
