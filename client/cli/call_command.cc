// call: any RPC of the service, with messages as JSON.
#include <iostream>
#include <memory>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/files.h"
#include "client/cli/generic_call.h"

namespace dropout::cli {
namespace {

struct CallArguments {
  std::string method;
  std::string message = "{}";
};

std::string MessageText(const std::string& argument) {
  if (argument == "-") return LocalResult(ReadAll("-"));
  if (argument.starts_with('@')) return LocalResult(ReadAll(argument.substr(1)));
  return argument;
}

// The values of an array, or values one after another (as on lines of their own).
std::vector<std::string> SplitMessages(const std::string& text) {
  std::vector<std::string> messages;
  std::istringstream stream(text);
  try {
    while (!(stream >> std::ws).eof()) {
      Json value;
      stream >> value;
      if (!value.is_array()) value = Json::array({std::move(value)});
      for (const Json& message : value) messages.push_back(DumpJsonLine(message));
    }
  } catch (const Json::exception& error) {
    throw UsageError(absl::StrCat("the message is not JSON: ", error.what()));
  }
  return messages;
}

void Call(Context& context, const CallArguments& arguments) {
  const auto* method = FindMethod(arguments.method);
  if (method == nullptr) {
    throw UsageError(
        absl::StrCat("the service has no method ", arguments.method, "; it has ", MethodNames()));
  }
  const auto requests =
      LocalResult(EncodeRequests(*method, SplitMessages(MessageText(arguments.message))));
  CheckCall(CallMethod(context.options.address, context.client_options(), *method, requests,
                       [](const std::string& json) { std::cout << json << std::endl; }));
}

}  // namespace

void AddCallCommand(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<CallArguments>();
  CLI::App* command = app.add_subcommand(
      "call", "Call any RPC with JSON in protobuf's mapping and print the answer as JSON");
  command->add_option("method", arguments->method, "The RPC's name, as GetSession")
      ->required()
      ->type_name("");
  command
      ->add_option("message", arguments->message,
                   "The request as JSON, @FILE, or - for stdin; a stream takes one value a line "
                   "or an array (default {})")
      ->type_name("");
  RunWhenParsed(command, context, [&context, arguments] { Call(context, *arguments); });
}

}  // namespace dropout::cli
