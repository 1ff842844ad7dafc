// What the store keeps of a session: its document, and the fields beside it.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_CODEC_H_
#define DROPOUTD_SERVER_SESSION_SESSION_CODEC_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/packed_bits.h"
#include "server/dropout/parameters.h"
#include "server/dropout/plan.h"
#include "server/dropout/shape.h"
#include "server/session/retained_input.h"
#include "server/session/step_book.h"
#include "server/store/store.h"

namespace dropoutd {

// A layer, as it is now.
struct LayerImage {
  std::uint64_t uid = 0;  // Of this layer alone: one made later under the same id has another.
  LayerConfig created;    // As CreateLayer had it.
  LayerConfig config;
  Mode mode = Mode::kTrain;
  std::uint64_t revision = 1;
  std::uint64_t parameters_version = 0;  // Names its parameters' field; 0: it has none.

  friend bool operator==(const LayerImage&, const LayerImage&) = default;
};

// A session, but for its steps. Times in nanoseconds, since 1970 where they are points.
struct SessionImage {
  std::uint64_t incarnation =
      0;  // Drawn when it is made: tells it from one that had its key before.
  std::uint64_t seed = 0;
  bool seed_given = false;
  std::optional<std::int64_t> ttl_given;
  std::int64_t ttl = 0;
  std::int64_t create_time = 0;
  Mode created_mode = Mode::kTrain;
  std::vector<LayerConfig> created_layers;
  Mode mode = Mode::kTrain;
  std::uint64_t next_uid = 1;
  std::vector<LayerImage> layers;
  std::uint64_t origin = 0;  // Of a copy: names what it was made from. 0: it is none.

  friend bool operator==(const SessionImage&, const SessionImage&) = default;
};

// Parameters by the uid of their layer.
using ParametersByUid = std::map<std::uint64_t, SharedParameters>;

// A step's record. What else a Backward needs is found by it: the configuration of its revision,
// the parameters of its version, and the payload behind it.
struct StepImage {
  std::uint64_t revision = 1;
  Mode mode = Mode::kTrain;
  DropRate rate;
  Shape shape;
  std::uint64_t parameters_version = 0;
  bool has_input = false;   // The payload is the Forward's input.
  bool has_bits = false;    // The payload is the bits of a sequential generator.
  std::uint64_t nonce = 0;  // Drawn for each Forward: tells one's record from another's.
};

// An encoded step without a payload is no longer than this.
inline constexpr std::size_t kMostStepBytes = 128;

struct DecodedStep {
  StepImage image;
  std::string_view payload;  // In the bytes that were decoded.
};

std::string EncodeSession(const SessionImage& image);
std::string EncodeStep(const StepImage& image, std::string_view payload = {});
std::string EncodeParameters(const Parameters& parameters);
std::string EncodeInput(const RetainedInput& input);
std::string EncodeBits(const PackedBits& bits);

// The whole of a step: its record with its bits, if it has some, or its input, if that is not null.
std::string EncodeRecord(const StepRecord& record, const RetainedInput* input);

// STORE_CORRUPT for bytes that the functions above cannot have made, and for a session whose layers
// lack something or contradict each other. The input's parameters are left null.
absl::StatusOr<SessionImage> DecodeSession(std::string_view bytes);
absl::StatusOr<DecodedStep> DecodeStep(std::string_view bytes);
absl::StatusOr<Parameters> DecodeParameters(std::string_view bytes);
absl::StatusOr<std::shared_ptr<RetainedInput>> DecodeInput(std::string_view bytes);
absl::StatusOr<std::shared_ptr<const PackedBits>> DecodeBits(std::string_view bytes);

// Names of fields. Numbers are big-endian, so that the byte order is the order of the steps.
std::string StepField(std::uint64_t uid, const StepKey& key);
std::string ConfigField(std::uint64_t uid, std::uint64_t revision);
std::string ParametersField(std::uint64_t uid, std::uint64_t version);
std::string StreamField();  // The state of the session's sequential generator.

// A field that says whose the other fields are.
StoreField IncarnationField(std::uint64_t incarnation);

// All fields of a layer of one kind.
enum class FieldKind : char { kStep = 's', kConfig = 'c', kParameters = 'p' };
FieldRange LayerFields(FieldKind kind, std::uint64_t uid);

// What a field's name says.
struct FieldName {
  FieldKind kind = FieldKind::kStep;
  std::uint64_t uid = 0;
  std::uint64_t number = 0;  // The revision or version.
  StepKey step;              // Of kStep.
};

// Nothing for names that the functions above do not make.
std::optional<FieldName> ParseFieldName(std::string_view name);

// Those of the steps up to and including `through`.
FieldRange StepFieldsThrough(std::uint64_t uid, std::uint64_t through);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_CODEC_H_
