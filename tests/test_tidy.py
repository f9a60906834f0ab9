"""House rules, held by a test and not by a reviewer: who imports whom, banned names, sizes, documents that must stay true."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from windtunnel import Scenario, library
from windtunnel.core.rollout.outcome import ENDS
from windtunnel.scenarios.reference import faults_markdown, library_markdown, reference_markdown

ROOT = Path(__file__).parents[1]
FOLDERS = ("core", "scenarios", "backends", "sim", "reports")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
TOP = sorted(ROOT.glob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAY_IMPORT = {
    "core": set(),
    "scenarios": {"core"},
    "backends": {"core", "scenarios"},
    "sim": {"core", "scenarios", "backends.registry", "backends.stale_reads", "backends.cloud"},
    "reports": {"core"},
}
THIRD_PARTY_OF_CORE = {"numpy", "numba"}
FILE_LINES, FUNCTION_LINES = 400, 60
LONG_FOR_A_REASON: dict[str, str] = {}
"""Path (and function) of what is longer, and why."""

CLOCKS = {"time.time", "time.monotonic", "time.perf_counter", "time.time_ns", "time.sleep", "datetime.now",
          "datetime.utcnow", "date.today"}  # fmt: skip
REAL_TIME_ALLOWED = {"reports/sink.py"}
"""A run's parts are written after so many real seconds; nothing that is recorded depends on it."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(module, whether of this project) for each import; project modules as folder.module."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or "", False
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            if node.module:
                yield ".".join((*base, node.module)), True
            else:
                yield from ((".".join((*base, alias.name)), True) for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_who_imports_whom(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    for module, ours in imports(path):
        if ours:
            target = module.split(".")[0]
            allowed = MAY_IMPORT[folder]
            two = ".".join(module.split(".")[:2])
            assert target == folder or target in allowed or two in allowed, f"{name(path)} imports {module}"
        else:
            assert not module.startswith("windtunnel"), f"{name(path)}: imports inside are relative"
            if folder == "core":
                top = module.split(".")[0]
                stdlib = top in __import__("sys").stdlib_module_names
                assert stdlib or top in THIRD_PARTY_OF_CORE, f"core imports {module}"


def test_numba_is_imported_where_compilation_is_asked_for_only() -> None:
    found = {
        name(path) for path in [*SOURCES, *TOP] for module, _ in imports(path) if module.startswith("numba")
    }
    assert found == {"core/decision.py", "sim/kernel/compiled.py", "sim/kernel/world_type.py"}
    code = "import sys, windtunnel.api; sys.exit('numba' in sys.modules)"
    assert subprocess.run([__import__("sys").executable, "-c", code], timeout=60).returncode == 0


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", [*SOURCES, *TOP], ids=name)
def test_banned_names(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    tree = ast.parse(path.read_text())
    modules = {module for module, ours in imports(path) if not ours}
    assert not modules & {"random", "secrets", "uuid"}, f"{name(path)}: randomness comes from core.draws"
    if folder == "core":
        assert not modules & {"time", "datetime", "asyncio", "threading", "socket", "os", "pathlib", "io"}
    for node in ast.walk(tree):
        spelled = dotted(node)
        assert not re.match(r"(np|numpy)\.random", spelled), f"{name(path)}:{getattr(node, 'lineno', 0)}"
        if folder in ("core", "sim", "scenarios") or (
            name(path) not in REAL_TIME_ALLOWED and folder == "reports"
        ):
            assert spelled not in CLOCKS, f"{name(path)}: wall clock {spelled}"
        if folder in ("core", "sim"):
            assert spelled not in {"np.exp", "np.log", "np.log1p", "np.expm1", "np.power"}, name(path)
        if isinstance(node, ast.Call) and dotted(node.func) == "print":
            assert name(path).startswith("cli"), f"{name(path)}:{node.lineno}: print"
        if isinstance(node, ast.Call) and dotted(node.func) == "hash":
            pytest.fail(f"{name(path)}:{node.lineno}: hash() depends on PYTHONHASHSEED")


@pytest.mark.parametrize("path", [*SOURCES, *TOP], ids=name)
def test_sizes(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") < FILE_LINES or name(path) in LONG_FOR_A_REASON
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            where = f"{name(path)}:{node.name}"
            assert length < FUNCTION_LINES or where in LONG_FOR_A_REASON, f"{where} has {length} lines"


@pytest.mark.parametrize("path", [*SOURCES, *TOP], ids=name)
def test_public_things_say_what_they_are(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{name(path)} has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            nested = any(
                isinstance(outer, ast.FunctionDef) and node in ast.walk(outer) and outer is not node
                for outer in ast.walk(tree)
            )
            assert nested or ast.get_docstring(node), (
                f"{name(path)}:{node.lineno}: {node.name} has no docstring"
            )


def test_tests_assert_something() -> None:
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                body = ast.dump(node)
                assert re.search(r"Assert\(|'raises'|Name\(id='(assert_|check)", body), (
                    f"{name(path)}: {node.name}"
                )


def test_every_package_is_listed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {
        ".".join(("windtunnel", *path.parent.relative_to(ROOT).parts))
        for path in [ROOT / "__init__.py", *SOURCES]
        if path.name == "__init__.py"
    }
    assert listed == found


def test_the_reference_is_the_schema() -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text()
    assert reference_markdown() in text, "run `make docs`"
    assert faults_markdown() in (ROOT / "docs" / "faults.md").read_text(), "run `make docs`"
    shipped = {name: Scenario.load(name).document for name in sorted(library())}
    assert library_markdown(shipped) in (ROOT / "docs" / "library.md").read_text(), "run `make docs`"


def test_the_scenario_in_the_docs_is_valid() -> None:
    from windtunnel import Scenario

    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "scenarios.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        Scenario.parse(block)


def test_architecture_names_every_module() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = {word.removesuffix("/") for word in re.findall(r"`([a-z_/]+)`", text)}
    for path in SOURCES:
        if path.name != "__init__.py" and "contract" not in path.parts:
            assert path.stem in named, f"docs/architecture.md does not know {name(path)}"


def test_the_events_in_the_docs_are_those_in_the_code() -> None:
    known = {"run", "end", *ENDS}
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and (
                    dotted(node.func).split(".")[-1] in ("emit", "_emit") or dotted(node.func) == "moment.log"
                )
                and node.args
            ):
                # An emitter that is told the time has the name second.
                first = node.args[1] if len(node.args) == 3 else node.args[0]
                named = [first] if not isinstance(first, ast.Name) else _assigned(tree, first.id)
                for value in named:
                    known |= {
                        n.value
                        for n in ast.walk(value)
                        if isinstance(n, ast.Constant) and isinstance(n.value, str)
                    }
    page = (ROOT / "docs" / "run-format.md").read_text()
    rows = page[page.index("| event | fields |") :].splitlines()[2:]
    documented = {word for row in rows for word in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    assert known == documented


def _assigned(tree: ast.Module, variable: str) -> list[ast.expr]:
    """What is assigned to *variable* anywhere in the module."""
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(dotted(target) == variable for target in node.targets)
    ]


def test_no_host_facts_in_the_tree() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    for path in tracked:
        if (ROOT / path).is_file() and not path.endswith((".png",)):
            text = (ROOT / path).read_text(errors="replace")
            assert "/" + "root/" not in text, path
            assert "/" + "work/" not in text, path
