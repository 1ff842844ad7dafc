// The words for modes, generators, scalings and element types, on the command line and in
// answers alike.
#ifndef DROPOUTD_CLIENT_CLI_ENUM_NAMES_H_
#define DROPOUTD_CLIENT_CLI_ENUM_NAMES_H_

#include <string>

#include "absl/strings/string_view.h"
#include "dropout/types.h"

namespace dropout::cli {

// The value's word; "unspecified" for 0 and "unknown(N)" for a number of a newer server's.
std::string NameOf(Mode mode);
std::string NameOf(Generator generator);
std::string NameOf(Scaling scaling);
std::string NameOf(DataType dtype);
std::string NameOf(const Variant& variant);

// Sets *value and returns true if `name` is one of its words.
bool ParseName(absl::string_view name, Mode* value);
bool ParseName(absl::string_view name, Generator* value);
bool ParseName(absl::string_view name, Scaling* value);
bool ParseName(absl::string_view name, DataType* value);

// The words, as "train|eval".
template <typename Enum>
std::string Names();
template <>
std::string Names<Mode>();
template <>
std::string Names<Generator>();
template <>
std::string Names<Scaling>();
template <>
std::string Names<DataType>();

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_ENUM_NAMES_H_
