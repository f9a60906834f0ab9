"""Header sets for ``headers: mixed``: what browsers, scripts and caches send, drawn with equal chances."""

MIXED: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("accept", "*/*"),),
    (("accept", "text/html,application/xhtml+xml"), ("accept-encoding", "gzip, br")),
    (("accept", "text/plain"), ("accept-charset", "utf-8"), ("cache-control", "no-cache")),
    (("accept-language", "de, en;q=0.5"), ("cookie", "session=0")),
    (("connection", "keep-alive"), ("pragma", "no-cache")),
    (("if-none-match", '"0"'), ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT")),
    (("range", "bytes=0-99"), ("user-agent", "monkey")),
)
