"""What is wrong with YAML that cannot be parsed, said of what the user wrote and not of the parser's states."""

import re
from collections.abc import Callable

import yaml

Mark = yaml.error.Mark
Rule = tuple[str, str, Callable[["re.Match[str]", "re.Match[str]", int], str], bool]

# Of a parser's error: pattern of its context, pattern of its problem, the sentence (told both matches and the line in which
# the context begins), and whether the mistake stands where the context begins rather than where the parser gave up.
_RULES: tuple[Rule, ...] = (
    ("", r"found character '\\t'",
     lambda c, p, n: "found a tab (YAML indents with spaces, not tabs)", False),
    ("", r"found character '(.)' that cannot start",
     lambda c, p, n: f"text that begins with {p[1]} needs quotes", False),
    ("scanning an (alias|anchor)", "expected alphabetic",
     lambda c, p, n: f"text that begins with {'*' if c[1] == 'alias' else '&'} needs quotes", True),
    ("scanning a simple key", "could not find expected ':'",
     lambda c, p, n: "expected a key, a colon and a space, such as duration: 2m", True),
    ("scanning a quoted scalar", "unexpected",
     lambda c, p, n: "a quote is opened here and never closed", True),
    (r"parsing a flow (mapping|sequence)", "got '<(stream end|document start)>'",
     lambda c, p, n: f"a {'{' if c[1] == 'mapping' else '['} is opened here and never closed", True),
    (r"parsing a flow (mapping|sequence)", "expected (.*), but got",
     lambda c, p, n: f"expected {p[1]} in what is opened in line {n}", False),
    ("parsing a block mapping", "but found ':'|but found '<value>'",
     lambda c, p, n: "expected a key before the colon", False),
    ("parsing a block (mapping|collection)", "expected <block end>",
     lambda c, p, n: f"expected the indentation of line {n}, where this {'mapping' if c[1] == 'mapping' else 'list'} begins", False),
    ("", "^mapping values are not allowed here",
     lambda c, p, n: "mapping values are not allowed here (keys of a mapping have one indentation; text that holds ': ' needs quotes)", False),
    ("", "found undefined alias '(.*)'",
     lambda c, p, n: f"expected an anchor &{p[1]} above, got none", False),
    ("found duplicate anchor '(.*)'", "second occurrence",
     lambda c, p, n: f"anchor {c[1]!r} given twice, first in line {n}", False),
    ("", "but found another document|expected '<document start>'",
     lambda c, p, n: "expected one document in the file, got more after its end", False),
)  # fmt: skip


def explain(error: yaml.MarkedYAMLError) -> tuple[int, int, str]:
    """Line and column (from 1) of a parser's error, and what is wrong there."""
    context, problem = error.context or "", error.problem or error.context or "cannot be parsed"
    opened, met = error.context_mark or error.problem_mark, error.problem_mark or error.context_mark
    for in_context, in_problem, sentence, where_opened in _RULES:
        first, second = re.search(in_context, context), re.search(in_problem, problem)
        if first and second:
            line = opened.line + 1 if opened else 1
            return (*_place(opened if where_opened else met), sentence(first, second, line))
    return (*_place(met), problem)


def _place(mark: Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
