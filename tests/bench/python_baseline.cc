#include "tests/bench/python_baseline.h"

#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

namespace dropoutd::bench {
namespace {

[[noreturn]] void Exec(const std::string& script, const std::vector<std::string>& args) {
  const std::string path = std::string(DROPOUTD_BENCH_DIR "/") + script;
  std::vector<const char*> argv = {DROPOUTD_PYTHON, path.c_str()};
  for (const std::string& arg : args) argv.push_back(arg.c_str());
  argv.push_back(nullptr);
  execv(DROPOUTD_PYTHON, const_cast<char* const*>(argv.data()));
  _exit(127);
}

}  // namespace

PythonBaseline::PythonBaseline(const std::string& script, const std::vector<std::string>& args) {
  int in[2];
  int out[2];
  if (pipe(in) != 0 || pipe(out) != 0) throw std::runtime_error("pipe failed");
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[1]);
    close(out[0]);
    Exec(script, args);
  }
  close(in[0]);
  close(out[1]);
  to_ = fdopen(in[1], "w");
  from_ = fdopen(out[0], "r");
}

PythonBaseline::~PythonBaseline() {
  std::fclose(to_);  // The script ends with its input.
  std::fclose(from_);
  waitpid(pid_, nullptr, 0);
}

double PythonBaseline::Run() {
  double seconds = 0;
  if (std::fputs("run\n", to_) < 0 || std::fflush(to_) != 0 ||
      std::fscanf(from_, "%lf", &seconds) != 1) {
    throw std::runtime_error("the Python baseline ended; is python3-numpy installed?");
  }
  return seconds;
}

}  // namespace dropoutd::bench
