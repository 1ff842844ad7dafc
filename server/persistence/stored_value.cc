#include "server/persistence/stored_value.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"

namespace dropoutd {
namespace {

// Formats have numbers below the first byte that any value of format 1 but a 1 begins with.
constexpr unsigned char kFormatsEnd = 16;

// A field of two bytes may take a hundred once it is parsed: no more of them than what is stored
// can have, whose entries are larger.
bool HasFewFields(std::string_view bytes) {
  constexpr std::size_t kAnyway = 65'536;
  constexpr std::size_t kLeastEntry = 32;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  if (bytes.size() <= kAnyway) return true;
  std::size_t left = kAnyway + bytes.size() / kLeastEntry;
  while (const std::uint32_t tag = in.ReadTag()) {
    if (left-- == 0) return false;
    if (!google::protobuf::internal::WireFormatLite::SkipField(&in, tag)) break;
  }
  return true;  // What does not parse is found by the parser.
}

absl::Status OfRecord(Reason reason, std::string_view what, std::string_view is) {
  return MakeError(
      reason, absl::StrCat("the store's record of ", absl::string_view(what.data(), what.size()),
                           absl::string_view(is.data(), is.size())));
}

}  // namespace

ValueFormat FormatOf(std::string_view value) {
  const auto first = static_cast<unsigned char>(value.empty() ? 0 : value.front());
  if (first == kFormat2) return ValueFormat::kTwo;
  return first > kFormat2 && first < kFormatsEnd ? ValueFormat::kLater : ValueFormat::kOne;
}

absl::Status StoredDamaged(std::string_view what) {
  return OfRecord(Reason::kStoreCorrupt, what, " is damaged");
}

absl::Status StoredNewer(std::string_view what) {
  return OfRecord(Reason::kStoreFormatNewer, what, " needs a later version of the server");
}

std::string ValueOf(const google::protobuf::MessageLite& message) {
  std::string value;
  value.reserve(1 + message.ByteSizeLong());
  value += kFormat2;
  message.AppendToString(&value);
  return value;
}

absl::Status ParseMessage(std::string_view bytes, std::string_view what,
                          google::protobuf::MessageLite& message) {
  const bool fits = bytes.size() <= std::size_t{std::numeric_limits<int>::max()};
  return fits && HasFewFields(bytes) &&
                 message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))
             ? absl::OkStatus()
             : StoredDamaged(what);
}

std::string FieldHead(int number, std::size_t size) {
  using Wire = google::protobuf::internal::WireFormatLite;
  using Output = google::protobuf::io::CodedOutputStream;
  std::uint8_t bytes[16];
  const std::uint32_t tag = Wire::MakeTag(number, Wire::WIRETYPE_LENGTH_DELIMITED);
  std::uint8_t* const length = Output::WriteVarint32ToArray(tag, bytes);
  const std::uint8_t* const end = Output::WriteVarint64ToArray(size, length);
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(end - bytes)};
}

}  // namespace dropoutd
