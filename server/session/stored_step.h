// Steps as a store or a snapshot has them, taken for good only if they are whole.
#ifndef DROPOUTD_SERVER_SESSION_STORED_STEP_H_
#define DROPOUTD_SERVER_SESSION_STORED_STEP_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/parameters.h"
#include "server/session/retained_input.h"
#include "server/session/session_codec.h"
#include "server/session/step_book.h"

namespace dropoutd {

// The record of the step at `key` of a layer that had `config` then. STORE_CORRUPT unless it is one
// that such a layer writes: its rate and shape fit, and it has the bits and the input that its
// gradient needs, and no others. What it has besides an input is checked.
absl::StatusOr<StepRecord> RecordOf(const DecodedStep& step, const StepKey& key,
                                    std::shared_ptr<const LayerConfig> config);

// The input of a step that has one, and whose record is `record`; `parameters`: that were in force.
// STORE_CORRUPT unless both fit the record, and its gradient needs nothing else.
absl::StatusOr<std::shared_ptr<const RetainedInput>> InputOf(const DecodedStep& step,
                                                             const StepRecord& record,
                                                             SharedParameters parameters);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_STORED_STEP_H_
