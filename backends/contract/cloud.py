"""What a cloud must do. Each check is given a fresh cloud."""

from collections.abc import Callable

from ...core.ports import Cloud

Check = Callable[[Cloud], None]


def launches_are_listed(cloud: Cloud) -> None:
    """Instances carry our number and role, and are listed by number."""
    second = cloud.launch(2, "canary", "token-2")
    first = cloud.launch(1, "serving", "token-1")
    assert (first.number, first.role, second.number, second.role) == (1, "serving", 2, "canary")
    assert first.address != second.address
    assert first.provider_id != second.provider_id
    listed = cloud.list()
    assert [(i.number, i.provider_id, i.role, i.address) for i in listed] == [
        (1, first.provider_id, "serving", first.address),
        (2, second.provider_id, "canary", second.address),
    ]
    assert all(instance.state in ("pending", "running") for instance in listed)


def a_token_launches_once(cloud: Cloud) -> None:
    """A repeated launch (after a lost answer, say) gives the same instance: ClientToken."""
    first = cloud.launch(1, "serving", "once")
    again = cloud.launch(1, "serving", "once")
    assert again.provider_id == first.provider_id
    assert len(cloud.list()) == 1


def termination_is_final_and_repeatable(cloud: Cloud) -> None:
    """A terminated instance is no longer listed; terminating it again, or what never was, is no error."""
    one = cloud.launch(1, "serving", "a")
    two = cloud.launch(2, "serving", "b")
    cloud.terminate(one.provider_id)
    assert [instance.number for instance in cloud.list()] == [2]
    cloud.terminate(one.provider_id)
    cloud.terminate("i-0123456789abcdef0")
    assert [instance.provider_id for instance in cloud.list()] == [two.provider_id]


CHECKS: tuple[Check, ...] = (
    launches_are_listed,
    a_token_launches_once,
    termination_is_final_and_repeatable,
)
