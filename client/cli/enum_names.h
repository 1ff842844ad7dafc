// The words for enumerations, on the command line and in answers alike: those of the contract in
// lower case, without the enumeration's own name.
#ifndef DROPOUTD_CLIENT_CLI_ENUM_NAMES_H_
#define DROPOUTD_CLIENT_CLI_ENUM_NAMES_H_

#include <string>

#include "absl/strings/string_view.h"
#include "dropout/types.h"

namespace dropout::cli {

// Each function is there for Mode, Generator, Scaling, MaskScope, DepthMode, Gamma, Normalization,
// ConnectTarget and DataType.

// The value's word; "unspecified" for 0 and "unknown(N)" for a number of a newer server's.
template <typename Enum>
std::string NameOf(Enum value);

// Sets *value and returns true if `name` is one of its words.
template <typename Enum>
bool ParseName(absl::string_view name, Enum* value);

// The words, as "train|eval".
template <typename Enum>
std::string Names();

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_ENUM_NAMES_H_
