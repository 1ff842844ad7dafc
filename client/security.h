// How a client proves who it is, and knows the server.
#ifndef DROPOUTD_CLIENT_SECURITY_H_
#define DROPOUTD_CLIENT_SECURITY_H_

#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "dropout/client.h"

namespace dropout {

// INVALID_ARGUMENT: half a key pair, a token that no header can carry, or a token that would
// cross a network unencrypted. No message shows the token.
absl::Status CheckSecurity(const std::string& address, const ClientOptions& options);

// The channel's credentials; `arguments` get the name that the server's certificate must have.
std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const ClientOptions& options,
                                                          grpc::ChannelArguments* arguments);

// Adds the token, if there is one, to a call.
void AddToken(const ClientOptions& options, grpc::ClientContext* context);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_SECURITY_H_
