// Uses all that a session has, for the fuzz targets that make sessions of any bytes.
#ifndef DROPOUTD_TESTS_FUZZ_USE_SESSION_H_
#define DROPOUTD_TESTS_FUZZ_USE_SESSION_H_

#include "server/engine/engine.h"

namespace dropoutd {

// Forward, Backward, GetMask and GetParameters of each layer, in the mode it has and then in the
// other; last an export, and the import of that. Aborts on an error without a reason. At the
// program's end the variants are printed that some session of this had, and those that none had.
void UseSession(Engine& engine, const SessionView& session);

// The reason that any error has, which this asks for; whether it is OK.
bool IsAnswer(const absl::Status& status);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_FUZZ_USE_SESSION_H_
