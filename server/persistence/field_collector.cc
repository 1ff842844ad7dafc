#include "server/persistence/field_collector.h"

#include "server/base/error.h"

namespace dropoutd {

absl::Status FieldCollector::Add(StoreField field) {
  const std::size_t size = field.name.size() + (field.value.has_value() ? field.value->size() : 0);
  if (size > left_) {
    return MakeError(Reason::kQuotaMessageBytes,
                     "session_id: the session has more bytes than --max_message_bytes allows; "
                     "release steps");
  }
  left_ -= size;
  fields_.push_back(std::move(field));
  return absl::OkStatus();
}

}  // namespace dropoutd
