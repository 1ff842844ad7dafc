"""The rules of the tree. Each takes a file's path and text and yields (line, message)."""

import re

# --- Includes -----------------------------------------------------------------------------

# What a header belongs to, by its path as included; the first match counts.
HEADER_KINDS = [
    (r"server/store/store\.h$", "store_interface"),
    (r"server/persistence/repository\.h$", "repository_interface"),
    (r"server/persistence/stored\.pb\.h$", "stored_format"),
    (r"server/(\w+)/", r"server/\1"),
    (r"client/", "client"),
    (r"tests/", "tests"),
    (r"dropout/v1/", "proto"),
    (r"dropout/", "client_api"),
    (r"absl/", "absl"),
    (r"Eigen/", "eigen"),
    (r"hwy/", "hwy"),
    (r"google/protobuf/", "protobuf"),
    (r"(grpc|grpcpp)/", "grpc"),
    (r"(sys|netinet|arpa|linux)/", "posix"),
    (r"(dirent|dlfcn|fcntl|netdb|poll|pthread|signal|unistd)\.h$", "posix"),
    (r"zlib\.h$", "zlib"),
    (r"malloc\.h$", "std"),  # glibc's own: malloc_trim.
    (r"[a-z_]+$", "std"),
]

GRPC = {"proto", "protobuf", "grpc"}
STD = {"std", "absl"}

# What each room may include; in the rooms that are not listed here, what NEVER leaves.
ROOMS = {
    "include/dropout/eigen.h": STD | {"client_api", "eigen"},
    "include/dropout/": STD | {"client_api"},
    "server/base/": STD | {"server/base"},
    "server/kernels/": {"std", "server/kernels", "hwy"},
    "server/random/": {"std", "server/random", "server/kernels"},
    "server/dropout/": STD
    | {"server/dropout", "server/random", "server/kernels", "server/base", "eigen"},
    "server/memory/": STD | {"server/memory", "server/base", "posix"},
    "server/session/": STD
    | {"server/session", "server/dropout", "server/memory", "server/base"},
    "server/persistence/": STD
    | {"server/persistence", "repository_interface", "stored_format", "protobuf", "store_interface",
       "server/session", "server/dropout", "server/base"},
    "server/engine/": STD
    | {"server/engine", "server/persistence", "repository_interface", "store_interface",
       "server/session", "server/dropout", "server/memory", "server/base"},
    "server/service/": STD | GRPC
    | {"server/service", "server/engine", "server/session", "server/dropout", "server/memory",
       "server/base", "zlib"},
}

# What the rooms with libraries of their own may not include: beginnings of kinds.
NEVER = {
    "server/store/": ("client", "tests", "server/kernels", "server/random", "server/dropout",
                      "server/session", "server/persistence", "server/engine", "server/service",
                      "server/main", *GRPC),
    "server/main/": ("client", "tests"),
    "client/": ("server/", "store_interface", "tests"),
    "tests/": (),
}

OURS = ("server/", "client/", "tests/", "dropout/")
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def header_kind(header):
    for pattern, kind in HEADER_KINDS:
        match = re.match(pattern, header)
        if match:
            return match.expand(kind)
    return header.split("/")[0]


def room_of(path):
    return next((room for room in [*ROOMS, *NEVER] if path.startswith(room)), None)


def may_include(room, kind):
    if room in ROOMS:
        return kind in ROOMS[room]
    return not kind.startswith(NEVER[room])


def check_includes(path, text):
    room = room_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match[1] or match[2]
        kind = header_kind(header)
        if match[2] and header.startswith(OURS):
            yield number, f'include of our own <{header}> is not in "quotes"'
        if match[1] and ("/" not in header or header.startswith(".")):
            yield number, f'include "{header}" is not relative to the root or to include/'
        if room is None:
            yield number, "source file outside of the rooms"
        elif not may_include(room, kind):
            yield number, f"{room} must not include {header}"


