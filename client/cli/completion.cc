#include "client/cli/completion.h"

#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "client/cli/commands.h"

namespace dropout::cli {
namespace {

// A subcommand or a long option (with its dashes), as a shell offers it.
struct Word {
  std::string text;
  std::string help;
  bool takes_value = false;
  std::vector<std::string> values = {};  // All that it can have; empty: not a choice.
};

// A place in the tree, and what can follow there.
struct Place {
  std::string path;  // "" for the program itself, "/session/create" below.
  std::vector<Word> commands;
  std::vector<Word> options;  // Without those of the program itself.
};

// The help shows a choice as "a|b".
std::vector<std::string> ValuesOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (type.find('|') == std::string::npos) return {};
  return absl::StrSplit(type, '|');
}

std::vector<Word> LongOptions(const CLI::App& app) {
  std::vector<Word> words;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      words.push_back({"--" + name, option->get_description(), option->get_items_expected_max() > 0,
                       ValuesOf(*option)});
    }
  }
  return words;
}

void Collect(const CLI::App& app, const std::string& path, std::vector<Place>* places) {
  Place place{path, {}, LongOptions(app)};
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : commands) {
    place.commands.push_back({command->get_name(), command->get_description()});
  }
  places->push_back(std::move(place));
  for (const CLI::App* command : commands) {
    Collect(*command, absl::StrCat(path, "/", command->get_name()), places);
  }
}

std::vector<Place> Places(const CLI::App& root) {
  std::vector<Place> places;
  Collect(root, "", &places);
  return places;
}

// All that can be written at `place`: the program's own options fit everywhere.
std::vector<Word> WordsAt(const Place& place, const Place& root) {
  std::vector<Word> words = place.commands;
  words.insert(words.end(), place.options.begin(), place.options.end());
  std::set<std::string> seen;
  for (const Word& word : words) seen.insert(word.text);
  for (const Word& word : root.options) {
    if (seen.insert(word.text).second) words.push_back(word);
  }
  return words;
}

std::string JoinTexts(const std::vector<Word>& words, const char* separator) {
  return absl::StrJoin(words, separator,
                       [](std::string* out, const Word& word) { out->append(word.text); });
}

// The options after which a value comes, and the paths of all subcommands, as patterns of a
// shell's `case`.
std::string ValueOptions(const std::vector<Place>& places) {
  std::set<std::string> texts;
  for (const Place& place : places) {
    for (const Word& word : place.options) {
      if (word.takes_value) texts.insert(word.text);
    }
  }
  return absl::StrJoin(texts, "|");
}

// A pattern of a shell's `case` for each option with a choice, with `command`, in which $0 stands
// for the values. An option of the same name elsewhere in the tree adds its values.
std::string ValueCases(const std::vector<Place>& places, absl::string_view command) {
  std::map<std::string, std::set<std::string>> choices;
  for (const Place& place : places) {
    for (const Word& word : place.options) {
      if (word.values.empty()) continue;
      choices[word.text].insert(word.values.begin(), word.values.end());
    }
  }
  std::string cases;
  for (const auto& [option, values] : choices) {
    absl::StrAppend(&cases, "      ", option, ") ",
                    absl::Substitute(command, absl::StrJoin(values, " ")), " ;;\n");
  }
  return cases;
}

std::string Paths(const std::vector<Place>& places) {
  return absl::StrJoin(places.begin() + 1, places.end(), "|",
                       [](std::string* out, const Place& place) { out->append(place.path); });
}

// The loop that finds the place from the words before the cursor, for bash and zsh.
std::string FindPlace(const std::vector<Place>& places) {
  return absl::StrCat(R"(    if [[ -n $skip ]]; then skip=; continue; fi
    case $word in
      )",
                      ValueOptions(places), R"() skip=$word ;;
      *)
        case "$place/$word" in
          )",
                      Paths(places), R"() place="$place/$word" ;;
        esac ;;
    esac
)");
}

// Inside single quotes of bash and zsh.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string FishQuoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

// The condition under which fish is at `path`, or below it.
std::string FishCondition(const std::string& path) {
  std::vector<std::string> conditions;
  for (const absl::string_view name : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    conditions.push_back(absl::StrCat("__fish_seen_subcommand_from ", name));
  }
  return absl::StrJoin(conditions, "; and ");
}

