# What happens on a machine with another kernel: an engine, networks, containers that talk, and an agent beside them.
# Prints what vethwatch tells, and what the containers' own devices have counted before and after that.
# `networks` says which of the networks there are, `watched` how many containers there can be watched.
set -u

sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
mount -t tmpfs tmpfs /var/lib/docker
# The root is in memory, out of which a container cannot pivot.
DOCKER_RAMDISK=1 dockerd --storage-driver overlay2 >/tmp/dockerd.log 2>&1 &
for try in $(seq 120); do docker version >/dev/null 2>&1 && break; sleep 1; done
docker load --quiet --input /testbox.tar || { tail -n 20 /tmp/dockerd.log; exit 1; }

ip link add vwveth type veth peer name vwpeer
ip link add vwdummy type dummy
for device in vwveth vwpeer vwdummy; do ip link set $device up; done
for network in $networks; do
    case $network in
    bridge) driver=bridge options= ;;
    macvlan) driver=macvlan options="--subnet 10.79.1.0/24 --opt parent=vwdummy" ;;
    tagged) driver=macvlan options="--subnet 10.79.2.0/24 --opt parent=vwpeer.7" ;;
    ipvlan) driver=ipvlan options="--subnet 10.79.3.0/24 --opt parent=vwveth" ;;
    esac
    docker network create --driver $driver $options vw-$network
    docker run --detach --network vw-$network --name vw-$network-server vw-testbox serve-http 80
    docker run --detach --network vw-$network --name vw-$network-client vw-testbox sleep
done

docker run --detach --network host --name vw-host vw-testbox sleep

vethwatch agent --socket /run/vw.sock >/tmp/agent.log 2>&1 &
agent=$!
ask() { vethwatch "$@" --socket /run/vw.sock; }
for try in $(seq 60); do
    [ "$(ask containers --json 2>/tmp/ask.log | grep -c '"watched":true')" -ge $watched ] && break
    sleep 2
done

for network in $networks; do
    address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' vw-$network-server)
    docker exec vw-$network-client /testbox get "http://$address:80/bytes/10000" --count 20 >/tmp/got || cat /tmp/got
done

devices() {
    for network in $networks; do
        for end in server client; do
            pid=$(docker inspect --format '{{.State.Pid}}' vw-$network-$end)
            echo "device $1 vw-$network-$end $(grep eth0: /proc/$pid/net/dev)"
        done
    done
}
devices before
ask containers --json --for 3s | while read -r line; do echo "told $line"; done
devices after
ask pairs --json | while read -r line; do echo "told $line"; done

# A container that runs comes to a network whose devices have no end on the host, talks there, and leaves it.
row() { ask containers --json | grep '"name":"vw-bridge-client"'; }
is_there() { row | grep -q '"interface":"eth1 of '; }
case " $networks " in
*" ipvlan "*)
    docker network connect vw-ipvlan vw-bridge-client
    for try in $(seq 60); do is_there && break; sleep 1; done
    address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' vw-ipvlan-server)
    docker exec vw-bridge-client /testbox get "http://$address:80/bytes/10000" --count 20 >/tmp/got || cat /tmp/got
    ask containers --json --for 3s | grep '"name":"vw-bridge-client"' | while read -r line; do echo "joined $line"; done
    ask pairs --json | while read -r line; do echo "met $line"; done
    docker network disconnect vw-ipvlan vw-bridge-client
    for try in $(seq 60); do is_there || break; sleep 1; done
    row | while read -r line; do echo "left $line"; done
    ;;
esac
vethwatch doctor | while read -r line; do echo "doctor $line"; done
kill $agent
wait $agent
echo "agent ended with $?"
cat /tmp/agent.log
