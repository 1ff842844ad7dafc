// A baseline that runs in a Python process and is asked for one timing at a time.
#ifndef DROPOUTD_TESTS_BENCH_PYTHON_BASELINE_H_
#define DROPOUTD_TESTS_BENCH_PYTHON_BASELINE_H_

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace dropoutd::bench {

// Owns the process: it is started by the constructor, with `script` of this folder and
// `args`, and ended by the destructor. Throws std::runtime_error when the process does
// not start or dies.
class PythonBaseline {
 public:
  PythonBaseline(const std::string& script, const std::vector<std::string>& args);
  ~PythonBaseline();
  PythonBaseline(const PythonBaseline&) = delete;
  PythonBaseline& operator=(const PythonBaseline&) = delete;

  // Has the process do its work once; returns the seconds that it measured.
  double Run();

 private:
  pid_t pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_PYTHON_BASELINE_H_
