#include "server/persistence/field_names.h"

#include <cstddef>
#include <initializer_list>
#include <limits>

namespace dropoutd {
namespace {

constexpr char kHead = 's';
constexpr char kLayer = 'l';
constexpr char kStream = 'r';
constexpr std::size_t kNumberBytes = 8;
constexpr std::uint64_t kSignBit = std::uint64_t{1} << 63;
constexpr std::uint64_t kMaxNumber = std::numeric_limits<std::uint64_t>::max();

void AppendBigEndian(std::uint64_t value, std::string& name) {
  for (int shift = 56; shift >= 0; shift -= 8) name += static_cast<char>(value >> shift);
}

std::string NameOf(char kind, std::initializer_list<std::uint64_t> numbers) {
  std::string name(1, kind);
  for (const std::uint64_t each : numbers) AppendBigEndian(each, name);
  return name;
}

std::string NameOf(FieldKind kind, std::initializer_list<std::uint64_t> numbers) {
  return NameOf(static_cast<char>(kind), numbers);
}

// The numbers behind the kind; fewer than they are if there are other bytes.
std::size_t ReadNumbers(std::string_view name, std::uint64_t (&numbers)[4]) {
  name.remove_prefix(1);
  if (name.size() % kNumberBytes != 0 || name.size() > sizeof(numbers)) return 0;
  std::size_t count = 0;
  for (; !name.empty(); name.remove_prefix(kNumberBytes)) {
    std::uint64_t value = 0;
    for (const char c : name.substr(0, kNumberBytes)) {
      value = value << 8 | static_cast<unsigned char>(c);
    }
    numbers[count++] = value;
  }
  return count;
}

}  // namespace

std::string HeadPartName() { return NameOf(kHead, {}); }

std::string LayerPartName(std::uint64_t uid) { return NameOf(kLayer, {uid}); }

std::string DocumentPartName() { return "document"; }

std::optional<std::uint64_t> ParseLayerPartName(std::string_view name) {
  std::uint64_t numbers[4] = {};
  if (name.empty() || name.front() != kLayer || ReadNumbers(name, numbers) != 1) {
    return std::nullopt;
  }
  return numbers[0];
}

std::string StepField(std::uint64_t uid, const StepKey& key) {
  // With the sign's bit turned, negative offsets come first.
  const std::uint64_t offset = static_cast<std::uint64_t>(key.sample_offset) ^ kSignBit;
  return NameOf(FieldKind::kStep, {uid, key.step, offset, key.sequence_id});
}

std::string ParametersField(std::uint64_t uid, const ParametersId& id) {
  if (id.random == 0) return NameOf(FieldKind::kParameters, {uid, id.number});
  return NameOf(FieldKind::kParameters, {uid, id.number, id.random});
}

std::string StreamField() { return NameOf(kStream, {}); }

std::string ConfigField(std::uint64_t uid, std::uint64_t revision) {
  return NameOf(FieldKind::kConfig, {uid, revision});
}

FieldRange LayerFields(FieldKind kind, std::uint64_t uid) {
  const char next = static_cast<char>(static_cast<char>(kind) + 1);
  return {NameOf(kind, {uid}), uid == kMaxNumber ? NameOf(next, {}) : NameOf(kind, {uid + 1})};
}

FieldRange StepFieldsThrough(std::uint64_t uid, std::uint64_t through) {
  FieldRange range = LayerFields(FieldKind::kStep, uid);
  if (through != kMaxNumber) range.last = NameOf(FieldKind::kStep, {uid, through + 1});
  return range;
}

std::optional<FieldName> ParseFieldName(std::string_view name) {
  std::uint64_t numbers[4] = {};
  if (name.empty()) return std::nullopt;
  const std::size_t count = ReadNumbers(name, numbers);
  FieldName field;
  field.kind = static_cast<FieldKind>(name.front());
  field.uid = numbers[0];
  if (field.kind == FieldKind::kStep && count == 4) {
    field.step = {numbers[1], static_cast<std::int64_t>(numbers[2] ^ kSignBit), numbers[3]};
  } else if (field.kind == FieldKind::kConfig && count == 2) {
    field.revision = numbers[1];
  } else if (field.kind == FieldKind::kParameters &&
             (count == 2 || (count == 3 && numbers[2] != 0))) {
    field.parameters = {numbers[1], numbers[2]};
  } else {
    return std::nullopt;
  }
  return field;
}

}  // namespace dropoutd
