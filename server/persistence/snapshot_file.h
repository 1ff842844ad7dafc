// A session as a file: what ExportSession answers and ImportSession takes.
#ifndef DROPOUTD_SERVER_PERSISTENCE_SNAPSHOT_FILE_H_
#define DROPOUTD_SERVER_PERSISTENCE_SNAPSHOT_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/token.h"
#include "server/persistence/session_contents.h"

namespace dropoutd {

// `id` is drawn for each export, and tells one from another.
struct Snapshot {
  Token id;
  SessionContents contents;  // Its fields have values, and no tokens.
};

// An export: a magic line, the byte of the format, StoredExport of stored.proto, and the CRC-32C of
// what precedes it, little-endian. Copies each field once.
std::string EncodeSnapshot(const Snapshot& snapshot);

// INVALID_SESSION, and why the snapshot is not one.
absl::Status InvalidSnapshot(std::string_view why);

// Of this format or of format 1. The image has no incarnation, unless it is of format 1, and its
// layers have their parameters, which are among the fields too. The other fields are as they came:
// TakeApart checks them. INVALID_SESSION for bytes that EncodeSnapshot cannot have made;
// STORE_FORMAT_NEWER for those of a later version.
absl::StatusOr<Snapshot> DecodeSnapshot(std::string_view bytes);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_SNAPSHOT_FILE_H_
