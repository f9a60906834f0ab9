"""The statuses with which a proxy refuses a request that it does not understand, or does not want (RFC 9110, sections 15.5 and 15.6; RFC 6585, section 5)."""

from typing import Final

BAD_REQUEST: Final = 400
REQUEST_TIMEOUT: Final = 408
CONTENT_TOO_LARGE: Final = 413
URI_TOO_LONG: Final = 414
EXPECTATION_FAILED: Final = 417
FIELDS_TOO_LARGE: Final = 431
NOT_IMPLEMENTED: Final = 501
VERSION_NOT_SUPPORTED: Final = 505

LIMITS: Final = frozenset({CONTENT_TOO_LARGE, URI_TOO_LONG, EXPECTATION_FAILED, FIELDS_TOO_LARGE})
"""Of requests that are well-formed: an intermediary may have limits below a server's, and expectations that it does not meet (RFC 9110, sections 5.4 and 10.1.1; RFC 9112, section 3)."""
UNREADABLE: Final = frozenset({BAD_REQUEST, REQUEST_TIMEOUT, VERSION_NOT_SUPPORTED}) | LIMITS
"""After these nobody can say where the connection's next request begins, and whoever gave one need not answer it."""
REFUSALS: Final = UNREADABLE | {NOT_IMPLEMENTED}
"""All of them."""
EXPLICABLE: Final = frozenset({NOT_IMPLEMENTED, VERSION_NOT_SUPPORTED})
"""Those from 500 on: they say something of the request, and nothing of the server's health."""
