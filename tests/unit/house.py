"""The house rules, each a function from a source tree to the list of what breaks it; test_house.py holds us to them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

FILE_LINES_MAX = 400
FILE_LINES_USUAL = 300
USUAL_SHARE = 0.95
FUNCTION_LINES_MAX = 50
BANNED_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "base", "misc"})


def python_files(*folders: Path) -> list[Path]:
    """All Python files below the folders, in a fixed order."""
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


def line_count(file: Path) -> int:
    """Lines of a file, as an editor counts them."""
    return len(file.read_text().splitlines())


def files_too_long(files: Iterable[Path]) -> list[str]:
    """Files over the limit that no file may pass."""
    return [f"{file}: {n} lines" for file in files if (n := line_count(file)) > FILE_LINES_MAX]


def too_many_long_files(files: list[Path]) -> list[str]:
    """Files over the usual length, when they are more than their share of all."""
    long = [f"{file}: {n} lines" for file in files if (n := line_count(file)) > FILE_LINES_USUAL]
    return long if len(long) > (1 - USUAL_SHARE) * len(files) else []


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods of a file, inner ones too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def functions_too_long(files: Iterable[Path]) -> list[str]:
    """Functions with more lines than the limit, from `def` to the last."""
    return [
        f"{file}:{f.lineno} {f.name}: {lines} lines"
        for file in files
        for f in functions(file)
        if (lines := (f.end_lineno or f.lineno) - f.lineno + 1) > FUNCTION_LINES_MAX
    ]


def banned_names(files: Iterable[Path], top: Path) -> list[str]:
    """Files and folders below `top` whose name says nothing."""
    return [str(file) for file in files if BANNED_NAMES & {Path(part).stem for part in file.relative_to(top).parts}]


def without_docstring(files: Iterable[Path]) -> list[str]:
    """Modules that do not say what they are."""
    return [str(file) for file in files if not ast.get_docstring(ast.parse(file.read_text()))]


def swallowed_exceptions(files: Iterable[Path]) -> list[str]:
    """Handlers that catch everything and do nothing: `except Exception: pass` in all its forms."""
    return [
        f"{file}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ExceptHandler) and _catches_all(node) and all(_does_nothing(s) for s in node.body)
    ]


def _catches_all(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(c is None or (isinstance(c, ast.Name) and c.id in {"Exception", "BaseException"}) for c in caught)


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass | ast.Continue) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def undocumented(words: Iterable[str], docs: Path) -> list[str]:
    """Words (commands, settings) that no page in `docs` mentions, as a whole word."""
    text = "\n".join(page.read_text() for page in sorted(docs.glob("*.md")))
    return [word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text)]


def dead_links(pages: Iterable[Path]) -> list[str]:
    """Links of pages to files of ours that are not there."""
    return [
        f"{page}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]


def skip_reasons(file: Path) -> list[str]:
    """The reasons of all `pytest.skip("...")` in a file."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return [
        ast.literal_eval(call.args[0])
        for call in calls
        if ast.unparse(call.func) == "pytest.skip" and call.args and isinstance(call.args[0], ast.Constant)
    ]


def root_tests(files: Iterable[Path]) -> list[str]:
    """Names of the tests that are marked `root`."""
    marked = re.compile(r"(^|\.)mark\.root\b")
    return [
        f.name
        for file in files
        for f in functions(file)
        if any(marked.search(ast.unparse(decorator)) for decorator in f.decorator_list)
    ]