# --- Form of C++ files --------------------------------------------------------------------

MAX_LINES = 500
MAX_TEST_LINES = 800


def header_guard(path):
    if path.startswith("include/"):
        name = path[len("include/"):]
    else:
        name = "dropoutd/" + path
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper() + "_"


def check_guard(path, text):
    if not path.endswith(".h"):
        return
    guard = header_guard(path)
    directives = [(number, line) for number, line in enumerate(text.splitlines(), 1)
                  if re.match(r"#\s*(if|define|pragma)", line)]
    lines = [line for _, line in directives]
    plain = [f"#ifndef {guard}", f"#define {guard}"]
    # Highway's headers are included once for each instruction set.
    toggled = [f"#if defined({guard}) == defined(HWY_TARGET_TOGGLE)", f"#ifdef {guard}"]
    if lines[:2] not in (plain, toggled):
        yield directives[0][0] if directives else 1, f"header guard is not {guard}"


def check_length(path, text):
    limit = MAX_TEST_LINES if path.startswith("tests/") else MAX_LINES
    count = len(text.splitlines())
    if count > limit:
        yield count, f"{count} lines, more than {limit}"


DEFAULTED_VIRTUAL = re.compile(r"^ *virtual\b(?![^;{]*~)[^;{]*?(?P<end>= 0;|[;{])", re.MULTILINE)


def check_interfaces(path, text):
    """A class around another of its interface would forget a function that has a default."""
    if path.startswith("tests/"):
        return
    for match in DEFAULTED_VIRTUAL.finditer(text):
        if match["end"] != "= 0;":
            yield text.count("\n", 0, match.start()) + 1, "virtual function with a default body"


# --- Form of all texts --------------------------------------------------------------------

def check_tabs(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line:
            yield number, "tab"


def check_trailing_space(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip(" \t\r"):
            yield number, "white space at the end of the line"
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "no newline at the end of the file"


# Spelled in parts, so that this file keeps its own rule.
HOSTS = ["deb." + "debian.org", "security." + "debian.org", "registry." + "npmjs.org",
         "pypi." + "org", "files." + "pythonhosted.org", "proxy." + "golang.org",
         "repo1." + "maven.org", "repo.maven." + "apache.org"]
MACHINE = re.compile(
    r"(?<![\w.$}/-])/(?:work|root|Users|home/\w+)/|(?<![\w.-])(?:"
    + "|".join(re.escape(host) for host in HOSTS) + r")\b")


def check_machine(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        match = MACHINE.search(line)
        if match:
            yield number, f"path or host of one machine: {match[0]}"


# --- The tree -----------------------------------------------------------------------------

TOP_LEVEL = {"proto", "server", "client", "include", "tests", "docker", "docs", "dev",
             "CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "CHANGELOG.md",
             "CONTRIBUTING.md"}


def check_top_level(path):
    entry = path.split("/")[0]
    if entry not in TOP_LEVEL and not entry.startswith("."):
        yield 1, f"{entry} has no place at the top level"


CPP_RULES = [check_includes, check_guard, check_length, check_interfaces]


def rules_for(path):
    """The rules for a file's text."""
    name = path.split("/")[-1]
    suffix = name.rsplit(".", 1)[-1] if "." in name else ""
    rules = [check_machine]
    if suffix in ("h", "cc"):
        rules += CPP_RULES
    if suffix in ("h", "cc", "proto", "py", "cmake", "sh", "md", "json", "yaml", "yml") or name in (
            "CMakeLists.txt", "dev", ".clang-tidy", ".clang-format", "Dockerfile"):
        rules += [check_tabs, check_trailing_space]
    return rules


def violations(path, text):
    """Every breach in a file, as "path:line: message"."""
    found = list(check_top_level(path))
    for rule in rules_for(path):
        found += rule(path, text)
    return [f"{path}:{number}: {message}" for number, message in sorted(found)]
