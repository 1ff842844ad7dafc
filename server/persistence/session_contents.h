// A session with all that it holds, as a store has it, and taken apart.
#ifndef DROPOUTD_SERVER_PERSISTENCE_SESSION_CONTENTS_H_
#define DROPOUTD_SERVER_PERSISTENCE_SESSION_CONTENTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/dropout/sequential_noise.h"
#include "server/session/retained_input.h"
#include "server/session/session_image.h"
#include "server/session/step_book.h"
#include "server/store/store.h"

namespace dropoutd {

struct SessionContents {
  SessionImage image;
  std::vector<StoreField> fields;  // With those of the parameters that are in force.
};

// What the fields of a session hold.
struct SessionParts {
  struct Step {
    std::uint64_t uid = 0;  // Of its layer.
    StepKey key;
    StepRecord record;                           // With its field's token.
    std::shared_ptr<const RetainedInput> input;  // Null unless the gradient needs it.
  };

  // By their layers' uids and their ids: those in force, which are shared with the image if it has
  // them, and those that a step needs.
  std::map<std::pair<std::uint64_t, ParametersId>, SharedParameters> parameters;
  std::vector<Step> steps;  // In the order of the fields.
  std::optional<SequentialNoise> stream;
};

// Sets the parameters of the image's layers that are null and have an id. INVALID_SESSION if their
// fields are not there or do not fit; STORE_FORMAT_NEWER.
absl::Status FillParameters(SessionContents& contents);

// Trusts no field: what comes out is what a server could have made. INVALID_SESSION,
// STORE_FORMAT_NEWER.
absl::StatusOr<SessionParts> TakeApart(const SessionContents& contents);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_SESSION_CONTENTS_H_
