// A program that runs beside the benchmark: a server, or a baseline in another language.
#ifndef DROPOUTD_TESTS_BENCH_CHILD_H_
#define DROPOUTD_TESTS_BENCH_CHILD_H_

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace dropoutd::bench {

// Owns the process. Not thread-safe.
class Child {
 public:
  // Starts argv[0] with pipes for its standard input and output. Throws std::runtime_error.
  explicit Child(std::vector<std::string> argv);

  // Closes its input, asks it to end (SIGTERM), and waits.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

  // Throws std::runtime_error if it has ended.
  void WriteLine(const std::string& line);
  std::string ReadLine();

 private:
  pid_t pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

// A child that has printed `listening on ADDRESS`.
class ServerChild {
 public:
  explicit ServerChild(std::vector<std::string> argv);
  const std::string& address() const { return address_; }
  pid_t pid() const { return child_.pid(); }

 private:
  Child child_;
  std::string address_;
};

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_CHILD_H_
