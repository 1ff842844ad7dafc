// Baselines that are Python programs of this folder.
#ifndef DROPOUTD_TESTS_BENCH_PYTHON_BASELINE_H_
#define DROPOUTD_TESTS_BENCH_PYTHON_BASELINE_H_

#include <string>
#include <vector>

#include "tests/bench/child.h"

namespace dropoutd::bench {

// The command that runs `script`.
std::vector<std::string> PythonCommand(const std::string& script, std::vector<std::string> args);

// A script that is asked for one timing at a time. Throws std::runtime_error when it ends.
class PythonBaseline {
 public:
  PythonBaseline(const std::string& script, std::vector<std::string> args);

  // Has the process do its work once; returns the seconds that it measured.
  double Run();

 private:
  Child child_;
};

// Whether `import module` would find it.
bool HasPythonModule(const std::string& module);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_PYTHON_BASELINE_H_
