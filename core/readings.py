"""What a policy is shown of what servers and proxy say of themselves: named numbers."""

from .ports import ProxyLoad, Sample


def metrics_of(sample: Sample) -> dict[str, float]:
    """A server's metrics, its own ones too."""
    return {
        "requests": float(sample.requests),
        "memory": sample.memory,
        "cpu": sample.cpu,
        "in_flight": float(sample.in_flight),
        **sample.custom,
    }


def metrics_of_silence() -> dict[str, float]:
    """What whoever takes a missing key for 0 reads of a server without a sample."""
    return dict.fromkeys(("requests", "memory", "cpu", "in_flight"), 0.0)


def load_of(proxy: ProxyLoad) -> dict[str, float]:
    """The proxy's figures."""
    return {
        "requests": float(proxy.requests),
        "unserved": float(proxy.unserved),
        "in_flight": float(proxy.in_flight),
        "waiting": float(proxy.waiting),
    }
