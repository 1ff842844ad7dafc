#include "server/persistence/snapshot_file.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/crc32c.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/persistence/field_names.h"
#include "server/persistence/format1/format1.h"
#include "server/persistence/session_codec.h"
#include "server/persistence/stored.pb.h"  // Generated.
#include "server/persistence/stored_value.h"

namespace dropoutd {
namespace {

using dropout::stored::StoredEntry;
using dropout::stored::StoredExport;

constexpr std::string_view kMagic = "dropout session\n";
constexpr std::size_t kChecksumBytes = 4;

std::string ChecksumOf(std::string_view bytes) {
  const std::uint32_t crc = Crc32c(bytes);
  std::string checksum;
  for (int shift = 0; shift < 32; shift += 8) checksum += static_cast<char>(crc >> shift);
  return checksum;
}

// Appends an entry of the export by hand.
void AppendEntry(int number, std::string_view name, std::string_view value, std::string& to) {
  const std::string name_head = FieldHead(StoredEntry::kNameFieldNumber, name.size());
  const std::string value_head = FieldHead(StoredEntry::kValueFieldNumber, value.size());
  to += FieldHead(number, name_head.size() + name.size() + value_head.size() + value.size());
  to += name_head;
  to += name;
  to += value_head;
  to += value;
}

// Takes the strings out of the message.
template <typename Kept>
std::vector<Kept> TakeEntries(google::protobuf::RepeatedPtrField<StoredEntry>& entries) {
  std::vector<Kept> kept(static_cast<std::size_t>(entries.size()));
  for (std::size_t i = 0; i < kept.size(); ++i) {
    StoredEntry& entry = entries[static_cast<int>(i)];
    kept[i].name = std::move(*entry.mutable_name());
    kept[i].value = std::move(*entry.mutable_value());
  }
  return kept;
}

// Why an export is refused whose session's record is.
absl::Status RefusedRecord(const absl::Status& status) {
  if (ReasonOf(status) == Reason::kStoreFormatNewer) return status;
  return InvalidSnapshot("the record of the session is damaged");
}

// `inside`: what follows the format's number.
absl::StatusOr<Snapshot> ReadFormat1(std::string_view inside) {
  auto read = format1::ReadExport(inside);
  const auto has_value = [](const StoreField& field) { return field.value.has_value(); };
  if (!read.ok() || !std::all_of(read->fields.begin(), read->fields.end(), has_value)) {
    return InvalidSnapshot("damaged");
  }
  auto image = DecodeSession({{DocumentPartName(), std::move(read->document)}}, Token{});
  if (!image.ok()) return RefusedRecord(image.status());
  return Snapshot{read->id, {*std::move(image), std::move(read->fields)}};
}

absl::StatusOr<Snapshot> ReadFormat2(std::string_view value) {
  auto read = MessageOf<StoredExport>(value, "an export");
  if (ReasonOf(read.status()) == Reason::kStoreFormatNewer) return read.status();
  const auto id = read.ok() ? Token::FromBytes(read->id()) : std::nullopt;
  if (!id.has_value()) return InvalidSnapshot("damaged");
  auto image = DecodeSession(TakeEntries<StorePart>(*read->mutable_parts()), Token{});
  if (!image.ok()) return RefusedRecord(image.status());
  return Snapshot{*id, {*std::move(image), TakeEntries<StoreField>(*read->mutable_fields())}};
}

absl::StatusOr<Snapshot> ReadInside(std::string_view inside) {
  switch (FormatOf(inside)) {
    case ValueFormat::kTwo:
      return ReadFormat2(inside);
    case ValueFormat::kLater:
      return StoredNewer("an export");
    case ValueFormat::kOne:
      break;
  }
  if (inside.empty() || inside.front() != 1) return InvalidSnapshot("damaged");
  return ReadFormat1(inside.substr(1));
}

}  // namespace

absl::Status InvalidSnapshot(std::string_view why) {
  return MakeError(Reason::kInvalidSession,
                   absl::StrCat("snapshot: ", absl::string_view(why.data(), why.size())));
}

std::string EncodeSnapshot(const Snapshot& snapshot) {
  // An entry's heads are shorter than this.
  constexpr std::size_t kMostHeads = 32;
  const std::vector<StorePart> parts = EncodeSession(snapshot.contents.image);
  StoredExport head;
  head.set_id(snapshot.id.Bytes());
  std::string bytes(kMagic);
  bytes += ValueOf(head);
  std::size_t size = bytes.size() + kChecksumBytes;
  for (const StorePart& each : parts) size += each.name.size() + each.value->size() + kMostHeads;
  for (const StoreField& each : snapshot.contents.fields) {
    size += each.name.size() + each.value->size() + kMostHeads;
  }
  bytes.reserve(size);
  for (const StorePart& each : parts) {
    AppendEntry(StoredExport::kPartsFieldNumber, each.name, *each.value, bytes);
  }
  for (const StoreField& each : snapshot.contents.fields) {
    AppendEntry(StoredExport::kFieldsFieldNumber, each.name, *each.value, bytes);
  }
  return bytes += ChecksumOf(bytes);
}

absl::StatusOr<Snapshot> DecodeSnapshot(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic || bytes.size() < kMagic.size() + kChecksumBytes) {
    return InvalidSnapshot("not the export of a session");
  }
  const std::size_t end = bytes.size() - kChecksumBytes;
  if (ChecksumOf(bytes.substr(0, end)) != bytes.substr(end)) {
    return InvalidSnapshot("damaged or cut short");
  }
  DROPOUTD_ASSIGN_OR_RETURN(Snapshot snapshot,
                            ReadInside(bytes.substr(kMagic.size(), end - kMagic.size())));
  // A session that is no copy has no origin; none may pass for one.
  if (!snapshot.id) return InvalidSnapshot("damaged");
  DROPOUTD_RETURN_IF_ERROR(FillParameters(snapshot.contents));
  return snapshot;
}

}  // namespace dropoutd
