// shared-memory create|delete
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/option_types.h"
#include "client/cli/table.h"

namespace dropout::cli {
namespace {

struct RegionArguments {
  std::string session_id;
  std::string region_id;
  std::int64_t byte_size = 0;
};

void Create(Context& context, const RegionArguments& arguments) {
  const SharedMemory region =
      CallResult(context.client().CreateSharedMemory(arguments.session_id, arguments.byte_size));
  if (context.options.json) {
    context.PrintJson(ToJson(region));
    return;
  }
  PrintFields(std::cout, {{"region", region.region_id},
                          {"path", region.path},
                          {"size", absl::StrCat(region.byte_size, " bytes")}});
}

void Delete(Context& context, const RegionArguments& arguments) {
  CheckCall(context.client().DeleteSharedMemory(arguments.session_id, arguments.region_id));
  context.PrintDone("deleted region " + arguments.region_id);
}

}  // namespace

void AddSharedMemoryCommands(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand(
      "shared-memory", "Make and delete regions for clients on the server's own host");
  group->require_subcommand(1);

  const auto create = std::make_shared<RegionArguments>();
  CLI::App* create_command = group->add_subcommand("create", "Make a region and print its path");
  create_command->add_option("session", create->session_id, "The session's id")
      ->required()
      ->type_name("");
  AddInteger(create_command, "bytes", &create->byte_size, "Size in bytes, 1 or more")
      ->required()
      ->type_name("");
  RunWhenParsed(create_command, context, [&context, create] { Create(context, *create); });

  const auto remove = std::make_shared<RegionArguments>();
  CLI::App* delete_command = group->add_subcommand("delete", "Delete a region");
  delete_command->add_option("session", remove->session_id, "The session's id")
      ->required()
      ->type_name("");
  delete_command->add_option("region", remove->region_id, "The region's id")
      ->required()
      ->type_name("");
  RunWhenParsed(delete_command, context, [&context, remove] { Delete(context, *remove); });
}

}  // namespace dropout::cli
