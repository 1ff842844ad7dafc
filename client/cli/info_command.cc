// info
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/cli/duration.h"
#include "client/cli/enum_names.h"
#include "client/cli/table.h"

namespace dropout::cli {
namespace {

std::string Join(const std::vector<std::string>& words) {
  return words.empty() ? "none" : absl::StrJoin(words, ", ");
}

template <typename Enum>
std::string JoinNames(const std::vector<Enum>& values) {
  std::vector<std::string> words;
  for (const Enum value : values) words.push_back(NameOf(value));
  return Join(words);
}

std::string FormatBytes(std::int64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " bytes");
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024; value /= 1024) ++unit;
  return absl::StrFormat("%.4g %s", value, kUnits[unit]);
}

void PrintInfo(const Context& context, const ServerInfo& info) {
  PrintFields(std::cout, {{"address", context.options.address},
                          {"version", info.version},
                          {"simd target", info.simd_target},
                          {"simd targets", Join(info.simd_targets)},
                          {"store", info.store},
                          {"variants", Join(info.variants)},
                          {"schedules", Join(info.schedules)},
                          {"generators", JoinNames(info.generators)},
                          {"data types", JoinNames(info.data_types)},
                          {"unsupported RPCs", Join(info.unsupported_rpcs)},
                          {"default ttl", FormatDuration(info.default_ttl)},
                          {"max ttl", FormatDuration(info.max_ttl)},
                          {"max sessions", absl::StrCat(info.max_sessions)},
                          {"max layers per session", absl::StrCat(info.max_layers_per_session)},
                          {"max steps per layer", absl::StrCat(info.max_steps_per_layer)},
                          {"max steps", absl::StrCat(info.max_steps)},
                          {"mask cache", FormatBytes(info.mask_cache_bytes)},
                          {"max message", FormatBytes(info.max_message_bytes)},
                          {"max bytes in flight", FormatBytes(info.max_bytes_in_flight)}});
}

}  // namespace

void AddInfoCommand(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("info", "Show the server's version, abilities and limits");
  RunWhenParsed(command, context, [&context] {
    const ServerInfo info = CallResult(context.client().GetServerInfo());
    if (context.options.json) {
      context.PrintJson(ToJson(info));
    } else {
      PrintInfo(context, info);
    }
  });
}

}  // namespace dropout::cli
