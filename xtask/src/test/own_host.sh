#!/usr/bin/env bash
# Makes a host of its own, runs a command on it, and ends it.
# Arguments: a folder that this host may fill, its control group, an archive of images, the command.
set -euo pipefail
folder=$1 cgroup=$2 images=$3

if [ $$ != 1 ]; then
    # Whoever lists what the machine has knows by its control group that a process is of this host.
    for groups in /sys/fs/cgroup/pids /sys/fs/cgroup; do
        if [ -e "$groups/cgroup.procs" ]; then
            mkdir -p "$groups/$cgroup/tests"
            echo $$ >"$groups/$cgroup/tests/cgroup.procs"
            break
        fi
    done
    # What follows is by this same script as the first process there, with which all others end.
    exec unshare --net --mount --pid --fork --mount-proc --kill-child --propagation private \
        bash -c "$BASH_EXECUTION_STRING" own-host "$@"
fi
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
VW_OWN_HOST="/$cgroup" TMPDIR="$folder/tmp" CARGO_NET_OFFLINE=true "$@" || status=$?
kill $!
wait
exit "$status"
