"""Which names a page's request may be addressed to: a name that somebody else's DNS leads here (rebinding) is none of ours."""

from ipaddress import ip_address


def host_of(field: str) -> str:
    """The host in a Host field, without port and brackets, in small letters."""
    text = field.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if text.count(":") == 1 else text


def is_loopback_name(host: str) -> bool:
    """Whether *host* names this machine's loopback, whatever DNS says: ``localhost`` or an address of it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Whether *host* is an IP address, which no DNS can lead elsewhere."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
