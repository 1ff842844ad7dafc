// session create|get|list|delete; session_copy_commands.cc has the others
#include <atomic>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/cli/duration.h"
#include "client/cli/enum_names.h"
#include "client/cli/layer_options.h"
#include "client/cli/option_types.h"
#include "client/cli/progress.h"
#include "client/cli/session_output.h"
#include "client/cli/table.h"

namespace dropout::cli {
namespace {

using Clock = std::chrono::system_clock;

struct CreateOptions {
  SessionOptions session;
  std::optional<Mode> mode;
};

struct ListOptions {
  int page_size = 0;
  std::string page_token;
  bool all = false;
};

void Create(Context& context, const CreateOptions& options) {
  SessionOptions session = options.session;
  session.mode = options.mode.value_or(Mode::kUnspecified);
  PrintSession(context, CallResult(context.client().CreateSession(session)));
}

void PrintPage(const Context& context, const SessionPage& page) {
  if (context.options.json) {
    Json sessions = Json::array();
    for (const Session& session : page.sessions) sessions.push_back(ToJson(session));
    context.PrintJson({{"sessions", std::move(sessions)},
                       {"next_page_token", page.next_page_token},
                       {"corrupt_session_ids", page.corrupt_session_ids}});
    return;
  }
  Table table({{"SESSION"},
               {"SEED", Align::kRight},
               {"MODE"},
               {"LAYERS", Align::kRight},
               {"TTL", Align::kRight},
               {"CREATED"},
               {"EXPIRES"}});
  for (const Session& session : page.sessions) {
    table.AddRow({session.session_id, absl::StrCat(session.seed), NameOf(session.mode),
                  absl::StrCat(session.layers.size()), FormatDuration(session.ttl),
                  FormatTime(session.create_time),
                  FormatRelative(session.expire_time, Clock::now())});
  }
  table.Print(std::cout);
  for (const std::string& id : page.corrupt_session_ids) {
    std::cerr << "Session " << id << " cannot be read: `session get` says why.\n";
  }
  if (!page.next_page_token.empty()) {
    std::cerr << "There are more sessions: --all lists them, --page-token " << page.next_page_token
              << " goes on here.\n";
  }
}

// The page that `token` begins and all after it, as one.
SessionPage ListAll(Client& client, int page_size, const std::string& token) {
  SessionPage all = CallResult(client.ListSessions(page_size, token));
  if (all.next_page_token.empty()) return all;
  std::atomic<std::size_t> count{all.sessions.size()};
  const ProgressLine progress([&count](std::chrono::duration<double>) {
    return absl::StrCat("listed ", count.load(), " sessions");
  });
  while (!all.next_page_token.empty()) {
    SessionPage next = CallResult(client.ListSessions(page_size, all.next_page_token));
    std::move(next.sessions.begin(), next.sessions.end(), std::back_inserter(all.sessions));
    std::move(next.corrupt_session_ids.begin(), next.corrupt_session_ids.end(),
              std::back_inserter(all.corrupt_session_ids));
    all.next_page_token = std::move(next.next_page_token);
    count = all.sessions.size();
  }
  return all;
}

void List(Context& context, const ListOptions& options) {
  PrintPage(context, options.all ? ListAll(context.client(), options.page_size, options.page_token)
                                 : CallResult(context.client().ListSessions(options.page_size,
                                                                            options.page_token)));
}

void AddCreate(CLI::App* group, Context& context) {
  const auto options = std::make_shared<CreateOptions>();
  SessionOptions* session = &options->session;
  CLI::App* command = group->add_subcommand("create", "Make a session and print it");
  command
      ->add_option("--id", session->session_id,
                   "Its id, 1 to 128 of A-Z a-z 0-9 . _ - (default: a random one)")
      ->type_name("ID");
  AddInteger(command, "--seed", &session->seed,
             "Seed of every mask, 0 to 2^64-1 (default: the server draws one)");
  AddEnum(command, "--mode", &options->mode, "Mode of layers that do not set one (default train)");
  AddParsed(command, "--ttl", "DURATION",
            "Time from the last call until it expires, as 1h30m or 10s (default: the server's)",
            [session](const std::string& text) {
              const auto ttl = ParseDuration(text);
              if (ttl.ok()) session->ttl = *ttl;
              return ttl.status();
            });
  command
      ->add_option_function<std::vector<std::string>>(
          "--layer",
          [session](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              const auto layer = ParseLayer(text);
              if (!layer.ok()) {
                throw CLI::ValidationError("--layer", std::string(layer.status().message()));
              }
              session->layers.push_back(*layer);
            }
          },
          "A layer to create with it, with p or schedule, as "
          "id,p=0.5,generator=numpy_legacy,scaling=none,"
          "broadcast_axes=1:2,mode=eval or id,variant=drop_block,block_size=7,"
          "schedule=linear:0:0.5:0:1000; can be given again")
      ->type_name("LAYER")
      ->allow_extra_args(false);
  RunWhenParsed(command, context, [&context, options] { Create(context, *options); });
}

void AddGet(CLI::App* group, Context& context) {
  const auto id = std::make_shared<std::string>();
  CLI::App* command = group->add_subcommand("get", "Print a session and its layers");
  command->add_option("session", *id, "The session's id")->required()->type_name("");
  RunWhenParsed(command, context, [&context, id] {
    PrintSession(context, CallResult(context.client().GetSession(*id)));
  });
}

void AddList(CLI::App* group, Context& context) {
  const auto options = std::make_shared<ListOptions>();
  CLI::App* command = group->add_subcommand("list", "List sessions by id, a page or all");
  AddInteger(command, "--page-size", &options->page_size,
             "Sessions a page, 1 to 1000 (default 50)");
  command
      ->add_option("--page-token", options->page_token,
                   "Where to go on: next_page_token of the page before")
      ->type_name("TOKEN");
  command->add_flag("--all", options->all, "Follow the pages to the end");
  RunWhenParsed(command, context, [&context, options] { List(context, *options); });
}

void AddDelete(CLI::App* group, Context& context) {
  const auto id = std::make_shared<std::string>();
  CLI::App* command =
      group->add_subcommand("delete", "Delete a session with its layers, steps and masks");
  command->add_option("session", *id, "The session's id")->required()->type_name("");
  RunWhenParsed(command, context, [&context, id] {
    CheckCall(context.client().DeleteSession(*id));
    context.PrintDone("deleted session " + *id);
  });
}

}  // namespace

void AddSessionCommands(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("session", "Make, show, list, copy and delete sessions");
  group->require_subcommand(1);
  AddCreate(group, context);
  AddGet(group, context);
  AddList(group, context);
  AddDelete(group, context);
  AddSessionCopyCommands(*group, context);
}

}  // namespace dropout::cli
