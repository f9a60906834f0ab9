"""What a step says becomes a log of plain text without secrets: also where one is split over two reads, quoted, or encoded."""

import base64
import codecs
import json
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus

from ...aws.redaction import Redaction

MOST_BYTES = 20 * 2**20
"""A stage's log is cut there; what it says after that is read and dropped."""

_LONGEST_LINE = 64 * 2**10
_SHORTEST = 4
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def forms(secret: str) -> set[str]:
    """How *secret* may appear: as it is, each line of it, in a URL, in JSON, in base64, and as sh -x shows it."""
    texts = {secret, *(line.strip() for line in secret.splitlines())}
    return {form for text in texts for form in _forms(text) if len(form) >= _SHORTEST}


def _forms(text: str) -> set[str]:
    return {
        text,
        quote(text, safe=""),
        quote_plus(text),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        base64.b64encode(text.encode()).decode(),
        shlex.quote(text).strip("'"),
        text.replace("'", "'\\''"),
    }


class MaskedLog:
    """Writes to the file *path*, appending. *secrets* are removed from every line."""

    def __init__(self, path: Path, secrets: Iterable[str]) -> None:
        known = {form for secret in secrets for form in forms(secret)}
        self._redact = Redaction(known)
        self._longest = max((len(form) for form in known), default=1)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._room = MOST_BYTES
        self._file = path.open("a", encoding="utf-8", errors="replace")

    def write(self, data: bytes) -> None:
        """What a step has said."""
        self._held += self._decoder.decode(data)
        cut = self._held.rfind("\n") + 1
        self._put(self._clean(self._held[:cut]))
        self._held = self._held[cut:]
        if len(self._held) > _LONGEST_LINE:
            # A secret that has begun and not ended lies in the last characters, which wait.
            text = self._clean(self._held)
            self._put(text[: -self._longest])
            self._held = text[-self._longest :]

    def say(self, text: str) -> None:
        """A line of the server's own."""
        self.flush()
        self._put(self._clean(f"[windtunnel] {text}\n"))

    def flush(self) -> None:
        """Write what has no line end yet."""
        self._held += self._decoder.decode(b"", final=True)
        if self._held:
            self._put(self._clean(self._held) + "\n")
            self._held = ""

    def close(self) -> None:
        """End it."""
        self.flush()
        self._file.close()

    def _clean(self, text: str) -> str:
        return self._redact(_CONTROLS.sub("", _ESCAPES.sub("", text)))

    def _put(self, text: str) -> None:
        if not text or self._room <= 0:
            return
        size = len(text.encode(errors="replace"))
        if size > self._room:
            text = text[: self._room] + f"\n[windtunnel] the log is cut at {MOST_BYTES // 2**20} MiB\n"
        self._room -= size
        self._file.write(text)
        self._file.flush()
