// A session with all that belongs to it: as a store keeps it, as one file, and taken apart.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_CONTENTS_H_
#define DROPOUTD_SERVER_SESSION_SESSION_CONTENTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/dropout/sequential_noise.h"
#include "server/session/retained_input.h"
#include "server/session/session_codec.h"
#include "server/session/step_book.h"
#include "server/store/store.h"

namespace dropoutd {

struct SessionContents {
  SessionImage image;
  std::vector<StoreField> fields;  // All but the incarnation's.
};

// Collects fields up to a number of bytes.
class FieldCollector {
 public:
  explicit FieldCollector(std::size_t max_bytes) : left_(max_bytes) {}

  // QUOTA_MESSAGE_BYTES.
  absl::Status Add(std::string name, std::string value);

  std::vector<StoreField> Take() { return std::move(fields_); }

 private:
  std::size_t left_;
  std::vector<StoreField> fields_;
};

// A snapshot: a line that says what it is, the contents, and their CRC-32C. `id` is drawn for each,
// and tells one from another.
struct Snapshot {
  std::uint64_t id = 0;
  SessionContents contents;
};
std::string EncodeSnapshot(const Snapshot& snapshot);

// INVALID_SESSION, and why the snapshot is not one.
absl::Status InvalidSnapshot(std::string_view why);

// INVALID_SESSION for bytes that EncodeSnapshot cannot have made.
absl::StatusOr<Snapshot> DecodeSnapshot(std::string_view bytes);

// What the fields of a session hold.
struct SessionParts {
  struct Step {
    std::uint64_t uid = 0;  // Of its layer.
    StepKey key;
    StepRecord record;
    std::shared_ptr<const RetainedInput> input;  // Null unless the gradient needs it.
  };

  ParametersByUid parameters;  // That are in force.
  std::vector<Step> steps;
  std::optional<SequentialNoise> stream;
};

// Trusts nothing: what comes out is what a server could have made. INVALID_SESSION.
absl::StatusOr<SessionParts> TakeApart(const SessionContents& contents);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_CONTENTS_H_
