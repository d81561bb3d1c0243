#!/usr/bin/env bash
# The first process of a host of its own: makes it one, runs a command on it, and ends it.
# Arguments: a folder that this host may fill, the cgroup of its containers, an archive of images, the command.
set -euo pipefail
folder=$1 cgroup=$2 images=$3
shift 3

# Programs find /sys of this network namespace, with the machine's control groups, and nothing of the other Docker in /run.
mkdir "$folder/cgroup" "$folder/tmp"
mount --rbind /sys/fs/cgroup "$folder/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$folder/cgroup" /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir /run/netns /run/lock
ip link set lo up
# Docker has the host drop what it would forward only where it was the one that turned forwarding on.
sysctl --quiet --write net.ipv4.ip_forward=0

unset DOCKER_HOST DOCKER_CONTEXT
echo '{}' >"$folder/daemon.json"
dockerd --config-file "$folder/daemon.json" --data-root "$folder/data" --exec-root /run/docker \
    --pidfile /run/docker.pid --cgroup-parent "/$cgroup" --host unix:///run/docker.sock >"$folder/log" 2>&1 &
for ((tries = 0; ; tries++)); do
    docker version >/dev/null 2>&1 && break
    if ! kill -0 $! || ((tries == 300)); then
        tail -n 20 "$folder/log" >&2
        exit 3
    fi
    sleep 0.2
done
docker load --quiet --input "$images"

# There is no way to a registry from here.
status=0
TMPDIR="$folder/tmp" CARGO_NET_OFFLINE=true "$@" || status=$?
kill $!
wait
exit "$status"
