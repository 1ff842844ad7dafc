#include "server/main/metrics/process_metrics.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/main/health/descriptor_limit.h"

namespace dropoutd {
namespace {

// Fields of /proc/self/stat after the name in parentheses (proc(5): field 3 is the first).
std::vector<std::string> StatFields() {
  std::ifstream file("/proc/self/stat");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos || end + 2 >= text.size()) return {};
  return absl::StrSplit(text.substr(end + 2), ' ');
}

double Field(const std::vector<std::string>& fields, std::size_t number) {
  double value = 0;
  if (number - 3 < fields.size()) static_cast<void>(absl::SimpleAtod(fields[number - 3], &value));
  return value;
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

// The wall clock at the process' start: now less its age.
double StartTime(const std::vector<std::string>& fields) {
  static const double start = [&fields] {
    timespec since_boot = {};
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    const double now = static_cast<double>(since_boot.tv_sec);
    const double begun = Field(fields, 22) / static_cast<double>(sysconf(_SC_CLK_TCK));
    return absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()) - (now - begun);
  }();
  return start;
}

}  // namespace

MetricFamilies ProcessMetrics() {
  const std::vector<std::string> fields = StatFields();
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  return {
      MakeCounter("process_cpu_seconds_total", "Processor time used", {{{}, CpuSeconds()}}),
      MakeGauge("process_resident_memory_bytes", "Memory in use", {{{}, Field(fields, 24) * page}}),
      MakeGauge("process_open_fds", "Open files and sockets",
                {{{}, static_cast<double>(OpenDescriptors())}}),
      MakeGauge("process_max_fds", "Most open files and sockets",
                {{{}, static_cast<double>(DescriptorLimit())}}),
      MakeGauge("process_start_time_seconds", "Start, in seconds since 1970",
                {{{}, StartTime(fields)}}),
  };
}

}  // namespace dropoutd
