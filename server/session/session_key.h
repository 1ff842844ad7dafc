// A session's name within the whole server: whose it is, and its id there.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_KEY_H_
#define DROPOUTD_SERVER_SESSION_SESSION_KEY_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace dropoutd {

// Wherever this room and those below name a session, they mean its key: TENANT/SESSION_ID, or
// SESSION_ID alone where there are no tenants. Neither part may hold a slash, so that no id
// that a client sends reaches another tenant's session.
std::string SessionKey(std::string_view tenant, std::string_view session_id);

// Whether an id, which may be empty for one that the server is to pick, is one: INVALID_SESSION.
absl::Status CheckSessionId(std::string_view session_id);

// The parts of a key. Keys of one tenant are next to each other in byte order.
std::string_view TenantOf(std::string_view key);
std::string_view SessionIdOf(std::string_view key);

// SESSION_NOT_FOUND, of the session with this key; names its id alone.
absl::Status SessionNotFound(std::string_view key);

// SESSION_EXISTS, of another session with this key.
absl::Status SessionExists(std::string_view key);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_KEY_H_
