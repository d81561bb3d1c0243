#!/usr/bin/env bash
# The first process of a Podman service of a test's own: makes its settings and becomes it.
# Arguments: the folder of the unpacked packages, a folder that it may fill.
set -euo pipefail
root=$1 folder=$2

# What it would leave on the machine is gone with this mount namespace.
for place in /run/lock /dev/shm /var/lib; do mount -t tmpfs tmpfs "$place"; done

mkdir -p "$folder/networks" "$folder/tmp"
cp "$root/etc/cni/net.d/87-podman-bridge.conflist" "$folder/networks/"
cat >"$folder/containers.conf" <<SETTINGS
[network]
network_backend = "cni"
cni_plugin_dirs = ["$root/usr/lib/cni"]
network_config_dir = "$folder/networks"
[engine]
conmon_path = ["$root/usr/bin/conmon"]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
helper_binaries_dir = ["$root/usr/lib/podman"]
image_copy_tmp_dir = "$folder/tmp"
[containers]
seccomp_profile = "$root/usr/share/containers/seccomp.json"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
SETTINGS
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$folder/graph" "$folder/run" >"$folder/storage.conf"
# Podman looks for its policy of signatures nowhere else.
mkdir -p "$folder/home/.config/containers"
cp "$root/etc/containers/policy.json" "$folder/home/.config/containers/"
export HOME="$folder/home" CONTAINERS_CONF="$folder/containers.conf" CONTAINERS_STORAGE_CONF="$folder/storage.conf"
export LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu"
exec "$root/usr/bin/podman" --tmpdir "$folder/libpod" system service --time 0 "unix://$folder/docker.sock"
