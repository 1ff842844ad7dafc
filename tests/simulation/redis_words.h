// How Redis reads the words of a command.
#ifndef DROPOUTD_TESTS_SIMULATION_REDIS_WORDS_H_
#define DROPOUTD_TESTS_SIMULATION_REDIS_WORDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/simulation/resp_value.h"

namespace dropoutd {

std::string UpperCase(std::string_view text);

// Nothing unless it is one, written in the shortest way.
std::optional<std::int64_t> ReadInteger(std::string_view text);

// Nothing for what is no number, and for NaN.
std::optional<double> ReadScore(const std::string& text);

// With 17 digits, as Redis answers scores and as it takes Lua's numbers.
std::string PrintNumber(double value);

RespValue SyntaxError();
RespValue NotAnInteger();
RespValue NotAScore();

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_REDIS_WORDS_H_
