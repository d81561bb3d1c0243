//! The names of the rules that follow from Docker's own facts.

/// Names that findings bear without a policy file. A file may accept such findings; none of its own rules may have
/// one of these names. Fixed words: they are part of the JSON.
pub const BUILT_IN: [&str; 20] = [
    "spoofed-source",
    "metadata-service",
    "linked",
    "icc-disabled",
    "same-network",
    "published-port",
    "cross-network",
    "internal-egress",
    "host-access",
    "exposed-port",
    "egress",
    "silent-replica",
    "wrong-mtu",
    "host-mode",
    "no-host-end",
    "shared-namespace",
    "strong-rights",
    "published-everywhere",
    "ipv6-not-isolated",
    "docker-socket",
];
