// Names of what a store keeps of a session: its parts, and the fields beside them.
#ifndef DROPOUTD_SERVER_PERSISTENCE_FIELD_NAMES_H_
#define DROPOUTD_SERVER_PERSISTENCE_FIELD_NAMES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/session/session_image.h"
#include "server/session/step_book.h"
#include "server/store/store.h"

namespace dropoutd {

// Of parts: that of the session, of a layer, and of all that in format 1.
std::string HeadPartName();
std::string LayerPartName(std::uint64_t uid);
std::string DocumentPartName();

// The layer that a part is of; nothing for other names.
std::optional<std::uint64_t> ParseLayerPartName(std::string_view name);

// Of fields. Numbers are big-endian, so that the byte order is the order of the steps, and of the
// parameters' numbers.
std::string StepField(std::uint64_t uid, const StepKey& key);
std::string ParametersField(std::uint64_t uid, const ParametersId& id);
std::string StreamField();  // The state of the session's sequential generator.

// Of format 1, and only read: a step's record of that format names its configuration's revision.
std::string ConfigField(std::uint64_t uid, std::uint64_t revision);

// All fields of a layer of one kind.
enum class FieldKind : char { kStep = 's', kConfig = 'c', kParameters = 'p' };
FieldRange LayerFields(FieldKind kind, std::uint64_t uid);

// Those of the steps up to and including `through`.
FieldRange StepFieldsThrough(std::uint64_t uid, std::uint64_t through);

// What a field's name says.
struct FieldName {
  FieldKind kind = FieldKind::kStep;
  std::uint64_t uid = 0;
  StepKey step;                // Of kStep.
  std::uint64_t revision = 0;  // Of kConfig.
  ParametersId parameters;     // Of kParameters.
};

// Nothing for names that the functions above do not make, and for the stream's.
std::optional<FieldName> ParseFieldName(std::string_view name);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_FIELD_NAMES_H_
