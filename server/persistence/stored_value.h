// Values of format 2: a byte that says so, and a message of stored.proto.
#ifndef DROPOUTD_SERVER_PERSISTENCE_STORED_VALUE_H_
#define DROPOUTD_SERVER_PERSISTENCE_STORED_VALUE_H_

#include <google/protobuf/message_lite.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/dropout/shape.h"

namespace dropoutd {

inline constexpr char kFormat2 = 2;

// The version that this server reads and writes.
inline constexpr std::uint32_t kReaderVersion = 2;

enum class ValueFormat { kOne, kTwo, kLater };

// By the first byte: values of format 1 begin with a 1, a length of 32 or more, or text.
ValueFormat FormatOf(std::string_view value);

// `what` is as in "the store's record of a session".
absl::Status StoredDamaged(std::string_view what);  // STORE_CORRUPT.
absl::Status StoredNewer(std::string_view what);    // STORE_FORMAT_NEWER.

// The value that has the message.
std::string ValueOf(const google::protobuf::MessageLite& message);

// Reads the message of a value's type. STORE_CORRUPT.
absl::Status ParseMessage(std::string_view bytes, std::string_view what,
                          google::protobuf::MessageLite& message);

// Reads a value that must be of format 2 and for a reader of this version. STORE_CORRUPT,
// STORE_FORMAT_NEWER.
template <typename Message>
absl::StatusOr<Message> MessageOf(std::string_view value, std::string_view what) {
  const ValueFormat format = FormatOf(value);
  if (format == ValueFormat::kLater) return StoredNewer(what);
  if (format != ValueFormat::kTwo) return StoredDamaged(what);
  Message message;
  absl::Status parsed = ParseMessage(value.substr(1), what, message);
  if (!parsed.ok()) return parsed;
  if (message.reads_from() > kReaderVersion) return StoredNewer(what);
  return message;
}

// The beginning of a message's field of `size` bytes: for large ones, which are then copied once.
std::string FieldHead(int number, std::size_t size);

// Shapes as the messages' repeated fields.
template <typename Sizes>
void PutShape(const Shape& shape, Sizes& sizes) {
  sizes.Assign(shape.sizes().begin(), shape.sizes().end());
}

// INVALID_TENSOR.
template <typename Sizes>
absl::StatusOr<Shape> ShapeOf(const Sizes& sizes) {
  return Shape::Make({sizes.data(), static_cast<std::size_t>(sizes.size())});
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_STORED_VALUE_H_
