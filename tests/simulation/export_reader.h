// An exported session, as the model has it.
#ifndef DROPOUTD_TESTS_SIMULATION_EXPORT_READER_H_
#define DROPOUTD_TESTS_SIMULATION_EXPORT_READER_H_

#include <functional>
#include <string_view>

#include "absl/status/statusor.h"
#include "tests/simulation/session_state.h"

namespace dropoutd {

// What an import of the bytes makes, but for the call that makes it. `spec_of`: the number of the
// spec with a seed. An error for bytes that no engine of the simulation writes.
struct ReadSession {
  SessionState state;
  Nanoseconds ttl{0};
};
absl::StatusOr<ReadSession> ReadExport(
    std::string_view bytes, const std::function<std::uint32_t(std::uint64_t seed)>& spec_of);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_EXPORT_READER_H_
