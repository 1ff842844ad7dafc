// Any RPC of the service, by its name, with messages as JSON.
#ifndef DROPOUTD_CLIENT_CLI_GENERIC_CALL_H_
#define DROPOUTD_CLIENT_CLI_GENERIC_CALL_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dropout/client.h"

namespace google::protobuf {
class MethodDescriptor;
}  // namespace google::protobuf

namespace dropout::cli {

// The method called `name` ("Forward", "dropout.v1.DropoutService/Forward"); null if the
// service has none. Lives for ever.
const google::protobuf::MethodDescriptor* FindMethod(const std::string& name);

// "CreateSession, GetSession, ...".
std::string MethodNames();

// Texts of JSON values as messages of the method's request, in the wire's form.
// INVALID_ARGUMENT where one does not fit, or where a method that is not a stream does not
// get exactly one.
absl::StatusOr<std::vector<std::string>> EncodeRequests(
    const google::protobuf::MethodDescriptor& method, const std::vector<std::string>& json);

// Sends `requests` to the server at `address` and passes each answer to `on_answer` as JSON,
// indented unless the method streams its answers. Of `options`, the timeout, for the whole
// call, and what concerns security count. Returns the call's status, with the server's reason.
absl::Status CallMethod(const std::string& address, const ClientOptions& options,
                        const google::protobuf::MethodDescriptor& method,
                        const std::vector<std::string>& requests,
                        const std::function<void(const std::string&)>& on_answer);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_GENERIC_CALL_H_
