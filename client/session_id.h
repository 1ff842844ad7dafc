// Session ids, as dropout.v1.CreateSessionRequest defines them.
#ifndef DROPOUTD_CLIENT_SESSION_ID_H_
#define DROPOUTD_CLIENT_SESSION_ID_H_

#include <string>

#include "absl/strings/string_view.h"

namespace dropout {

// A new id: 128 bits from the system's source of randomness, as 32 hex digits.
std::string NewSessionId();

// Whether `id` is 1 to 128 characters of [A-Za-z0-9._-].
bool IsValidSessionId(absl::string_view id);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_SESSION_ID_H_
