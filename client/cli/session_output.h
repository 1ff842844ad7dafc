// How a session is shown.
#ifndef DROPOUTD_CLIENT_CLI_SESSION_OUTPUT_H_
#define DROPOUTD_CLIENT_CLI_SESSION_OUTPUT_H_

#include "client/cli/context.h"
#include "dropout/types.h"

namespace dropout::cli {

// To stdout, with its layers, as text or JSON.
void PrintSession(const Context& context, const Session& session);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_SESSION_OUTPUT_H_
