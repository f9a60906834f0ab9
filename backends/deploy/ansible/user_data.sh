#!/bin/sh
# A new instance provisions itself with the role of the playbook, as ansible-pull would: it fetches the version, and runs master.yml on itself.
# Made by `windtunnel deploy user-data`; what stands in single braces is filled in at each launch. It holds no secret: the registry's password, if it has one,
# is read from a file that the image or the instance's own role brings.
set -eu
export DEBIAN_FRONTEND=noninteractive
command -v git >/dev/null && python3 -c 'import venv, ensurepip' || { apt-get update -q && apt-get install -qy git python3-venv; }
work=/opt/windtunnel/provision
mkdir -p "$work"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet @PACKAGE@
rm -rf "$work/source"
git clone --quiet --depth 1 --branch @VERSION@ -- @REPOSITORY@ "$work/source"
git -C "$work/source" archive --format=tar --output="$work/version.tar" HEAD
if [ -r /etc/windtunnel/redis-password ]; then
    WINDTUNNEL_REDIS_PASSWORD=$(cat /etc/windtunnel/redis-password)
    export WINDTUNNEL_REDIS_PASSWORD
fi
WINDTUNNEL_REDIS_URL=$("$work/venv/bin/python" -m windtunnel.backends.deploy.registry_url '{registry}')
export WINDTUNNEL_REDIS_URL
address=$(hostname -I | cut -d ' ' -f 1)
cat >"$work/hosts.ini" <<END
[app]
self ansible_connection=local ansible_python_interpreter=$work/venv/bin/python app_host=$address app_port={port} app_number={number} app_role={role}
END
cat >"$work/variables.json" <<END
{"common_version": "@VERSION@", "common_archive": "$work/version.tar", "common_package": "@PACKAGE@", "app_arguments": ["--epoch", "{epoch}"]}
END
folder=$("$work/venv/bin/python" -c 'from windtunnel.backends.deploy.playbooks import FOLDER; print(FOLDER)')
cd "$folder"
exec "$work/venv/bin/ansible-playbook" --inventory "$work/hosts.ini" --extra-vars "@$work/variables.json" master.yml
