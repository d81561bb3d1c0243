//! What well-known ports are called.

use crate::model::Protocol;

/// Names by port, in the order of the ports. The same for TCP, UDP and SCTP: where one of them has no such service,
/// the name says what the port is usually used for.
const SERVICES: &[(u16, &str)] = &[
    (20, "ftp-data"),
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (53, "dns"),
    (67, "dhcp"),
    (68, "dhcp"),
    (69, "tftp"),
    (80, "http"),
    (88, "kerberos"),
    (110, "pop3"),
    (111, "rpcbind"),
    (123, "ntp"),
    (135, "msrpc"),
    (137, "netbios"),
    (138, "netbios"),
    (139, "netbios"),
    (143, "imap"),
    (161, "snmp"),
    (162, "snmp-trap"),
    (179, "bgp"),
    (389, "ldap"),
    (443, "https"),
    (445, "smb"),
    (465, "smtps"),
    (514, "syslog"),
    (546, "dhcpv6"),
    (547, "dhcpv6"),
    (587, "submission"),
    (631, "ipp"),
    (636, "ldaps"),
    (853, "dns-tls"),
    (873, "rsync"),
    (993, "imaps"),
    (995, "pop3s"),
    (1194, "openvpn"),
    (1433, "mssql"),
    (1521, "oracle"),
    (1883, "mqtt"),
    (1900, "ssdp"),
    (2049, "nfs"),
    (2181, "zookeeper"),
    (2375, "docker"),
    (2376, "docker-tls"),
    (2377, "swarm"),
    (2379, "etcd"),
    (2380, "etcd-peer"),
    (3000, "http-dev"),
    (3100, "loki"),
    (3268, "ldap-gc"),
    (3306, "mysql"),
    (3389, "rdp"),
    (4222, "nats"),
    (4317, "otlp-grpc"),
    (4318, "otlp-http"),
    (4369, "epmd"),
    (4789, "vxlan"),
    (5060, "sip"),
    (5222, "xmpp"),
    (5353, "mdns"),
    (5355, "llmnr"),
    (5432, "postgres"),
    (5601, "kibana"),
    (5671, "amqps"),
    (5672, "amqp"),
    (5900, "vnc"),
    (5984, "couchdb"),
    (6379, "redis"),
    (6443, "kube-api"),
    (6650, "pulsar"),
    (7000, "cassandra"),
    (7687, "bolt"),
    (7946, "swarm-gossip"),
    (8080, "http-alt"),
    (8086, "influxdb"),
    (8123, "clickhouse"),
    (8200, "vault"),
    (8300, "consul"),
    (8443, "https-alt"),
    (8500, "consul"),
    (8883, "mqtts"),
    (9000, "minio"),
    (9042, "cassandra"),
    (9090, "prometheus"),
    (9092, "kafka"),
    (9093, "alertmanager"),
    (9100, "node-exporter"),
    (9200, "elastic"),
    (9300, "elastic-peer"),
    (9411, "zipkin"),
    (11211, "memcached"),
    (14268, "jaeger"),
    (15672, "rabbitmq"),
    (26257, "cockroach"),
    (27017, "mongodb"),
    (51820, "wireguard"),
];

/// What a port of a protocol is usually for.
pub(in crate::tui) fn service(protocol: Protocol, port: u16) -> Option<&'static str> {
    if !matches!(protocol.0, 6 | 17 | 132) {
        return None;
    }
    SERVICES.binary_search_by_key(&port, |(known, _)| *known).ok().map(|at| SERVICES[at].1)
}

#[cfg(test)]
mod tests {
    use super::{SERVICES, service};
    use crate::model::Protocol;

    #[test]
    fn the_list_is_in_order_so_that_every_port_is_found() {
        assert!(SERVICES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(service(Protocol::TCP, 5432), Some("postgres"));
        assert_eq!(service(Protocol::ICMP, 5432), None);
        assert_eq!(service(Protocol::TCP, 40_112), None);
    }
}
