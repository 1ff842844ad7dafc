#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "server/session/session_codec.h"

namespace dropoutd {
namespace {

void AppendBigEndian(std::uint64_t value, std::string& name) {
  for (int shift = 56; shift >= 0; shift -= 8) name += static_cast<char>(value >> shift);
}

std::string LayerName(FieldKind kind, std::uint64_t uid) {
  std::string name(1, static_cast<char>(kind));
  AppendBigEndian(uid, name);
  return name;
}

std::string NumberedName(FieldKind kind, std::uint64_t uid, std::uint64_t number) {
  std::string name = LayerName(kind, uid);
  AppendBigEndian(number, name);
  return name;
}

}  // namespace

std::string StepField(std::uint64_t uid, const StepKey& key) {
  std::string name = NumberedName(FieldKind::kStep, uid, key.step);
  // With the sign's bit turned, negative offsets come first.
  AppendBigEndian(static_cast<std::uint64_t>(key.sample_offset) ^ std::uint64_t{1} << 63, name);
  AppendBigEndian(key.sequence_id, name);
  return name;
}

std::string ConfigField(std::uint64_t uid, std::uint64_t revision) {
  return NumberedName(FieldKind::kConfig, uid, revision);
}

std::string ParametersField(std::uint64_t uid, std::uint64_t version) {
  return NumberedName(FieldKind::kParameters, uid, version);
}

std::string StreamField() { return "r"; }

StoreField IncarnationField(std::uint64_t incarnation) {
  std::string value;
  AppendBigEndian(incarnation, value);
  return {"i", std::move(value)};
}

FieldRange LayerFields(FieldKind kind, std::uint64_t uid) {
  return {LayerName(kind, uid), LayerName(kind, uid + 1)};
}

FieldRange StepFieldsThrough(std::uint64_t uid, std::uint64_t through) {
  FieldRange range = LayerFields(FieldKind::kStep, uid);
  if (through != std::numeric_limits<std::uint64_t>::max()) {
    range.last = NumberedName(FieldKind::kStep, uid, through + 1);
  }
  return range;
}

}  // namespace dropoutd
