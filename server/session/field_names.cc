#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/session/session_codec.h"

namespace dropoutd {
namespace {

constexpr std::size_t kNumberBytes = 8;
constexpr std::uint64_t kSignBit = std::uint64_t{1} << 63;

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

std::uint64_t TakeBigEndian(std::string_view& name) {
  std::uint64_t value = 0;
  for (const char c : name.substr(0, kNumberBytes)) {
    value = value << 8 | static_cast<unsigned char>(c);
  }
  name.remove_prefix(kNumberBytes);
  return value;
}

}  // namespace

std::string StepField(std::uint64_t uid, const StepKey& key) {
  std::string name = NumberedName(FieldKind::kStep, uid, key.step);
  // With the sign's bit turned, negative offsets come first.
  AppendBigEndian(static_cast<std::uint64_t>(key.sample_offset) ^ kSignBit, name);
  AppendBigEndian(key.sequence_id, name);
  return name;
}

std::string ConfigField(std::uint64_t uid, std::uint64_t revision) {
  return NumberedName(FieldKind::kConfig, uid, revision);
}

std::string ParametersField(std::uint64_t uid, std::uint64_t version) {
  return NumberedName(FieldKind::kParameters, uid, version);
}

std::optional<FieldName> ParseFieldName(std::string_view name) {
  if (name.empty()) return std::nullopt;
  FieldName field;
  field.kind = static_cast<FieldKind>(name.front());
  const bool is_step = field.kind == FieldKind::kStep;
  if (!is_step && field.kind != FieldKind::kConfig && field.kind != FieldKind::kParameters) {
    return std::nullopt;
  }
  name.remove_prefix(1);
  if (name.size() != kNumberBytes * (is_step ? 4 : 2)) return std::nullopt;
  field.uid = TakeBigEndian(name);
  field.number = TakeBigEndian(name);
  if (is_step) {
    field.step.step = field.number;
    field.step.sample_offset = static_cast<std::int64_t>(TakeBigEndian(name) ^ kSignBit);
    field.step.sequence_id = TakeBigEndian(name);
  }
  return field;
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
