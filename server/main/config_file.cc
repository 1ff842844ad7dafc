#include "server/main/config_file.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "server/main/flag_options.h"

namespace dropoutd {
namespace {

std::string FromEnvironment(const std::string& flag) {
  const char* const value = std::getenv(EnvironmentName(flag).c_str());
  return value == nullptr ? "" : value;
}

// CLI11 itself would let the file go before the environment.
class BehindEnvironment : public CLI::ConfigTOML {
 public:
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> read = CLI::ConfigTOML::from_config(input);
    std::erase_if(read, [](const CLI::ConfigItem& item) {
      return item.parents.empty() && !FromEnvironment(item.name).empty();
    });
    return read;
  }
};

}  // namespace

void AddConfigFile(CLI::App& app) {
  app.config_formatter(std::make_shared<BehindEnvironment>());
  app.allow_config_extras(CLI::config_extras_mode::error);
  const std::string given = FromEnvironment("config");
  app.set_config("--config", given, "File of flags, a line `name = value` each (TOML)",
                 !given.empty());
}

}  // namespace dropoutd
