// How a flag is declared: its types, checks and its name in the environment.
#ifndef DROPOUTD_SERVER_MAIN_FLAG_OPTIONS_H_
#define DROPOUTD_SERVER_MAIN_FLAG_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

namespace dropoutd {

// DROPOUTD_ and the flag's name in upper case.
std::string EnvironmentName(const std::string& flag);

template <typename T>
CLI::Option* AddOption(CLI::App& app, const std::string& flag, T& value, const std::string& help) {
  return app.add_option("--" + flag, value, help)
      ->envname(EnvironmentName(flag))
      ->capture_default_str();
}

// true or false; the name alone means true.
void AddSwitch(CLI::App& app, const std::string& flag, bool& value, const std::string& help);

// A count from `low` up.
template <typename T>
void AddCount(CLI::App& app, const std::string& flag, T& value, std::int64_t low,
              const std::string& help) {
  AddOption(app, flag, value, help)
      ->check(CLI::Range(low, std::numeric_limits<std::int64_t>::max()));
}

// A number of bytes from `low` up, with an optional suffix (KiB, MiB, GB, ...).
template <typename T>
void AddBytes(CLI::App& app, const std::string& flag, T& value, std::int64_t low,
              const std::string& help) {
  AddOption(app, flag, value, help)
      ->check(CLI::Range(low, std::numeric_limits<std::int64_t>::max()))
      ->transform(CLI::AsSizeValue(true).description(""));
}

// A duration above 0 and at most 366 days, as 30s, 15m or 1h30m.
void AddDuration(CLI::App& app, const std::string& flag, std::chrono::nanoseconds& value,
                 const std::string& help);

// As AddDuration; 0 is allowed too, and means that there is no limit.
void AddDurationOrNone(CLI::App& app, const std::string& flag, std::chrono::nanoseconds& value,
                       const std::string& help);

// A file that is there.
void AddFile(CLI::App& app, const std::string& flag, std::string& path, const std::string& help);

// HOST:PORT or unix:/PATH; what is wrong with it, or nothing.
std::string CheckListen(const std::string& address);

// HOST:PORT.
std::string CheckHostPort(const std::string& address);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_FLAG_OPTIONS_H_
