#include "tests/client/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace dropout {
namespace {

// The next line of `fd`, without its end; what there is if the file ends first.
std::string ReadLine(int fd) {
  std::string line;
  char c = 0;
  while (read(fd, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

// Starts `program` with its stdout on `output`.
pid_t Spawn(const std::string& program, std::vector<std::string> flags, int output) {
  std::string path = program;
  flags.push_back("--listen=127.0.0.1:0");
  std::vector<char*> arguments = {path.data()};
  for (std::string& flag : flags) arguments.push_back(flag.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, path.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + program);
  return pid;
}

}  // namespace

ServerProcess::ServerProcess(const std::string& program, std::vector<std::string> flags) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  output_ = ends[0];
  pid_ = Spawn(program, std::move(flags), ends[1]);
  close(ends[1]);
  const std::string ready = "listening on ";
  const std::string line = ReadLine(output_);
  if (line.rfind(ready, 0) != 0) {
    Stop();
    throw std::runtime_error("the server said '" + line + "'");
  }
  address_ = line.substr(ready.size());
}

ServerProcess::~ServerProcess() { Stop(); }

void ServerProcess::Stop() {
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  close(output_);
}

}  // namespace dropout
