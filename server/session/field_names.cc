#include <cstdint>
#include <limits>
#include <string>

#include "server/session/session_codec.h"

namespace dropoutd {
namespace {

void AppendBigEndian(std::uint64_t value, std::string& name) {
  for (int shift = 56; shift >= 0; shift -= 8) name += static_cast<char>(value >> shift);
}

std::string LayerName(char kind, std::uint64_t uid) {
  std::string name(1, kind);
  AppendBigEndian(uid, name);
  return name;
}

std::string NumberedName(char kind, std::uint64_t uid, std::uint64_t number) {
  std::string name = LayerName(kind, uid);
  AppendBigEndian(number, name);
  return name;
}

std::string KeyedName(char kind, std::uint64_t uid, const StepKey& key) {
  std::string name = NumberedName(kind, uid, key.step);
  // With the sign's bit turned, negative offsets come first.
  AppendBigEndian(static_cast<std::uint64_t>(key.sample_offset) ^ std::uint64_t{1} << 63, name);
  AppendBigEndian(key.sequence_id, name);
  return name;
}

}  // namespace

std::string StepField(std::uint64_t uid, const StepKey& key) { return KeyedName('s', uid, key); }
std::string InputField(std::uint64_t uid, const StepKey& key) { return KeyedName('x', uid, key); }
std::string BitsField(std::uint64_t uid, const StepKey& key) { return KeyedName('b', uid, key); }

std::string ConfigField(std::uint64_t uid, std::uint64_t revision) {
  return NumberedName('c', uid, revision);
}

std::string ParametersField(std::uint64_t uid, std::uint64_t version) {
  return NumberedName('p', uid, version);
}

std::string StreamField() { return "r"; }

FieldRange LayerFields(char kind, std::uint64_t uid) {
  return {LayerName(kind, uid), LayerName(kind, uid + 1)};
}

FieldRange StepFieldsThrough(char kind, std::uint64_t uid, std::uint64_t through) {
  if (through == std::numeric_limits<std::uint64_t>::max()) return LayerFields(kind, uid);
  return {LayerName(kind, uid), NumberedName(kind, uid, through + 1)};
}

}  // namespace dropoutd
