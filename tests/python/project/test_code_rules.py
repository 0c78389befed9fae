"""Rules of the code that no linter has: each keeps a kind of fault from coming back."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from support.harness import ROOT, files_of_project

# Who may say how a file is read: these two state every option that changes what is read.
PARQUET_READERS = {"value_props/database.py"}
# The others state their options where they stand.
OTHER_READERS = {
    "benchmarks/bare_scan.py",
    "value_props/ingest/sql/plain_events.sql",
    "value_props/ingest/sql/plain_payments.sql",
    "value_props/ingest/sql/rules.sql",
}
# From the top floor to the ground; a room imports from floors below it, and from itself.
FLOORS = (
    {"cli"},
    {"docs", "spark"},
    {"run"},
    {"notify"},
    {"record"},
    {"publish"},
    {"ingest", "sample"},
    {"database"},
    {"resources"},
    {"files", "logs", "parameters"},
    {"errors"},
)
# Modules with a function `open` that opens no text file.
OPEN_NO_TEXT = {"gzip", "os", "webbrowser"}
READER = re.compile(r"\b(read_(?:parquet|csv|csv_auto|json|ndjson|blob)\w*|parquet_scan)\s*\(")
# `from 'file'` reads with options that are left to detection.
BARE_FILE = re.compile(r"\b(?:from|join)[ \t]+'[^'\n]*[./][^'\n]*'", re.IGNORECASE)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_one_helper_reads_parquet_and_no_reader_leaves_an_option_to_detection() -> None:
    found: dict[str, set[str]] = {}
    for path in files_of_project("*.sql", "value_props/*.py", "benchmarks/*.py"):
        if named(path) == "benchmarks/polars_job.py":
            continue
        text = path.read_text(encoding="utf-8")
        for reader in READER.findall(text):
            found.setdefault(named(path), set()).add(reader)
        if path.suffix == ".sql":
            assert not BARE_FILE.findall(text), named(path)
    assert {name for name, readers in found.items() if "read_parquet" in readers} == PARQUET_READERS
    assert set(found) == PARQUET_READERS | OTHER_READERS
    for name in found:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert text.count("hive_partitioning = false") == len(READER.findall(text)), name


def test_no_query_quotes_a_path_by_hand() -> None:
    """A folder may be called o'brien; `database.literal` and parameters know how to quote it."""
    by_hand = re.compile(
        r"(?<!distinct )\b(?:attach|copy|from|join|parquet|to)[ \t(]+'\{", re.IGNORECASE
    )
    assert by_hand.search("select 1 from '{path}'")
    found = [
        named(path) for path in files_of_project("*.py") if by_hand.search(path.read_text("utf-8"))
    ]
    assert found == [named(Path(__file__))]


