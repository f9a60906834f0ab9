"""House rules, held by a test and not by a reviewer: who imports whom, banned names, sizes, documents that must stay true."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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
INEXACT = {"np.exp", "np.log", "np.log1p", "np.expm1", "np.power"}
REAL_TIME_ALLOWED = {"reports/sink.py"}
"""A run's parts are written after so many real seconds; nothing that is recorded depends on it."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """(module, whether of this project) for each import; project modules as folder.module."""
    package = path.relative_to(ROOT).parts[:-1]
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, False) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((node.module or "", False))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            if node.module:
                found.append((".".join((*base, node.module)), True))
            else:
                found += [(".".join((*base, alias.name)), True) for alias in node.names]
    return tuple(found)


def may_import(folder: str, module: str, ours: bool) -> bool:
    """Whether a file of *folder* may import *module*."""
    if ours:
        allowed = {folder, *MAY_IMPORT[folder]}
        return module.split(".")[0] in allowed or ".".join(module.split(".")[:2]) in allowed
    top = module.split(".")[0]
    # Imports inside are relative.
    return top != "windtunnel" and (
        folder != "core" or top in sys.stdlib_module_names or top in THIRD_PARTY_OF_CORE
    )


def test_who_imports_whom() -> None:
    wrong = [
        f"{name(path)} imports {module}"
        for path in SOURCES
        for module, ours in imports(path)
        if not may_import(path.relative_to(ROOT).parts[0], module, ours)
    ]
    assert wrong == []


def test_numba_is_imported_where_compilation_is_asked_for_only() -> None:
    found = {
        name(path) for path in [*SOURCES, *TOP] for module, _ in imports(path) if module.startswith("numba")
    }
    assert found == {"core/decision.py", "sim/kernel/compiled.py", "sim/kernel/world_type.py"}
    code = "import sys, windtunnel.api; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def banned(path: Path) -> Iterator[str]:
    """What *path* uses and must not."""
    folder = path.relative_to(ROOT).parts[0]
    modules = {module for module, ours in imports(path) if not ours}
    yield from sorted(modules & {"random", "secrets", "uuid"})
    if folder == "core":
        yield from sorted(
            modules & {"time", "datetime", "asyncio", "threading", "socket", "os", "pathlib", "io"}
        )
    timeless = folder in ("core", "sim", "scenarios", "reports") and name(path) not in REAL_TIME_ALLOWED
    for node in ast.walk(tree_of(path)):
        spelled = dotted(node)
        if (
            re.match(r"(np|numpy)\.random", spelled)
            or (timeless and spelled in CLOCKS)
            or (folder in ("core", "sim") and spelled in INEXACT)
        ):
            yield spelled
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            # hash() depends on PYTHONHASHSEED.
            if called == "hash" or (called == "print" and not name(path).startswith("cli")):
                yield called


def test_banned_names() -> None:
    assert [f"{name(path)}: {what}" for path in [*SOURCES, *TOP] for what in banned(path)] == []


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def too_long(path: Path) -> Iterator[str]:
    """Files and functions that are longer than they may be."""
    if path.read_text().count("\n") >= FILE_LINES:
        yield name(path)
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and length(node) >= FUNCTION_LINES:
            yield f"{name(path)}:{node.name}"


def test_sizes() -> None:
    found = {what for path in [*SOURCES, *TOP] for what in too_long(path)}
    assert found == set(LONG_FOR_A_REASON)


def public(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions and classes, but for those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if not child.name.startswith("_"):
                yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)
        else:
            yield from public(child)


def test_public_things_say_what_they_are() -> None:
    silent = [
        f"{name(path)}:{node.lineno}: {node.name}"
        for path in [*SOURCES, *TOP]
        for node in public(tree_of(path))
        if not ast.get_docstring(node)
    ]
    assert silent == []
    assert [name(path) for path in [*SOURCES, *TOP] if not ast.get_docstring(tree_of(path))] == []


def test_tests_assert_something() -> None:
    for path in TESTS:
        for node in ast.walk(tree_of(path)):
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
        tree = tree_of(path)
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
