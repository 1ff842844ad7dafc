// What of a session's fields is of use.
#ifndef DROPOUTD_SERVER_PERSISTENCE_USE_FILTER_H_
#define DROPOUTD_SERVER_PERSISTENCE_USE_FILTER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "server/session/session_image.h"
#include "server/store/store.h"

namespace dropoutd {

// Tells what is of use from what only waits to be erased: tombstones, fields of layers that have
// gone, steps that are released, and steps whose parameters or configuration have gone. Asked once
// for each field, in the order of their names, in which steps are last. Not thread-safe.
class UseFilter {
 public:
  explicit UseFilter(const SessionImage& image);

  // DecodeStep's errors.
  absl::StatusOr<bool> IsOfUse(const StoreField& field);

 private:
  std::map<std::uint64_t, SharedLayer> layers_;
  std::set<std::string> known_;  // Names of configurations and parameters.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_USE_FILTER_H_
