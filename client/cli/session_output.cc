#include "client/cli/session_output.h"

#include <chrono>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "client/cli/duration.h"
#include "client/cli/enum_names.h"
#include "client/cli/layer_table.h"
#include "client/cli/table.h"

namespace dropout::cli {

void PrintSession(const Context& context, const Session& session) {
  if (context.options.json) {
    context.PrintJson(ToJson(session));
    return;
  }
  PrintFields(
      std::cout,
      {{"session", session.session_id},
       {"seed", absl::StrCat(session.seed)},
       {"mode", NameOf(session.mode)},
       {"ttl", FormatDuration(session.ttl)},
       {"created", FormatTime(session.create_time)},
       {"expires",
        absl::StrCat(FormatTime(session.expire_time), " (",
                     FormatRelative(session.expire_time, std::chrono::system_clock::now()), ")")},
       {"layers", absl::StrCat(session.layers.size())}});
  if (session.layers.empty()) return;
  std::cout << '\n';
  PrintLayers(std::cout, session.layers);
}

}  // namespace dropout::cli
