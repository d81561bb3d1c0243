//! The families of metrics: their names, types, units and labels. They are a promise, as the JSON is.

/// What a family's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the agent is started again or the series goes.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by steps.
    Histogram,
    /// 1, with labels that tell something.
    Info,
}

/// A family of metrics.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name, without the unit and what its type puts behind it.
    pub base: &'static str,
    /// Its unit, which is the end of its name.
    pub unit: Option<&'static str>,
    /// Its type.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

impl Family {
    /// Its name as queries have it (a histogram's has `_bucket`, `_sum` and `_count` behind it).
    #[must_use]
    pub fn name(&self) -> String {
        let unit = self.unit.map(|unit| format!("_{unit}")).unwrap_or_default();
        let end = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{unit}{end}", self.base)
    }
}

macro_rules! families {
    ($($name:ident: $kind:ident $base:literal $(in $unit:literal)? by [$($label:literal),*] = $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $name: Family = Family {
                base: $base,
                unit: families!(@unit $($unit)?),
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// All of them, in the order in which they are written.
        pub static ALL: &[&Family] = &[$(&$name),*];
    };
    (@unit) => { None };
    (@unit $unit:literal) => { Some($unit) };
}

families! {
    BUILD: Info "vethwatch_build" by ["version"] = "The agent's version";
    CONFIG_SUCCESSFUL: Gauge "vethwatch_config_last_reload_successful" by []
        = "Whether settings and policy were right when they were last read, and all of them could be had: 1, or 0";
    CONFIG_TIME: Gauge "vethwatch_config_last_reload_success_timestamp" in "seconds" by []
        = "When settings and policy were last read and right, in seconds since 1970";
    CONTAINER: Info "vethwatch_container" by ["container", "id", "image", "project", "service"]
        = "What Docker tells of a container; join it by id";
    CONTAINER_WATCHED: Gauge "vethwatch_container_watched" by ["container", "id"]
        = "Whether an interface of it is watched: 1, or 0";
    CONTAINER_RECEIVE_BYTES: Counter "vethwatch_container_receive" in "bytes" by ["container", "id"]
        = "What it received, as on the wire, Ethernet headers included";
    CONTAINER_RECEIVE_PACKETS: Counter "vethwatch_container_receive" in "packets" by ["container", "id"]
        = "What it received, as on the wire: segments count one each";
    CONTAINER_TRANSMIT_BYTES: Counter "vethwatch_container_transmit" in "bytes" by ["container", "id"]
        = "What it sent, as on the wire, Ethernet headers included";
    CONTAINER_TRANSMIT_PACKETS: Counter "vethwatch_container_transmit" in "packets" by ["container", "id"]
        = "What it sent, as on the wire: segments count one each";
    CONTAINER_NOT_RECORDED: Counter "vethwatch_container_not_recorded" in "packets" by ["container", "id"]
        = "Of its packets, those that are in no flow, because the flow map was full";
    CONTAINER_UNACCOUNTED: Gauge "vethwatch_container_unaccounted" in "bytes" by ["container", "id"]
        = "By how much its totals and its devices' own counters differ; 0 is exact";
    CONTAINER_DROPPED: Counter "vethwatch_container_dropped" in "packets" by ["container", "id"]
        = "Packets from or to it that the kernel dropped";
    CONTAINER_CONVERSATIONS: Gauge "vethwatch_container_conversations" by ["container", "id"]
        = "Its conversations that are alive, of every protocol";
    CONTAINER_OPENED: Counter "vethwatch_container_connections_opened" by ["container", "id"]
        = "TCP connections that it opened";
    CONTAINER_ACCEPTED: Counter "vethwatch_container_connections_accepted" by ["container", "id"]
        = "TCP connections that were opened to it";
    CONTAINER_HANDSHAKE: Histogram "vethwatch_container_handshake" in "seconds" by ["container", "id"]
        = "How long the TCP connections that it opened took to be answered";
    CONTAINER_DNS_QUESTIONS: Counter "vethwatch_container_dns_questions" by ["container", "id", "code"]
        = "Names that it asked for, by what came of it: a response code, other, or none for no answer";
    CONTAINER_DNS: Histogram "vethwatch_container_dns" in "seconds" by ["container", "id"]
        = "How long its questions for names took to be answered";
    NETWORK: Info "vethwatch_network" by ["network", "id", "driver", "internal"]
        = "What Docker tells of a network; join it by id";
    NETWORK_CONTAINERS: Gauge "vethwatch_network_containers" by ["network", "id"]
        = "Its running containers";
    NETWORK_RECEIVE_BYTES: Counter "vethwatch_network_receive" in "bytes" by ["network", "id", "reach"]
        = "What its containers received from where; not of reach inside, where sent is all";
    NETWORK_RECEIVE_PACKETS: Counter "vethwatch_network_receive" in "packets" by ["network", "id", "reach"]
        = "What its containers received from where; not of reach inside, where sent is all";
    NETWORK_TRANSMIT_BYTES: Counter "vethwatch_network_transmit" in "bytes" by ["network", "id", "reach"]
        = "What its containers sent where";
    NETWORK_TRANSMIT_PACKETS: Counter "vethwatch_network_transmit" in "packets" by ["network", "id", "reach"]
        = "What its containers sent where";
    NETWORK_CROSSINGS: Gauge "vethwatch_network_crossings" by ["network", "id"]
        = "Open findings of kind violation or crossing with an end on it";
    PAIR_TRANSMIT_BYTES: Counter "vethwatch_pair_transmit" in "bytes"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "What the client sent to the server";
    PAIR_TRANSMIT_PACKETS: Counter "vethwatch_pair_transmit" in "packets"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "What the client sent to the server";
    PAIR_RECEIVE_BYTES: Counter "vethwatch_pair_receive" in "bytes"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "What the client received from the server";
    PAIR_RECEIVE_PACKETS: Counter "vethwatch_pair_receive" in "packets"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "What the client received from the server";
    PAIR_CONVERSATIONS: Counter "vethwatch_pair_conversations"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Conversations that the client opened";
    PAIR_ANSWERED: Counter "vethwatch_pair_connections_answered"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Of the TCP connections that the client opened, those that were answered";
    PAIR_REFUSED: Counter "vethwatch_pair_connections_refused"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Of the TCP connections that the client opened, those that were refused";
    PAIR_RESET: Counter "vethwatch_pair_connections_reset"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Of the TCP connections that the client opened, those that either end reset later";
    PAIR_CLIENT_RETRANSMITS: Counter "vethwatch_pair_client_retransmitted" in "segments"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Segments of TCP that the client's kernel sent again";
    PAIR_SERVER_RETRANSMITS: Counter "vethwatch_pair_server_retransmitted" in "segments"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Segments of TCP that the server's kernel sent again";
    PAIR_HALF_OPEN: Counter "vethwatch_pair_connections_half_open"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Of the TCP connections that the client opened and that were answered, those that it acknowledged nothing of";
    PAIR_SILENT: Counter "vethwatch_pair_connections_silent"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Of the TCP connections between the two, those on which one end went silent while the other sent on";
    PAIR_CLIENT_ZERO_WINDOWS: Counter "vethwatch_pair_client_zero_window" in "segments"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Segments of TCP with which the client said that it has no room for more";
    PAIR_SERVER_ZERO_WINDOWS: Counter "vethwatch_pair_server_zero_window" in "segments"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Segments of TCP with which the server said that it has no room for more";
    PAIR_ICMP_ERRORS: Counter "vethwatch_pair_icmp_errors"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Errors of ICMP about packets of either end";
    PAIR_TOO_BIG_AGAIN: Counter "vethwatch_pair_too_big_again" in "packets"
        by ["client", "client_id", "server", "server_id", "protocol"]
        = "Packets that did not fit on the way, of an end that had been told its MTU before";
    SERVICE_HANDSHAKE: Histogram "vethwatch_service_handshake" in "seconds" by ["client", "server", "seen_at"]
        = "How long the TCP connections of one service with another took to be answered, as seen at the client's and at the server's interface, and of it the way between the two";
    SERVICE_FIRST_BYTE: Histogram "vethwatch_service_first_byte" in "seconds" by ["client", "server", "seen_at"]
        = "From the first data that the client of a TCP connection sent to the first of the server's, as seen at the server's interface, or at the client's where the server is no container";
    VIOLATIONS: Counter "vethwatch_violations" by ["rule", "outcome", "severity"]
        = "Findings of kind violation: each when it is new, and again with each outcome or severity that it changes to";
    BROKEN: Counter "vethwatch_broken" by ["rule", "outcome", "severity"]
        = "Findings of kind broken, counted as violations are";
    CROSSINGS: Counter "vethwatch_crossings" by ["rule", "outcome", "severity"]
        = "Findings of kind crossing, counted as violations are";
    FINDING_BYTES: Counter "vethwatch_finding" in "bytes" by ["kind", "rule", "outcome", "severity"]
        = "What the sources of findings sent, by the outcome at that time";
    FINDING_PACKETS: Counter "vethwatch_finding" in "packets" by ["kind", "rule", "outcome", "severity"]
        = "What the sources of findings sent, by the outcome at that time";
    FINDINGS_OPEN: Gauge "vethwatch_findings_open" by ["kind", "rule", "outcome", "severity"]
        = "Findings that go on: those with a packet in the last minute";
    POSTURE_OPEN: Gauge "vethwatch_posture_open" by ["rule", "severity"]
        = "What the configuration itself says, without any traffic";
    DROPPED: Counter "vethwatch_dropped" in "packets" by ["reason"]
        = "Packets from or to what is watched that the kernel dropped, by its reason";
    LOST: Counter "vethwatch_lost_events" by ["reason"]
        = "What was not seen or not counted, by the name of the loss";
    CONTAINERS: Gauge "vethwatch_containers" by ["watched"]
        = "Containers by whether an interface of theirs is watched";
    INTERFACES_ATTACHED: Gauge "vethwatch_interfaces_attached" by ["mode"]
        = "Interfaces that are watched, by how";
    INTERFACES_NOT_WATCHED: Gauge "vethwatch_interfaces_not_watched" by []
        = "Devices that should be watched and are not";
    INTERFACES_UNATTRIBUTED: Gauge "vethwatch_interfaces_unattributed" by ["reason"]
        = "Watched interfaces whose container is not known, by why";
    UNATTRIBUTED_BYTES: Gauge "vethwatch_interfaces_unattributed" in "bytes" by ["reason"]
        = "What crossed them, both ways: with the first name it is the container's";
    FEATURE_MISSING: Gauge "vethwatch_feature_missing" by ["feature"]
        = "What this kernel does not let the agent see: always 1";
    DOCKER_UP: Gauge "vethwatch_docker_up" by []
        = "Whether Docker answers: 1, or 0";
    FLOWS_LAST_TICK: Gauge "vethwatch_flows_last_tick" by ["family"]
        = "Flows of the latest tick, by address family";
    FLOW_CAPACITY: Gauge "vethwatch_flow_capacity" by []
        = "Flows of each address family that can be counted in one tick";
    HEALTHY: Gauge "vethwatch_healthy" by []
        = "Whether the agent still counts, as /healthz tells: 1, or 0";
    AGENT_CPU: Counter "vethwatch_agent_cpu" in "seconds" by []
        = "Processor time that the agent took";
    AGENT_RESIDENT: Gauge "vethwatch_agent_resident" in "bytes" by []
        = "Memory of the agent that is resident";
    HISTORY_BYTES: Gauge "vethwatch_history" in "bytes" by []
        = "Memory that history takes: about 28 MiB at most";
    HISTORY_SECONDS: Gauge "vethwatch_history" in "seconds" by []
        = "How far history reaches back";
    HELPER_RESTARTS: Counter "vethwatch_helper_restarts" by []
        = "How often the helper, which keeps the agent's rights, ended by a fault and was started anew";
    SOCKET_CLIENTS: Gauge "vethwatch_socket_clients" by []
        = "Clients at the socket";
    SOCKET_REFUSED: Counter "vethwatch_socket_clients_refused" by []
        = "Clients that the socket had no room for";
    SOCKET_LOST: Counter "vethwatch_socket_records_lost" by []
        = "Records that clients of the socket did not get, because they were slow: of all that there were, and for each client";
    SERIES: Gauge "vethwatch_series" by []
        = "Series on this page, this one included";
    SERIES_REFUSED: Counter "vethwatch_series_refused" by []
        = "Series that were not made because there were too many";
    CADVISOR_RECEIVE_BYTES: Counter "container_network_receive" in "bytes" by ["id", "name", "image"]
        = "As cAdvisor has it: what its devices count as received, from before the watch too";
    CADVISOR_RECEIVE_PACKETS: Counter "container_network_receive" in "packets" by ["id", "name", "image"]
        = "As cAdvisor has it: what its devices count as received, from before the watch too";
    CADVISOR_TRANSMIT_BYTES: Counter "container_network_transmit" in "bytes" by ["id", "name", "image"]
        = "As cAdvisor has it: what its devices count as sent, from before the watch too";
    CADVISOR_TRANSMIT_PACKETS: Counter "container_network_transmit" in "packets" by ["id", "name", "image"]
        = "As cAdvisor has it: what its devices count as sent, from before the watch too";
}
