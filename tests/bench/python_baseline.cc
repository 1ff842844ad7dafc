#include "tests/bench/python_baseline.h"

#include <utility>

namespace dropoutd::bench {

std::vector<std::string> PythonCommand(const std::string& script, std::vector<std::string> args) {
  std::vector<std::string> argv = {DROPOUTD_PYTHON, DROPOUTD_BENCH_DIR "/" + script};
  for (std::string& arg : args) argv.push_back(std::move(arg));
  return argv;
}

PythonBaseline::PythonBaseline(const std::string& script, std::vector<std::string> args)
    : child_(PythonCommand(script, std::move(args))) {}

double PythonBaseline::Run() {
  child_.WriteLine("run");
  return std::stod(child_.ReadLine());
}

bool HasPythonModule(const std::string& module) {
  Child child({DROPOUTD_PYTHON, "-c",
               "import importlib.util as u; print(u.find_spec('" + module + "') is not None)"});
  return child.ReadLine() == "True";
}

}  // namespace dropoutd::bench
