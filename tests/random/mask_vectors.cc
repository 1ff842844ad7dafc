#include "tests/random/mask_vectors.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace dropoutd {
namespace {

nlohmann::json Load() {
  std::ifstream file(MASK_VECTORS_PATH);
  nlohmann::json vectors = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (vectors.is_discarded()) {
    std::fprintf(stderr, "cannot read %s\n", MASK_VECTORS_PATH);
    std::abort();
  }
  return vectors;
}

}  // namespace

const nlohmann::json& MaskVectors(const std::string& part) {
  static const nlohmann::json vectors = Load();
  const nlohmann::json& list = vectors.at(part);
  if (list.empty()) {
    std::fprintf(stderr, "%s has no %s\n", MASK_VECTORS_PATH, part.c_str());
    std::abort();
  }
  return list;
}

std::uint64_t ToUint64(const nlohmann::json& text) {
  return std::stoull(text.get_ref<const std::string&>());
}

std::uint64_t HexToUint64(const nlohmann::json& text) {
  return std::stoull(text.get_ref<const std::string&>(), nullptr, 16);
}

std::vector<std::uint8_t> HexToBytes(const nlohmann::json& text) {
  const auto& hex = text.get_ref<const std::string&>();
  std::vector<std::uint8_t> bytes(hex.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  }
  return bytes;
}

std::string BytesToHex(const std::uint8_t* bytes, std::size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (std::size_t i = 0; i < size; ++i) {
    hex += kDigits[bytes[i] >> 4];
    hex += kDigits[bytes[i] & 15];
  }
  return hex;
}

double HexToDouble(const nlohmann::json& text) {
  return std::strtod(text.get_ref<const std::string&>().c_str(), nullptr);
}

MaskKey ToMaskKey(const nlohmann::json& vector) {
  const bool by_step = vector.at("keyed_by") == "step";
  return {ToUint64(vector.at("seed")), vector.at("layer_id").get_ref<const std::string&>(),
          by_step ? KeyKind::kStep : KeyKind::kSequence, ToUint64(vector.at("t"))};
}

}  // namespace dropoutd
