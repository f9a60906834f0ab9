"""No secret is in the repository: neither in a file that git keeps, nor in what a pipeline or a Jenkins is told."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATTERNS = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{40,}"),
    "an AWS access key id": re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    "an AWS secret key": re.compile(r"(?i)aws.{0,20}secret.{0,20}['\"\s:=]([A-Za-z0-9/+]{40})\b"),
    "a token of GitHub": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})\b"),
    "a token of Slack": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
    "a JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}"),
    "a password in a URL": re.compile(
        r"\b[a-z][a-z0-9+]*://[^/\s:@'\"`{}$<>]*:([^/\s@'\"`{}$<>]{3,})@[A-Za-z0-9]"
    ),
    "a password in YAML": re.compile(
        r"(?im)^\s*-?\s*\w*(?:password|passwd|secret|token|api_?key)\w*:\s+(?!\{)['\"]?(?![{$<|>!*&\[]|['\"]|null|true|false|no\b|yes\b)([^\s'\"#]{6,})['\"]?\s*$"
    ),
}
YAML_ONLY = "a password in YAML"
EXAMPLES = ("EXAMPLE", "example", "testing", "hidden", "word", "secret", "WORD", "SECRET", "ABCDEFGH")
"""Words in what is none: the providers' documented examples, and texts of tests that say what they are."""


def found_in(text: str, name: str) -> list[str]:
    """What looks like a secret in *text*, a file called *name*."""
    found = []
    for what, pattern in PATTERNS.items():
        if what == YAML_ONLY and not name.endswith((".yml", ".yaml", ".yaml.j2", ".yml.j2")):
            continue
        for match in pattern.finditer(text):
            value = match[1] if match.groups() else match[0]
            if not any(word in value for word in EXAMPLES):
                found.append(f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}")
    return found


def test_no_tracked_file_holds_a_secret() -> None:
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(names) > 100
    files = [
        ROOT / name
        for name in names
        if (ROOT / name).is_file() and not name.endswith((".png", ".parquet", ".gz"))
    ]
    found = [
        one
        for path in files
        for one in found_in(path.read_text(encoding="utf-8", errors="replace"), str(path.relative_to(ROOT)))
    ]
    assert found == []


KEY = "-----BEGIN OPENSSH PRIVATE " + "KEY-----\n" + "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ" * 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (KEY, "a private key"),
        (
            "id = " + "AKIA" + "2E0A8F3B244C9986".replace("0", "Q").replace("8", "R").replace("9", "T"),
            "an AWS access key id",
        ),
        ("aws_secret_access_key = " + "wJalrXUtnFEMIK7MDENG" * 2, "an AWS secret key"),
        ("ghp_" + "a1B2" * 9, "a token of GitHub"),
        ("redis://:" + "hunter22@10.0.0.1:6379", "a password in a URL"),
        ("redis_" + "password: hunter22", "a password in YAML"),
    ],
)
def test_the_scan_finds_what_it_looks_for(text: str, what: str) -> None:
    assert found_in(text, "vars.yml") == [f"vars.yml:1: {what}"]


@pytest.mark.parametrize(
    "text",
    [
        'password: "{{ vault_password }}"',
        "password: ${REDIS_PASSWORD}",
        "redis://${USER}:${PASSWORD}@host",
        "secrets: [ONE]",
    ],
)
def test_a_reference_is_no_secret(text: str) -> None:
    assert found_in(text, "vars.yml") == []
