"""The Jenkinsfile of a pipeline: a declarative pipeline for a multibranch job.

It is made, never read: what Jenkins runs and what the embedded build server runs are the same scripts of the same file. Only literals are written (no interpolation by Groovy), so that no secret is ever part of a script.
"""

from collections.abc import Iterator, Sequence

from .pipeline import FILE, Pipeline, Stage

HEAD = f"""// Made from {FILE} by `windtunnel deploy jenkinsfile`. Change that file, not this one.
"""
_STEP = "  "
_SECOND = 1_000_000_000


def jenkinsfile(pipeline: Pipeline) -> str:
    """Its text."""
    lines = [
        "pipeline {",
        *_indented(_head(pipeline)),
        *_block("stages", (line for one in pipeline.stages for line in _stage(one, pipeline)), 1),
        *_indented(_post(pipeline)),
        "}",
    ]
    return HEAD + "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A string literal of Groovy without interpolation; of several lines if *text* has them."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'''{escaped}'''" if "\n" in text else f"'{escaped}'"


def _indented(lines: Iterator[str] | Sequence[str], by: int = 1) -> Iterator[str]:
    """Each line further in, except inside a literal of several lines, whose text must stay as it is."""
    inside = False
    for line in lines:
        yield line if inside or not line else _STEP * by + line
        if line.count("'''") % 2:
            inside = not inside


def _block(head: str, inside: Iterator[str] | Sequence[str], by: int = 0) -> Iterator[str]:
    yield from _indented([f"{head} {{"], by)
    yield from _indented(inside, by + 1)
    yield from _indented(["}"], by)


def _head(pipeline: Pipeline) -> Iterator[str]:
    yield "agent any"
    yield from _block(
        "options",
        [
            "disableConcurrentBuilds()",
            "skipDefaultCheckout()",
            f"buildDiscarder(logRotator(numToKeepStr: '{pipeline.keep}'))",
            _timeout(pipeline.timeout),
        ],
    )
    if pipeline.environment:
        yield from _block(
            "environment", [f"{name} = {quoted(text)}" for name, text in pipeline.environment.items()]
        )


def _timeout(time: int) -> str:
    return f"timeout(time: {max(1, time // _SECOND)}, unit: 'SECONDS')"


def _stage(stage: Stage, pipeline: Pipeline) -> Iterator[str]:
    yield from _block(f"stage({quoted(stage.stage)})", [*_inside(stage, pipeline)])


def _inside(stage: Stage, pipeline: Pipeline) -> Iterator[str]:
    if stage.branches is not None:
        names = [f"branch {quoted(name)}" for name in stage.branches]
        yield from _block("when", names if len(names) == 1 else [*_block("anyOf", names)])
    yield from _block("options", [_timeout(stage.timeout)])
    if stage.secrets:
        yield from _block(
            "environment",
            [f"{name} = credentials({quoted(pipeline.secrets[name].credential)})" for name in stage.secrets],
        )
    yield from _block("steps", [*_checkout()] if stage.checkout else [*_shell(stage.steps)])
    if stage.roll_back and pipeline.roll_back is not None:
        back = pipeline.roll_back
        yield from _block(
            "post", [*_block("unsuccessful", [*_block(_timeout(back.timeout), [*_shell(back.steps)])])]
        )


def _checkout() -> Iterator[str]:
    """From nothing; and what the checkout tells of commits becomes variables, which only the default checkout would do by itself."""
    yield "deleteDir()"
    yield from _block(
        "script",
        [
            "Map found = checkout(scm)",
            "env.GIT_COMMIT = found.GIT_COMMIT",
            "env.GIT_PREVIOUS_SUCCESSFUL_COMMIT = found.GIT_PREVIOUS_SUCCESSFUL_COMMIT ?: ''",
        ],
    )


def _shell(scripts: Sequence[str]) -> Iterator[str]:
    for script in scripts:
        yield from f"sh {quoted(script)}".split("\n")


def _post(pipeline: Pipeline) -> Iterator[str]:
    publish = pipeline.publish
    told = []
    if publish.junit:
        told.append(f"junit(testResults: {quoted(', '.join(publish.junit))}, allowEmptyResults: true)")
    if publish.artifacts:
        told.append(
            f"archiveArtifacts(artifacts: {quoted(', '.join(publish.artifacts))}, allowEmptyArchive: true)"
        )
    if told:
        yield from _block("post", [*_block("always", told)])
