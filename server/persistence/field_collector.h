// Fields up to a number of bytes.
#ifndef DROPOUTD_SERVER_PERSISTENCE_FIELD_COLLECTOR_H_
#define DROPOUTD_SERVER_PERSISTENCE_FIELD_COLLECTOR_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/store/store.h"

namespace dropoutd {

// Collects what an export may hold. Not thread-safe.
class FieldCollector {
 public:
  explicit FieldCollector(std::size_t max_bytes) : left_(max_bytes) {}

  // QUOTA_MESSAGE_BYTES.
  absl::Status Add(StoreField field);

  std::vector<StoreField> Take() { return std::move(fields_); }

 private:
  std::size_t left_;
  std::vector<StoreField> fields_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_FIELD_COLLECTOR_H_
