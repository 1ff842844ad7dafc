// Reads tests/reference/mask_vectors.json; its comment says what each part holds.
#ifndef DROPOUTD_TESTS_RANDOM_MASK_VECTORS_H_
#define DROPOUTD_TESTS_RANDOM_MASK_VECTORS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/random/mask_key.h"

namespace dropoutd {

// The list named `part`. Ends the program if the file cannot be read; never empty.
const nlohmann::json& MaskVectors(const std::string& part);

// Integers that are written as decimal strings.
std::uint64_t ToUint64(const nlohmann::json& text);

// Strings of hex: one number, or bytes of two digits each, or the words of a list.
std::uint64_t HexToUint64(const nlohmann::json& text);
std::vector<std::uint8_t> HexToBytes(const nlohmann::json& text);
std::string BytesToHex(const std::uint8_t* bytes, std::size_t size);

// A C hex float.
double HexToDouble(const nlohmann::json& text);

// seed, layer_id, keyed_by and t of a vector. Refers to the vector's layer_id.
MaskKey ToMaskKey(const nlohmann::json& vector);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_RANDOM_MASK_VECTORS_H_
