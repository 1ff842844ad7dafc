#include "client/cli/enum_names.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace dropout::cli {
namespace {

template <typename Enum>
struct Word {
  Enum value;
  const char* name;
};

template <typename Enum>
constexpr Word<Enum> kWords[1] = {};

template <>
constexpr Word<Mode> kWords<Mode>[] = {{Mode::kTrain, "train"}, {Mode::kEval, "eval"}};

template <>
constexpr Word<Generator> kWords<Generator>[] = {{Generator::kPhilox, "philox"},
                                                 {Generator::kNumpyLegacy, "numpy_legacy"}};

template <>
constexpr Word<Scaling> kWords<Scaling>[] = {
    {Scaling::kInverted, "inverted"}, {Scaling::kNone, "none"}, {Scaling::kEval, "eval"}};

template <>
constexpr Word<MaskScope> kWords<MaskScope>[] = {{MaskScope::kSample, "sample"},
                                                 {MaskScope::kBatch, "batch"},
                                                 {MaskScope::kSequence, "sequence"},
                                                 {MaskScope::kStep, "step"}};

template <>
constexpr Word<DepthMode> kWords<DepthMode>[] = {{DepthMode::kRow, "row"},
                                                 {DepthMode::kBatch, "batch"}};

template <>
constexpr Word<Gamma> kWords<Gamma>[] = {{Gamma::kExact, "exact"}, {Gamma::kPaper, "paper"}};

template <>
constexpr Word<Normalization> kWords<Normalization>[] = {{Normalization::kSample, "sample"},
                                                         {Normalization::kBatch, "batch"}};

template <>
constexpr Word<ConnectTarget> kWords<ConnectTarget>[] = {{ConnectTarget::kLinear, "linear"},
                                                         {ConnectTarget::kWeights, "weights"}};

template <>
constexpr Word<DataType> kWords<DataType>[] = {{DataType::kFloat32, "float32"},
                                               {DataType::kFloat64, "float64"},
                                               {DataType::kFloat16, "float16"},
                                               {DataType::kBFloat16, "bfloat16"}};

}  // namespace

template <typename Enum>
std::string NameOf(Enum value) {
  if (value == Enum{}) return "unspecified";
  const auto word = std::find_if(std::begin(kWords<Enum>), std::end(kWords<Enum>),
                                 [=](const auto& entry) { return entry.value == value; });
  return word != std::end(kWords<Enum>) ? word->name
                                        : absl::StrCat("unknown(", static_cast<int>(value), ")");
}

template <typename Enum>
bool ParseName(absl::string_view name, Enum* value) {
  const auto word = std::find_if(std::begin(kWords<Enum>), std::end(kWords<Enum>),
                                 [=](const auto& entry) { return entry.name == name; });
  if (word == std::end(kWords<Enum>)) return false;
  *value = word->value;
  return true;
}

template <typename Enum>
std::string Names() {
  return absl::StrJoin(kWords<Enum>, "|",
                       [](std::string* out, const auto& word) { absl::StrAppend(out, word.name); });
}

template std::string NameOf(Mode);
template bool ParseName(absl::string_view, Mode*);
template std::string Names<Mode>();
template std::string NameOf(Generator);
template bool ParseName(absl::string_view, Generator*);
template std::string Names<Generator>();
template std::string NameOf(Scaling);
template bool ParseName(absl::string_view, Scaling*);
template std::string Names<Scaling>();
template std::string NameOf(MaskScope);
template bool ParseName(absl::string_view, MaskScope*);
template std::string Names<MaskScope>();
template std::string NameOf(DepthMode);
template bool ParseName(absl::string_view, DepthMode*);
template std::string Names<DepthMode>();
template std::string NameOf(Gamma);
template bool ParseName(absl::string_view, Gamma*);
template std::string Names<Gamma>();
template std::string NameOf(Normalization);
template bool ParseName(absl::string_view, Normalization*);
template std::string Names<Normalization>();
template std::string NameOf(ConnectTarget);
template bool ParseName(absl::string_view, ConnectTarget*);
template std::string Names<ConnectTarget>();
template std::string NameOf(DataType);
template bool ParseName(absl::string_view, DataType*);
template std::string Names<DataType>();

}  // namespace dropout::cli
