"""New connections to app servers."""

import asyncio
import errno

from .proxy import Proxy
from .servers import Server
from .upstream import Upstream

CONNECT_TIMEOUT = 5.0


async def open_upstream(proxy: Proxy, server: Server) -> Upstream | None:
    """A connection to *server*, None if there is none to be had. Short of descriptors, it closes idle ones and tries once more."""
    for last in (False, True):
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, upstream = await proxy.loop.create_connection(
                    lambda: Upstream(proxy, server), server.host, server.port
                )
        except (OSError, TimeoutError) as error:
            if last or getattr(error, "errno", 0) not in (errno.EMFILE, errno.ENFILE):
                return None
            for other in proxy.servers.by_number.values():
                other.drop_all()
        else:
            return upstream
    return None
