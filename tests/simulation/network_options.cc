#include "tests/simulation/network_options.h"

#include <sstream>
#include <utility>

namespace dropoutd {
namespace {

// Mostly none; else small more often than large.
double DrawRate(RandomSource64& random, double most) {
  if (random.Chance(0.65)) return 0;
  const double fraction = random.Fraction();
  return most * fraction * fraction;
}

}  // namespace

// Some runs have little but one kind of fault, whose effects others would hide.
NetworkOptions NetworkOptions::Draw(RandomSource64& random) {
  NetworkOptions options;
  switch (random.Below(6)) {
    case 0:
      options.partitions = 0.02 + 0.1 * random.Fraction();
      options.longest_partition = std::chrono::seconds(20 + random.Below(40));
      return options;
    case 1:
      options.hold = options.duplicate = 0.2 * random.Fraction();
      options.longest_hold = std::chrono::seconds(6 + random.Below(20));
      return options;
    case 2:
      options.fail_overs = 0.2 * random.Fraction();
      options.lossy_fail_overs = DrawRate(random, 0.1);
      return options;
    default:
      break;
  }
  if (random.Chance(0.3)) options.longest_delay = std::chrono::milliseconds(20);
  options.slow = DrawRate(random, 0.3);
  options.hold = DrawRate(random, 0.1);
  options.longest_hold = std::chrono::seconds(1 + random.Below(60));
  options.cut = DrawRate(random, 0.05);
  options.cut_after = DrawRate(random, 0.1);
  options.duplicate = DrawRate(random, 0.2);
  options.idle_close = DrawRate(random, 0.1);
  options.partitions = DrawRate(random, 0.2);
  options.longest_partition = std::chrono::seconds(1 + random.Below(60));
  options.restarts = DrawRate(random, 0.03);
  options.losses = DrawRate(random, 0.03);
  options.fail_overs = DrawRate(random, 0.03);
  options.lossy_fail_overs = DrawRate(random, 0.03);
  options.full = DrawRate(random, 0.05);
  if (random.Chance(0.3)) {
    options.clock_steps = random.Fraction() * 0.1;
    options.longest_step_back = std::chrono::seconds(random.Below(19));
    options.longest_step_ahead = std::chrono::seconds(random.Below(120));
  }
  return options;
}

std::string NetworkOptions::Print() const {
  std::ostringstream text;
  const auto add = [&text](const char* name, double value) {
    if (value != 0) text << " " << name << "=" << value;
  };
  const auto add_time = [&add](const char* name, double rate, Time time) {
    if (rate != 0) add(name, std::chrono::duration<double>(time).count());
  };
  add_time("longest_delay", 1, longest_delay);
  add("slow", slow);
  add("hold", hold);
  add_time("longest_hold", hold, longest_hold);
  add("cut", cut);
  add("cut_after", cut_after);
  add("duplicate", duplicate);
  add("idle_close", idle_close);
  add("partitions", partitions);
  add_time("longest_partition", partitions, longest_partition);
  add("restarts", restarts);
  add("losses", losses);
  add("fail_overs", fail_overs);
  add("lossy_fail_overs", lossy_fail_overs);
  add("full", full);
  add("clock_steps", clock_steps);
  add_time("longest_step_back", clock_steps, longest_step_back);
  add_time("longest_step_ahead", clock_steps, longest_step_ahead);
  return std::move(text).str();
}

}  // namespace dropoutd
