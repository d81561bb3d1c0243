//! Numbers and bits of the protocols that the parser knows.

/// Ethertypes the parser knows.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// 802.1Q, a VLAN tag.
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// 802.1ad, the outer of two VLAN tags.
    pub const SERVICE_VLAN: u16 = 0x88a8;
}

/// IP protocol numbers the parser knows.
pub mod protocol {
    /// ICMP, in IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// DCCP.
    pub const DCCP: u8 = 33;
    /// ICMPv6, in IPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
    /// UDP-Lite.
    pub const UDP_LITE: u8 = 136;

    /// IPv6 extension header: hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// IPv6 extension header: routing.
    pub const ROUTING: u8 = 43;
    /// IPv6 extension header: fragment.
    pub const FRAGMENT: u8 = 44;
    /// IPv6 extension header: authentication.
    pub const AUTHENTICATION: u8 = 51;
    /// IPv6 extension header: destination options.
    pub const DESTINATION_OPTIONS: u8 = 60;
    /// IPv6 extension header: mobility.
    pub const MOBILITY: u8 = 135;
}

/// Bits of [`super::Transport::tcp_flags`].
pub mod tcp_flag {
    /// SYN.
    pub const SYN: u8 = 1 << 1;
    /// RST.
    pub const RST: u8 = 1 << 2;
    /// PSH: the end of a write.
    pub const PSH: u8 = 1 << 3;
    /// ACK.
    pub const ACK: u8 = 1 << 4;
}