std::string FishCommands(const Place& place) {
  const std::string condition =
      place.path.empty()
          ? "__fish_use_subcommand"
          : absl::StrCat(FishCondition(place.path), "; and not __fish_seen_subcommand_from ",
                         JoinTexts(place.commands, " "));
  std::string script;
  for (const Word& word : place.commands) {
    absl::StrAppend(&script, "complete -c dropoutctl -f -n ", FishQuoted(condition), " -a ",
                    word.text, " -d ", FishQuoted(word.help), "\n");
  }
  return script;
}

std::string FishOptions(const Place& place) {
  std::string script;
  for (const Word& word : place.options) {
    absl::StrAppend(&script, "complete -c dropoutctl");
    if (!place.path.empty()) {
      absl::StrAppend(&script, " -n ", FishQuoted(FishCondition(place.path)));
    }
    absl::StrAppend(&script, " -l ", word.text.substr(2), word.takes_value ? " -r" : "",
                    word.values.empty()
                        ? ""
                        : absl::StrCat(" -f -a ", FishQuoted(absl::StrJoin(word.values, " "))),
                    " -d ", FishQuoted(word.help), "\n");
  }
  return script;
}

}  // namespace

std::string BashCompletion(const CLI::App& root) {
  const std::vector<Place> places = Places(root);
  std::string script = absl::StrCat(R"(# bash completion for dropoutctl
_dropoutctl() {
  local place= skip= word words
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
)",
                                    FindPlace(places), R"(  done
  COMPREPLY=()
  if [[ -n $skip ]]; then
    case $skip in
)",
                                    ValueCases(places, "words='$0'"), R"(      *) return ;;
    esac
  else
  case $place in
)");
  for (const Place& place : places) {
    absl::StrAppend(&script, "    ", Quoted(place.path),
                    ") words=", Quoted(JoinTexts(WordsAt(place, places[0]), " ")), " ;;\n");
  }
  absl::StrAppend(&script, R"(  esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _dropoutctl dropoutctl
)");
  return script;
}

std::string ZshCompletion(const CLI::App& root) {
  const std::vector<Place> places = Places(root);
  std::string script = absl::StrCat(R"(#compdef dropoutctl
_dropoutctl() {
  local place= skip= word
  local -a entries
  for word in "${(@)words[2,CURRENT-1]}"; do
)",
                                    FindPlace(places), R"(  done
  if [[ -n $skip ]]; then
    case $skip in
)",
                                    ValueCases(places, "compadd -- $0"), R"(      *) _files ;;
    esac
    return
  fi
  case $place in
)");
  for (const Place& place : places) {
    absl::StrAppend(&script, "    ", Quoted(place.path), ") entries=(\n");
    for (const Word& word : WordsAt(place, places[0])) {
      absl::StrAppend(
          &script, "      ",
          Quoted(absl::StrCat(word.text, ":", absl::StrReplaceAll(word.help, {{":", "\\:"}}))),
          "\n");
    }
    absl::StrAppend(&script, "      ) ;;\n");
  }
  absl::StrAppend(&script, R"(  esac
  _describe -o dropoutctl entries || _files
}
if [[ $funcstack[1] == _dropoutctl ]]; then
  _dropoutctl "$@"
else
  compdef _dropoutctl dropoutctl
fi
)");
  return script;
}

std::string FishCompletion(const CLI::App& root) {
  std::string script = "# fish completion for dropoutctl\n";
  for (const Place& place : Places(root)) {
    absl::StrAppend(&script, FishCommands(place), FishOptions(place));
  }
  return script;
}

void AddCompletionCommand(CLI::App& app, Context& context) {
  struct Shell {
    const char* name;
    const char* usage;
    std::string (*script)(const CLI::App&);
  };
  static constexpr Shell kShells[] = {
      {"bash", "Print a script to source: source <(dropoutctl completion bash)", BashCompletion},
      {"zsh", "Print a script to source, or to keep as _dropoutctl in a folder of $fpath",
       ZshCompletion},
      {"fish", "Print a script to source: dropoutctl completion fish | source", FishCompletion}};
  CLI::App* group = app.add_subcommand("completion", "Print a completion script for a shell");
  group->require_subcommand(1);
  for (const Shell& shell : kShells) {
    CLI::App* command = group->add_subcommand(shell.name, shell.usage);
    RunWhenParsed(command, context, [&app, &shell] { std::cout << shell.script(app); });
  }
}

}  // namespace dropout::cli
