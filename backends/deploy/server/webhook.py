"""A push as a webhook tells it, in GitHub's form: who says so (HMAC-SHA256 over the body), which delivery it is, and what was pushed."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

SIGNATURE = "X-Hub-Signature-256"
DELIVERY = "X-GitHub-Delivery"
EVENT = "X-GitHub-Event"
MOST_BYTES = 4 * 2**20

_DELIVERY = re.compile(r"[A-Za-z0-9-]{1,100}")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class Refused(Exception):
    """A request that is not carried out; *status* is the answer's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Push:
    """*branch* is at *commit* now."""

    branch: str
    commit: str
    delivery: str


def signature(secret: str, body: bytes) -> str:
    """The header's value for *body*."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def read_push(headers: Mapping[str, str], body: bytes, secret: str) -> Push | None:
    """The push in a request, or None for a delivery that tells of something else (ping, a deleted branch, a tag). Raises Refused; the signature is looked at before anything else."""
    given = headers.get(SIGNATURE, "")
    if not hmac.compare_digest(signature(secret, body).encode(), given.encode(errors="replace")):
        raise Refused(403, f"expected {SIGNATURE} to be the HMAC-SHA256 of the body under the shared secret")
    delivery = headers.get(DELIVERY, "")
    if not _DELIVERY.fullmatch(delivery):
        raise Refused(400, f"expected {DELIVERY} to name the delivery")
    if headers.get(EVENT) != "push":
        return None
    try:
        told = json.loads(body)
    except ValueError:
        raise Refused(400, "expected a body of JSON") from None
    ref, commit = (told.get("ref"), told.get("after")) if isinstance(told, dict) else (None, None)
    if not isinstance(ref, str) or not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise Refused(400, 'expected {"ref": "refs/heads/BRANCH", "after": COMMIT}')
    if not ref.startswith("refs/heads/") or not commit.strip("0"):
        return None
    return Push(ref.removeprefix("refs/heads/"), commit, delivery)