def imports_of(path: Path) -> Iterator[str]:
    """What a file imports of the package, by room; also in a function, or for types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, rest = node.module.partition(".")
            if package == "value_props":
                yield from [rest.split(".")[0]] if rest else (name.name for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (
                name.name.split(".")[1] for name in node.names if "value_props." in name.name
            )


def test_rooms_import_downwards_only() -> None:
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    seen, upwards = set(), []
    for path in files_of_project("value_props/*.py"):
        room = path.relative_to(ROOT / "value_props").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        seen.add(room)
        for other in imports_of(path):
            if other not in (room, "__version__") and floor_of[other] <= floor_of[room]:
                upwards.append(f"{named(path)} imports {other}")
    assert upwards == []
    assert seen == set(floor_of)


def test_the_reference_shares_no_code_with_the_package() -> None:
    support = "tests/python/support"
    for path in files_of_project(f"{support}/reference*.py", f"{support}/raw_*.py"):
        assert list(imports_of(path)) == [], named(path)


def calls_of(path: Path) -> Iterator[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def files_that_call(is_wanted: Callable[[ast.Call], bool]) -> set[str]:
    """The files of the package with such a call."""
    return {
        named(path)
        for path in files_of_project("value_props/*.py")
        for call in calls_of(path)
        if is_wanted(call)
    }


def name_of(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def leaves_encoding_to_locale(call: ast.Call) -> bool:
    given = {keyword.arg for keyword in call.keywords}
    if "encoding" in given or None in given:
        return False
    texts = [
        value.value
        for value in (*call.args, *(keyword.value for keyword in call.keywords))
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    ]
    match name_of(call):
        case "read_text":
            return not call.args
        case "write_text":
            return len(call.args) < 2
        case "FileHandler":
            return True
        case "run" | "Popen" | "check_output":
            return bool(given & {"text", "universal_newlines"})
        case "open" | "fdopen" | "NamedTemporaryFile" | "TemporaryFile":
            receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
            is_of_module = isinstance(receiver, ast.Name) and receiver.id in OPEN_NO_TEXT
            if is_of_module and name_of(call) == "open":
                return False
            return not any("b" in text for text in texts if re.fullmatch("[rwxabt+]+", text))
    return False


def test_every_text_file_is_read_and_written_as_utf_8() -> None:
    breaches = [
        f"{named(path)}:{call.lineno}"
        for path in files_of_project("*.py")
        for call in calls_of(path)
        if leaves_encoding_to_locale(call)
    ]
    assert breaches == []


@pytest.mark.parametrize(
    "code",
    [
        "path.read_text()",
        "path.write_text(text)",
        "path.open()",
        "open(path, 'w')",
        "logging.FileHandler(path)",
        "subprocess.run(command, text=True)",
        "os.fdopen(number, 'w')",
    ],
)
def test_the_rule_on_encodings_sees(code: str) -> None:
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call)
    assert leaves_encoding_to_locale(call)


def test_only_the_console_prints() -> None:
    ways = ("print", "click.echo", "sys.stdout.write", "sys.stderr.write")
    printers = files_that_call(lambda call: ast.unparse(call.func) in ways)
    # These are processes of their own that answer on their standard output.
    senders = {"value_props/notify/alert_sender.py", "value_props/notify/lineage_events.py"}
    assert printers - senders == {"value_props/cli/console.py"}
    # Rich prints too. The console decides where it may colour and erase; it asks no variable such
    # as FORCE_COLOR.
    makers = files_that_call(lambda call: name_of(call) in ("Console", "WithCursor", "get_console"))
    assert makers == {"value_props/cli/console.py"}


def test_one_room_knows_how_files_are_replaced_and_removed() -> None:
    def is_file_work(call: ast.Call) -> bool:
        # A text is replaced by two arguments, a file by one.
        is_rename = name_of(call) in ("rename", "replace") and len(call.args) == 1
        is_work = is_rename or name_of(call) in ("fsync", "rmtree", "file_digest")
        return is_work and isinstance(call.func, ast.Attribute)

    # The second names thousands of parsed files and syncs their folder once; the third hashes by
    # the MD5 that stores have.
    exceptions = {"value_props/ingest/keep.py", "value_props/publish/bucket.py"}
    assert files_that_call(is_file_work) == {"value_props/files.py", *exceptions}


def test_one_helper_reads_the_queries_of_the_rooms() -> None:
    readers = {
        named(path)
        for path in files_of_project("value_props/*.py")
        if re.search(r"importlib import resources|importlib\.resources", path.read_text("utf-8"))
    }
    assert readers == {"value_props/database.py"}


def test_paths_and_switches_of_the_user_are_read_in_one_place() -> None:
    readers = files_that_call(lambda call: name_of(call) in ("expanduser", "expandvars"))
    assert readers == {"value_props/parameters.py"}
    switches = re.compile(r"\(\s*[\"']1[\"'],\s*[\"']true[\"']|filter 1 true")
    found = {
        named(path)
        for path in files_of_project("*.py", "*.sql", "Makefile")
        if switches.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"tests/python/project/test_code_rules.py"}


def test_an_installed_package_holds_every_file() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    setuptools = settings["tool"]["setuptools"]
    folders: dict[str, set[str]] = {}
    for path in files_of_project("value_props/*"):
        folder = path.relative_to(ROOT).parent.as_posix().replace("/", ".")
        folders.setdefault(folder, set()).add(path.name)
    assert sorted(folders) == sorted(setuptools["packages"])
    for package, names in folders.items():
        patterns = ["*.py", *setuptools["package-data"].get(package, [])]
        left_out = [name for name in names if not any(fnmatch(name, p) for p in patterns)]
        assert left_out == [], package
