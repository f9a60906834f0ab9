"""Ansible's inventory of a fleet that is there: from its registry, or from the tags of its EC2 instances.

Both give the JSON of an inventory script (Ansible, "Developing dynamic inventory"): groups with hosts, and ``_meta.hostvars``. Groups are those of the
playbooks: ``app`` (serving and standby servers), ``canary``, ``proxy``, ``redis``, ``autoscaler``; the registry knows the first two, tags know all.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ...core.ports import Registry
from ..aws.flight import LIVING, TAG_FLEET, TAG_NUMBER, TAG_ROLE, tags_of
from ..fleet_operations import FleetOperations
from ..live.addresses import split

GROUP_OF = {
    "serving": "app",
    "standby": "app",
    "canary": "canary",
    "proxy": "proxy",
    "redis": "redis",
    "autoscaler": "autoscaler",
}
"""The group of each role."""

Inventory = dict[str, Any]


def inventory_of(hosts: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Inventory:
    """The JSON of *hosts*: name to role and variables."""
    found: Inventory = {"_meta": {"hostvars": {name: dict(hosts[name][1]) for name in sorted(hosts)}}}
    for name in sorted(hosts):
        group = GROUP_OF[hosts[name][0]]
        found.setdefault(group, {"hosts": []})["hosts"].append(name)
    found["all"] = {"children": sorted(group for group in found if group != "_meta")}
    return found


def registry_inventory(registry: Registry) -> Inventory:
    """Hosts of the servers in *registry*, those that a deploy has in hand included. One without a role that anybody remembers is left out."""
    fleet = FleetOperations(registry)
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    places = {}
    for server in fleet.status().servers:
        try:
            places[server.address] = (*split(server.address), fleet.role_of(server.address))
        except ValueError:
            continue
    # Whatever else a foreign program wrote there is no host.
    places = {address: place for address, place in places.items() if _HOST.fullmatch(place[0])}
    alone = Counter(host for host, _, _ in places.values())
    for address, (host, port, role) in places.items():
        if role:
            name = host if alone[host] == 1 else f"{host}-{port}"
            found[name] = (
                role,
                {"ansible_host": host, "app_port": port, "app_role": role, "app_address": address},
            )
    return inventory_of(found)


def ec2_inventory(client: Any, fleet: str, public: bool = False, port: int = 80) -> Inventory:
    """Hosts of the instances that carry our tag of *fleet*, by their private address, or the *public* one; *port*: where their servers answer. Raises botocore's errors."""
    filters = [
        {"Name": f"tag:{TAG_FLEET}", "Values": [fleet]},
        {"Name": "instance-state-name", "Values": list(LIVING)},
    ]
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    field = "PublicIpAddress" if public else "PrivateIpAddress"
    for page in client.get_paginator("describe_instances").paginate(Filters=filters):
        for item in (one for group in page["Reservations"] for one in group["Instances"]):
            tags = tags_of(item)
            role = tags.get(TAG_ROLE, "")
            if role not in GROUP_OF or not item.get(field):
                continue
            variables: dict[str, Any] = {"ansible_host": item[field]}
            if GROUP_OF[role] in ("app", "canary"):
                number = tags.get(TAG_NUMBER, "")
                variables.update({"app_role": role, "app_port": port})
                variables.update({"app_number": int(number)} if number.isdigit() else {})
            found[item["InstanceId"]] = (role, variables)
    return inventory_of(found)


_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def is_version(text: str) -> bool:
    """Whether *text* can name a version: it becomes a directory."""
    return _VERSION.fullmatch(text) is not None
