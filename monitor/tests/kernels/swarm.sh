# What happens on a machine whose kernel has IP_VS and ESP: a swarm of two engines, the second one in a network namespace; a
# service with a virtual address, and an encrypted network between the two, with an agent beside the first.
# Prints what vethwatch tells, and what the containers' own devices have counted before and after that.
set -u

sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip netns add vwb
ip link add vwa type veth peer name vwb netns vwb
ip address add 198.18.1.1/24 dev vwa
ip link set vwa up
ip -n vwb address add 198.18.1.2/24 dev vwb
ip -n vwb link set vwb up
ip -n vwb link set lo up

# The root is in memory, out of which a container cannot pivot.
export DOCKER_RAMDISK=1
mount -t tmpfs tmpfs /var/lib/docker
mkdir -p /var/lib/docker/a /var/lib/docker/b
echo '{}' >/tmp/daemon.json
# In which namespace, and by which letter.
engine() {
    nsenter --net=$1 dockerd --config-file /tmp/daemon.json --storage-driver overlay2 --data-root /var/lib/docker/$2 \
        --exec-root /run/docker-$2 --pidfile /run/docker-$2.pid --host unix:///run/$2.sock >/tmp/dockerd-$2.log 2>&1
}
a() { docker --host unix:///run/a.sock "$@"; }
b() { docker --host unix:///run/b.sock "$@"; }
engine /proc/1/ns/net a &
engine /run/netns/vwb b &
for try in $(seq 120); do a version >/dev/null 2>&1 && break; sleep 1; done
a load --quiet --input /testbox.tar || { tail -n 20 /tmp/dockerd-a.log; exit 1; }
for try in $(seq 120); do b version >/dev/null 2>&1 && break; sleep 1; done
b load --quiet --input /testbox.tar || { tail -n 20 /tmp/dockerd-b.log; exit 1; }

a swarm init --advertise-addr 198.18.1.1 --listen-addr 198.18.1.1:2377 >/dev/null
b swarm join --advertise-addr 198.18.1.2 --listen-addr 198.18.1.2:2377 --token "$(a swarm join-token --quiet worker)" 198.18.1.1:2377
a network create --driver overlay --attachable --subnet 10.79.4.0/24 vw-ov
a network create --driver overlay --attachable --subnet 10.79.5.0/24 --opt encrypted vw-secret
a service create --detach --no-resolve-image --name vw-web --network vw-ov --replicas 2 --constraint node.role==manager \
    vw-testbox serve-http 80
a run --detach --network vw-ov --name vw-client vw-testbox sleep
a run --detach --network vw-secret --name vw-near vw-testbox sleep
b run --detach --network vw-secret --name vw-far vw-testbox serve-http 80
tasks() { a ps --filter label=com.docker.swarm.service.name=vw-web --format '{{.Names}}'; }
for try in $(seq 60); do [ "$(tasks | wc -l)" = 2 ] && break; sleep 1; done

export DOCKER_HOST=unix:///run/a.sock
vethwatch agent --socket /run/vw.sock >/tmp/agent.log 2>&1 &
agent=$!
ask() { vethwatch "$@" --socket /run/vw.sock; }
for try in $(seq 60); do
    [ "$(ask containers --json 2>/tmp/ask.log | grep -c '"watched":true')" = 4 ] && break
    sleep 2
done

for try in $(seq 30); do
    a exec vw-client /testbox get http://vw-web:80/ --count 1 >/tmp/got 2>&1 && break
    sleep 1
done
a exec vw-client /testbox get http://vw-web:80/ --count 60 >/tmp/got || cat /tmp/got
tail -n 3 /tmp/got | while read -r line; do echo "got $line"; done
far=$(b inspect --format '{{(index .NetworkSettings.Networks "vw-secret").IPAddress}}' vw-far)
a exec vw-near /testbox get http://$far:80/bytes/10000 --count 30 >/tmp/got || cat /tmp/got
tail -n 3 /tmp/got | while read -r line; do echo "secret $line"; done
echo "address vw-web $(a service inspect --format '{{range .Endpoint.VirtualIPs}}{{.Addr}}{{end}}' vw-web)"
ip -s xfrm state | grep -A2 lifetime.current | grep bytes | while read -r line; do echo "esp $line"; done

devices() {
    for name in vw-client vw-near $(tasks); do
        pid=$(a inspect --format '{{.State.Pid}}' $name)
        # Of both devices: that of the overlay network, and that on docker_gwbridge.
        awk -v when=$1 -v name=$name '/eth/ { sub(/.*:/, ""); rb += $1; rp += $2; sb += $9; sp += $10 }
            END { print "device", when, name, "eth0:", rb, rp, 0, 0, 0, 0, 0, 0, sb, sp }' /proc/$pid/net/dev
    done
}
devices before
ask containers --json --for 3s | while read -r line; do echo "told $line"; done
devices after
for table in pairs services networks; do
    ask $table --json | while read -r line; do echo "told $line"; done
done
ask why vw-client vw-web:80 | while read -r line; do echo "why $line"; done
ask pairs | while read -r line; do echo "screen $line"; done
ask services | while read -r line; do echo "screen $line"; done
kill $agent
wait $agent
echo "agent ended with $?"
cat /tmp/agent.log
tail -n 5 /tmp/dockerd-a.log
