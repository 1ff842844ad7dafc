#include "tests/fuzz/import_session.h"

#include <cstdlib>
#include <string>

#include "server/engine/engine.h"
#include "tests/engine/manual_clock.h"
#include "tests/fuzz/use_session.h"

namespace dropoutd {

void ImportAndUse(std::string_view file) {
  // Time stands still: no session ends, however short its life.
  static const ManualClock* const clock = new ManualClock;
  static Engine* const engine = [] {
    Limits limits;
    limits.max_mask_bytes = 1 << 20;
    return new Engine(limits, *clock);
  }();
  const auto session = engine->ImportSession("s", std::string(file));
  if (IsAnswer(session.status())) {
    UseSession(*engine, *session);
    if (!engine->ExportSession("s").ok() || !engine->DeleteSession("s").ok()) std::abort();
  }
  const EngineSummary summary = engine->Summary();
  if (summary.parameter_bytes != 0 || summary.steps != 0) std::abort();
}

}  // namespace dropoutd
