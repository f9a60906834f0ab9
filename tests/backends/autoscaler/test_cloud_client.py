"""The local cloud's client: the contract of clouds, over the text of the control API; refusals, silence, nonsense."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from windtunnel.backends.contract import cloud as contract
from windtunnel.backends.live.addresses import Addresses
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.local import control_api
from windtunnel.backends.local.cloud_client import LocalCloud
from windtunnel.backends.local.local_cloud import CloudFace, LocalInstances
from windtunnel.backends.local.targets import Targets
from windtunnel.core.model import SECOND, AppSpec, FleetSpec, ProxySpec
from windtunnel.core.ports import CloudError
from windtunnel.core.troubles import TroubledCloud, Troubles
from windtunnel.tests.backends.autoscaler.control import ControlApi


@pytest.fixture
def api() -> Iterator[ControlApi]:
    with closing(ControlApi()) as served:
        yield served


@pytest.fixture
def conductor() -> Iterator[str]:
    """The conductor's own control API, whose instances stay pending."""
    loop = asyncio.new_event_loop()
    fleet = FleetSpec("test", 1, 10, 10, AppSpec(boot_failure=1.0), ProxySpec(), pending=3600 * SECOND)
    instances = LocalInstances(
        fleet, LiveClock.begin(), Addresses(9000), lambda *_: None, lambda *_: None
    )  # fmt: skip
    face = CloudFace(instances)
    cloud = TroubledCloud(face, Troubles(), LiveClock.begin().now)
    served = control_api.ControlApi(face, cloud, dict, dict, Targets())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(served.start(), loop).result(10)
    yield served.url
    for end in (served.end(), instances.end()):
        asyncio.run_coroutine_threadsafe(end, loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("which", ["conductor", "its text"])
@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_cloud_contract(check: contract.Check, which: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("conductor") if which == "conductor" else request.getfixturevalue("api").url
    check(LocalCloud(url))


def test_the_reason_goes_along(api: ControlApi) -> None:
    cloud = LocalCloud(api.url)
    one = cloud.launch(1, "serving", "a")
    cloud.terminate(one.provider_id, "not needed & done/over?")
    assert api.terminated == [(1, "not needed & done/over?")]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (409, b'{"code": "InsufficientInstanceCapacity", "message": "none"}', "InsufficientInstanceCapacity"),
        (503, b'{"code": "RequestLimitExceeded"}', "RequestLimitExceeded"),
        (500, b"Internal Server Error", "Unavailable"),
        (404, b"no such page", "Http404"),
        (302, b"", "Unavailable"),
        (200, b'{"number": 1}', "Unavailable"),
        (200, b"[]", "Unavailable"),
        (200, b"\xff\xfe", "Unavailable"),
        (200, b"", "Unavailable"),
    ],
)
def test_refusals_carry_their_code(api: ControlApi, status: int, body: bytes, code: str) -> None:
    api.refusing = (status, body)
    with pytest.raises(CloudError) as caught:
        LocalCloud(api.url).launch(1, "serving", "a")
    assert caught.value.code == code


def test_the_conductors_refusal_is_understood(conductor: str) -> None:
    cloud = LocalCloud(conductor)
    cloud.launch(1, "serving", "a")
    with pytest.raises(CloudError) as caught:
        cloud.launch(1, "serving", "b")
    assert caught.value.code == "IdempotentParameterMismatch"


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(CloudError, match=r"Unavailable: GET .*Connection"):
            LocalCloud(f"http://127.0.0.1:{unused.getsockname()[1]}").list()


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"])
def test_silence_ends(says: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kept: list[socket.socket] = []

        def accept() -> None:
            connection, _ = silent.accept()
            connection.sendall(says)
            kept.append(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        began = time.monotonic()
        with pytest.raises(CloudError) as caught:
            LocalCloud(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2).list()
        assert caught.value.code == "Unavailable"
        assert 0.15 < time.monotonic() - began < 10
        thread.join()
        kept[0].close()


@pytest.mark.parametrize("address", ["", "127.0.0.1:80", "https://127.0.0.1", "http://"])
def test_an_address_must_be_one(address: str) -> None:
    with pytest.raises(ValueError, match="control API's address"):
        LocalCloud(address)
