// How values stand in a store: a format's byte, a checksum, and the value.
#ifndef DROPOUTD_SERVER_STORE_FRAMING_H_
#define DROPOUTD_SERVER_STORE_FRAMING_H_

#include <optional>
#include <string>
#include <string_view>

namespace dropoutd {

// `name` says where the value stands, so that it is not taken for another's.
std::string Frame(std::string_view name, std::string_view value);

// The value in `framed`; nothing if it is damaged.
std::optional<std::string_view> Unframe(std::string_view name, std::string_view framed);

// Whether a later version has framed it, in a way that this one does not know.
bool IsNewerFrame(std::string_view framed);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_FRAMING_H_
