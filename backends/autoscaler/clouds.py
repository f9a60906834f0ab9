"""Which cloud the autoscaler launches in."""

from collections.abc import Callable

from ...core.errors import UsageError
from ...core.ports import Cloud, CloudError, CloudInstance
from ..live.role import RoleLink
from ..live.settings import AutoscalerSettings
from ..local.cloud_client import LocalCloud


class NoCloud:
    """Implements core.ports.Cloud where there is none to be asked, for a dry run: it lists nothing and refuses the rest."""

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        """See core.ports.Cloud."""
        raise CloudError("NoCloud", "this autoscaler was given no cloud")

    def terminate(self, provider_id: str) -> None:
        """See core.ports.Cloud."""
        raise CloudError("NoCloud", "this autoscaler was given no cloud")

    def list(self) -> tuple[CloudInstance, ...]:
        """See core.ports.Cloud."""
        return ()


def _local(settings: AutoscalerSettings, link: RoleLink) -> Cloud:
    if not settings.cloud_url and settings.dry_run:
        return NoCloud()
    try:
        return LocalCloud(settings.cloud_url)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _aws(settings: AutoscalerSettings, link: RoleLink) -> Cloud:
    if settings.aws is None:
        raise UsageError("expected the settings of EC2 for the cloud aws, got none")
    # boto3 takes a third of a second to import.
    from ..aws.factory import cloud_of

    return cloud_of(
        settings.aws, link.clock.now, notice=lambda text: link.log("warning", text), stopping=link.stopping
    )


CLOUDS: dict[str, Callable[[AutoscalerSettings, RoleLink], Cloud]] = {"local": _local, "aws": _aws}
"""Each cloud's adapter, made for a role."""


def cloud_of(settings: AutoscalerSettings, link: RoleLink) -> Cloud:
    """The adapter of ``settings.cloud``. Raises UsageError."""
    if settings.cloud not in CLOUDS:
        raise UsageError(f"expected a cloud among {', '.join(sorted(CLOUDS))}, got {settings.cloud!r}")
    return CLOUDS[settings.cloud](settings, link)
