//! Network devices of the host, and the counters the kernel keeps of them.

use crate::{Container, command};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::ffi::CStr;
use std::process::Command;
use std::time::Duration;

/// A network device of the host's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its ifindex.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
}

/// A device's own counters (`IFLA_STATS64`), all of one reading. For the host's end of a container's veth, `rx` is
/// what the container sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounters {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Received packets that were dropped.
    pub rx_dropped: u64,
    /// Received packets that were sent to many, where the device counts those.
    pub rx_multicast: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets to send that were dropped.
    pub tx_dropped: u64,
}

impl Device {
    /// The device with this ifindex.
    ///
    /// # Errors
    /// There is none.
    pub fn by_index(ifindex: u32) -> Result<Self> {
        let mut name = [0_u8; libc::IF_NAMESIZE];
        // SAFETY: `name` has the IF_NAMESIZE bytes that if_indextoname may write.
        let found = unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr().cast()) };
        ensure!(!found.is_null(), "no device has the ifindex {ifindex}");
        let name = CStr::from_bytes_until_nul(&name).context("a device's name has an end")?;
        Ok(Self { ifindex, name: name.to_string_lossy().into_owned() })
    }

    /// Reads its counters, all in one netlink message.
    ///
    /// # Errors
    /// It is gone, or there is no `ip` command.
    pub fn counters(&self) -> Result<DeviceCounters> {
        let mut ip = Command::new("ip");
        ip.args(["-json", "-statistics", "-statistics", "link", "show", "dev", &self.name]);
        parse(&command::text(&mut ip, Duration::from_secs(10))?)
            .with_context(|| format!("reading the counters of {}", self.name))
    }
}

impl Container {
    /// Reads the counters of a device in its own network namespace, as the container has them: `rx` is what it received.
    ///
    /// # Errors
    /// It does not run, has no such device, or there is no `ip` command.
    pub fn own_counters(&self, device: &str) -> Result<DeviceCounters> {
        DeviceCounters::of_process(self.pid()?, device)
            .with_context(|| format!("reading the counters of {device} of {}", self.name))
    }
}

impl DeviceCounters {
    /// Reads those of a device in the network namespace of a process.
    ///
    /// # Errors
    /// There is no such process or device, or no `ip` command.
    pub fn of_process(pid: u32, device: &str) -> Result<Self> {
        let target = format!("--net=/proc/{pid}/ns/net");
        let mut ip = Command::new("nsenter");
        ip.args([&target, "ip", "-json", "-statistics", "-statistics", "link", "show", "dev", device]);
        parse(&command::text(&mut ip, Duration::from_secs(10))?)
    }
}

fn parse(json: &str) -> Result<DeviceCounters> {
    let links: Value = serde_json::from_str(json)?;
    let read = |direction: &str, counter: &str| {
        let pointer = format!("/0/stats64/{direction}/{counter}");
        links.pointer(&pointer).and_then(Value::as_u64).with_context(|| format!("no {pointer}"))
    };
    Ok(DeviceCounters {
        rx_packets: read("rx", "packets")?,
        rx_bytes: read("rx", "bytes")?,
        rx_dropped: read("rx", "dropped")?,
        rx_multicast: read("rx", "multicast")?,
        tx_packets: read("tx", "packets")?,
        tx_bytes: read("tx", "bytes")?,
        tx_dropped: read("tx", "dropped")?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Device, DeviceCounters, parse};

    #[test]
    fn counters_are_read_from_what_ip_prints() {
        let json = r#"[{"ifname":"veth1","stats64":{"rx":{"bytes":10,"packets":1,"errors":0,"dropped":2,"multicast":5},
            "tx":{"bytes":30,"packets":3,"errors":0,"dropped":4}}}]"#;
        let expected = DeviceCounters {
            rx_packets: 1,
            rx_bytes: 10,
            rx_dropped: 2,
            rx_multicast: 5,
            tx_packets: 3,
            tx_bytes: 30,
            tx_dropped: 4,
        };
        assert_eq!(parse(json).unwrap(), expected);
    }

    #[test]
    fn a_counter_that_is_missing_is_an_error_and_not_zero() {
        assert!(parse(r#"[{"stats64":{"rx":{"bytes":10}}}]"#).is_err());
        assert!(parse("[]").is_err());
    }

    #[test]
    fn the_loopback_device_has_a_name() {
        assert_eq!(Device::by_index(1).unwrap().name, "lo");
        assert!(Device::by_index(u32::MAX).is_err());
    }
}
