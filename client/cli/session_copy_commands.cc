// session export|import|fork
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/files.h"
#include "client/cli/session_output.h"

namespace dropout::cli {
namespace {

struct CopyOptions {
  std::string source;  // A session's id, or a file.
  std::string id;      // Of the copy.
  std::string output;
};

void Export(Context& context, const CopyOptions& options) {
  const std::string path = options.output.empty() ? options.source + ".session" : options.output;
  OutputFile file = LocalResult(OutputFile::Open(path));
  const std::string snapshot = CallResult(context.client().ExportSession(options.source));
  if (std::fwrite(snapshot.data(), 1, snapshot.size(), file.file()) != snapshot.size()) {
    throw UsageError("cannot write " + path);
  }
  const bool is_stdout = file.is_stdout();
  CheckLocal(file.Commit());
  if (is_stdout) return;
  context.PrintDone(absl::StrCat("exported session ", options.source, " to ", path, ", ",
                                 snapshot.size(), " bytes"));
}

void Import(Context& context, const CopyOptions& options) {
  const std::string snapshot = LocalResult(ReadAll(options.source));
  PrintSession(context, CallResult(context.client().ImportSession(snapshot, options.id)));
}

void Fork(Context& context, const CopyOptions& options) {
  PrintSession(context, CallResult(context.client().ForkSession(options.source, options.id)));
}

void AddId(CLI::App* command, CopyOptions& options) {
  command
      ->add_option("--id", options.id,
                   "The copy's id, 1 to 128 of A-Z a-z 0-9 . _ - (default: a random one)")
      ->type_name("ID");
}

}  // namespace

void AddSessionCopyCommands(CLI::App& group, Context& context) {
  const auto options = std::make_shared<CopyOptions>();
  CLI::App* command = group.add_subcommand(
      "export", "Write a session with its layers, parameters and steps to a file");
  command->add_option("session", options->source, "The session's id")->required()->type_name("");
  command
      ->add_option("--output", options->output,
                   "Where to write it, - is stdout (default: SESSION.session)")
      ->type_name("FILE");
  RunWhenParsed(command, context, [&context, options] { Export(context, *options); });

  command = group.add_subcommand("import", "Make a session from an exported file, and print it");
  command->add_option("file", options->source, "What export wrote, - is stdin")
      ->required()
      ->type_name("");
  AddId(command, *options);
  RunWhenParsed(command, context, [&context, options] { Import(context, *options); });

  command = group.add_subcommand(
      "fork", "Copy a session: the same masks so far, from there on its own way");
  command->add_option("session", options->source, "The id of the session to copy")
      ->required()
      ->type_name("");
  AddId(command, *options);
  RunWhenParsed(command, context, [&context, options] { Fork(context, *options); });
}

}  // namespace dropout::cli
