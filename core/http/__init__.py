"""HTTP/1.x as the proxy admits it: what a request must be, what is refused with which status, where each message ends (RFC 9110, RFC 9112)."""
