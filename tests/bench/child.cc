#include "tests/bench/child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace dropoutd::bench {

Child::Child(std::vector<std::string> argv) {
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  std::vector<char*> arguments;
  for (std::string& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  const int error =
      posix_spawn(&pid_, argv[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  to_ = fdopen(in[1], "w");
  from_ = fdopen(out[0], "r");
  if (error != 0) {
    std::fclose(to_);
    std::fclose(from_);
    throw std::runtime_error("cannot start " + argv[0]);
  }
}

Child::~Child() {
  std::fclose(to_);
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  std::fclose(from_);
}

void Child::WriteLine(const std::string& line) {
  if (std::fputs((line + "\n").c_str(), to_) < 0 || std::fflush(to_) != 0) {
    throw std::runtime_error("a child process has ended");
  }
}

std::string Child::ReadLine() {
  std::string line;
  for (int c = std::fgetc(from_); c != '\n'; c = std::fgetc(from_)) {
    if (c == EOF) throw std::runtime_error("a child process has ended");
    line += static_cast<char>(c);
  }
  return line;
}

ServerChild::ServerChild(std::vector<std::string> argv) : child_(std::move(argv)) {
  const std::string ready = "listening on ";
  const std::string line = child_.ReadLine();
  if (!line.starts_with(ready)) throw std::runtime_error("a server said: " + line);
  address_ = line.substr(ready.size());
}

}  // namespace dropoutd::bench
