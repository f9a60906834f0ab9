"""User data by which a new instance provisions itself with the playbook's role, for ``fleet.cloud.aws.user_data_file``."""

import re

from ...core.errors import UsageError
from .inventory import is_version
from .playbooks import FOLDER

TEMPLATE = FOLDER / "user_data.sh"
_WORD = re.compile(r"[A-Za-z0-9@:/._+~=\[\],-]+")


def user_data(repository: str, version: str, package: str) -> str:
    """The script: *version* is a tag or branch of *repository*, *package* what pip installs. The launch's own values are left in braces (see aws.user_data). Raises UsageError."""
    if not is_version(version):
        raise UsageError(f"--version {version}: expected letters, digits and . _ -")
    for name, text in (("repository", repository), ("package", package)):
        if not _WORD.fullmatch(text) or text.startswith("-"):
            raise UsageError(f"--{name} {text}: expected an address or a name without spaces and quotes")
    text = TEMPLATE.read_text(encoding="utf-8")
    # A package with extras would be a pattern to the shell.
    words = {"@VERSION@": version, "@REPOSITORY@": f"'{repository}'"}
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text.replace('"@PACKAGE@"', f'"{package}"').replace("@PACKAGE@", f"'{package}'")
