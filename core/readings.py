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


def load_of(proxy: ProxyLoad) -> dict[str, float]:
    """The proxy's figures."""
    return {
        "requests": float(proxy.requests),
        "unserved": float(proxy.unserved),
        "in_flight": float(proxy.in_flight),
        "waiting": float(proxy.waiting),
    }
