// What a store keeps of a session as bytes, its steps aside: parts, parameters and the stream.
#ifndef DROPOUTD_SERVER_PERSISTENCE_SESSION_CODEC_H_
#define DROPOUTD_SERVER_PERSISTENCE_SESSION_CODEC_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/token.h"
#include "server/dropout/parameters.h"
#include "server/dropout/sequential_noise.h"
#include "server/session/session_image.h"
#include "server/store/store.h"

namespace dropoutd {

// Pure functions; thread-safe. What is written is of format 2, as stored.proto has it; format 1 is
// read too. Errors of those that decode: STORE_CORRUPT for bytes that no server can have made;
// STORE_FORMAT_NEWER for those that take a later one to read.

// A session is its head and its layers. What a later version has stored with them is kept.
StorePart EncodeHead(const SessionImage& image);
StorePart EncodeLayer(const LayerImage& layer);
std::vector<StorePart> EncodeSession(const SessionImage& image);  // All its parts.

// The session whose parts these are, all of them, with this incarnation; none: that of format 1,
// {0, its number}. Layers' parameters are null, though their ids are set. STORE_CORRUPT also for
// layers that lack something or contradict each other.
absl::StatusOr<SessionImage> DecodeSession(const std::vector<StorePart>& parts, Token incarnation);

// The session after these parts have changed since `before`; what has not is shared. A changed
// layer keeps its parameters if their id is the same, else they are null.
absl::StatusOr<SessionImage> Refresh(const SessionImage& before,
                                     const std::vector<StorePart>& changed);

// OK if each layer of the session has all that its configuration needs, with its parameters, which
// are there by now. The one check of every session that comes from a store or an export.
// STORE_CORRUPT.
absl::Status CheckWhole(const SessionImage& image);

// Whether these are parts of a session of format 1. Its next change must write EncodeSession's
// parts and remove the part DocumentPartName().
bool IsFormat1(const std::vector<StorePart>& parts);

// A layer's parameters, the value of ParametersField. None are refused. Whether they fit their
// layer is CheckWhole's to say.
std::string EncodeParameters(const Parameters& parameters);
absl::StatusOr<Parameters> DecodeParameters(std::string_view bytes);

// Where the stream of a session with this seed is, the value of StreamField.
std::string EncodeStream(const SequentialNoise& stream);
absl::StatusOr<SequentialNoise> DecodeStream(std::string_view bytes, std::uint64_t seed);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_SESSION_CODEC_H_
