#include "client/cli/enum_names.h"

#include <algorithm>
#include <iterator>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace dropout::cli {
namespace {

template <typename Enum>
struct Word {
  Enum value;
  const char* name;
};

constexpr Word<Mode> kModes[] = {{Mode::kTrain, "train"}, {Mode::kEval, "eval"}};

constexpr Word<Generator> kGenerators[] = {{Generator::kPhilox, "philox"},
                                           {Generator::kNumpyLegacy, "numpy_legacy"}};

constexpr Word<Scaling> kScalings[] = {
    {Scaling::kInverted, "inverted"}, {Scaling::kNone, "none"}, {Scaling::kEval, "eval"}};

constexpr Word<DataType> kDataTypes[] = {{DataType::kFloat32, "float32"},
                                         {DataType::kFloat64, "float64"},
                                         {DataType::kFloat16, "float16"},
                                         {DataType::kBFloat16, "bfloat16"}};

template <typename Words, typename Enum>
std::string Find(const Words& words, Enum value) {
  if (value == Enum{}) return "unspecified";
  const auto word = std::find_if(std::begin(words), std::end(words),
                                 [=](const auto& entry) { return entry.value == value; });
  return word != std::end(words) ? word->name
                                 : absl::StrCat("unknown(", static_cast<int>(value), ")");
}

template <typename Words, typename Enum>
bool Parse(const Words& words, absl::string_view name, Enum* value) {
  const auto word = std::find_if(std::begin(words), std::end(words),
                                 [=](const auto& entry) { return entry.name == name; });
  if (word == std::end(words)) return false;
  *value = word->value;
  return true;
}

template <typename Words>
std::string Join(const Words& words) {
  return absl::StrJoin(words, "|",
                       [](std::string* out, const auto& word) { absl::StrAppend(out, word.name); });
}

}  // namespace

std::string NameOf(Mode mode) { return Find(kModes, mode); }
std::string NameOf(Generator generator) { return Find(kGenerators, generator); }
std::string NameOf(Scaling scaling) { return Find(kScalings, scaling); }
std::string NameOf(DataType dtype) { return Find(kDataTypes, dtype); }

std::string NameOf(const Variant& variant) {
  return std::holds_alternative<Dropout>(variant) ? "dropout" : "unknown";
}

bool ParseName(absl::string_view name, Mode* value) { return Parse(kModes, name, value); }
bool ParseName(absl::string_view name, Generator* value) { return Parse(kGenerators, name, value); }
bool ParseName(absl::string_view name, Scaling* value) { return Parse(kScalings, name, value); }
bool ParseName(absl::string_view name, DataType* value) { return Parse(kDataTypes, name, value); }

template <>
std::string Names<Mode>() {
  return Join(kModes);
}
template <>
std::string Names<Generator>() {
  return Join(kGenerators);
}
template <>
std::string Names<Scaling>() {
  return Join(kScalings);
}
template <>
std::string Names<DataType>() {
  return Join(kDataTypes);
}

}  // namespace dropout::cli
