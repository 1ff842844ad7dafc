#include "server/session/session_contents.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/crc32c.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/session/byte_codec.h"

namespace dropoutd {

// Beside StoreField, where the codec looks for it.
template <typename Codec>
void Describe(Codec& codec, StoreField& field) {
  codec(field.name, field.value);
}

namespace {

constexpr std::string_view kMagic = "dropout session\n";
constexpr std::uint32_t kSnapshotFormat = 1;
constexpr std::size_t kChecksumBytes = 4;

struct File {
  std::uint64_t id = 0;
  std::string document;
  std::vector<StoreField> fields;
};

template <typename Codec>
void Describe(Codec& codec, File& file) {
  codec(file.id, file.document, file.fields);
}

std::string ChecksumOf(std::string_view bytes) {
  const std::uint32_t crc = Crc32c(bytes);
  std::string checksum;
  for (int shift = 0; shift < 32; shift += 8) checksum += static_cast<char>(crc >> shift);
  return checksum;
}

}  // namespace

absl::Status InvalidSnapshot(std::string_view why) {
  return MakeError(Reason::kInvalidSession,
                   absl::StrCat("snapshot: ", absl::string_view(why.data(), why.size())));
}

absl::Status FieldCollector::Add(std::string name, std::string value) {
  const std::size_t size = name.size() + value.size();
  if (size > left_) {
    return MakeError(Reason::kQuotaMessageBytes,
                     "session_id: the session does not fit a message; release steps");
  }
  left_ -= size;
  fields_.push_back({std::move(name), std::move(value)});
  return absl::OkStatus();
}

std::string EncodeSnapshot(const Snapshot& snapshot) {
  const File file = {snapshot.id, EncodeSession(snapshot.contents.image), snapshot.contents.fields};
  Encoder encoder;
  encoder(kSnapshotFormat, file);
  std::string bytes(kMagic);
  bytes += encoder.Take();
  return bytes + ChecksumOf(bytes);
}

absl::StatusOr<Snapshot> DecodeSnapshot(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic || bytes.size() < kMagic.size() + kChecksumBytes) {
    return InvalidSnapshot("not the export of a session");
  }
  const std::size_t end = bytes.size() - kChecksumBytes;
  if (ChecksumOf(bytes.substr(0, end)) != bytes.substr(end))
    return InvalidSnapshot("damaged or cut short");
  Decoder decoder(bytes.substr(kMagic.size(), end - kMagic.size()));
  std::uint32_t format = 0;
  File file;
  decoder(format);
  if (decoder.ok() && format != kSnapshotFormat)
    return InvalidSnapshot("made by a later version of the server");
  decoder(file);
  if (!decoder.ok()) return InvalidSnapshot("damaged");
  auto image = DecodeSession(file.document);
  if (!image.ok()) return InvalidSnapshot("the record of the session is damaged");
  return Snapshot{file.id, {*std::move(image), std::move(file.fields)}};
}

}  // namespace dropoutd
