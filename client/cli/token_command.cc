// token create: a bearer token, and the line for the server's file of hashes.
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/table.h"

namespace dropout::cli {
namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kMaxTenantBytes = 64;

struct TokenArguments {
  std::string tenant;
  std::string file;
  std::string expires_in;
};

bool IsTenantName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxTenantBytes &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

// The prefix lets scanners for leaked secrets know a token.
std::string NewToken() {
  std::array<unsigned char, kSecretBytes> secret;
  if (RAND_bytes(secret.data(), static_cast<int>(secret.size())) != 1) {
    throw UsageError("no randomness to be had");
  }
  return absl::StrCat("dropout_",
                      absl::WebSafeBase64Escape(absl::string_view(
                          reinterpret_cast<const char*>(secret.data()), secret.size())));
}

std::string HashOf(const std::string& token) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_Digest(token.data(), token.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
    throw UsageError("SHA-256 is not to be had");
  }
  return absl::StrCat("sha256:", absl::BytesToHexString(absl::string_view(
                                     reinterpret_cast<const char*>(digest.data()), size)));
}

std::optional<absl::Time> ExpiryOf(const TokenArguments& arguments) {
  if (arguments.expires_in.empty()) return std::nullopt;
  absl::Duration duration;
  if (!absl::ParseDuration(arguments.expires_in, &duration) || duration <= absl::ZeroDuration()) {
    throw UsageError("--expires_in: must be a duration above 0, as 720h");
  }
  return absl::Now() + duration;
}

void Append(const std::string& path, const std::string& line) {
  std::ofstream file(path, std::ios::app);
  file << line << '\n';
  if (!file.flush()) throw UsageError(absl::StrCat("cannot write to ", path));
}

void Create(Context& context, const TokenArguments& arguments) {
  if (!IsTenantName(arguments.tenant)) {
    throw UsageError("tenant: must be 1 to 64 characters of [A-Za-z0-9._-]");
  }
  const std::optional<absl::Time> expires = ExpiryOf(arguments);
  const std::string token = NewToken();
  std::string line = absl::StrCat(arguments.tenant, " ", HashOf(token));
  if (expires.has_value()) {
    absl::StrAppend(
        &line, " expires=", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", *expires, absl::UTCTimeZone()));
  }
  if (!arguments.file.empty()) Append(arguments.file, line);
  if (context.options.json) {
    context.PrintJson({{"tenant", arguments.tenant}, {"token", token}, {"line", line}});
    return;
  }
  PrintFields(std::cout, {{"token", token}, {"line", line}});
  if (arguments.file.empty()) {
    std::cerr << "Add the line to the server's --auth_tokens file, and give the token to the "
                 "tenant: it is kept nowhere.\n";
  }
}

}  // namespace

void AddTokenCommands(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("token", "Make bearer tokens, on this machine alone");
  group->require_subcommand(1);
  const auto arguments = std::make_shared<TokenArguments>();
  CLI::App* create = group->add_subcommand(
      "create", "Make a token and print it with the line for the server's --auth_tokens file");
  create->add_option("tenant,--tenant", arguments->tenant, "Whose token it is")
      ->required()
      ->type_name("");
  create->add_option("--file", arguments->file, "Append the line to this file")->type_name("FILE");
  create
      ->add_option("--expires_in", arguments->expires_in,
                   "Time from now to the token's end, as 720h (default: none)")
      ->type_name("DURATION");
  RunWhenParsed(create, context, [&context, arguments] { Create(context, *arguments); });
}

}  // namespace dropout::cli
