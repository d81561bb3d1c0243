//! What may be typed behind the commands that print as it comes in.

use super::{Past, parse};
use crate::filter::Filter;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Options of `flows`.
#[derive(Debug, Args)]
pub struct Flows {
    /// End after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
    /// Only flows of the container with this name or id (or the beginning of its id).
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
    /// Print one packet in so many, after its flow.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: Option<u32>,
    /// Print what crosses bridges too; routed packets then appear more than once.
    #[arg(long, conflicts_with = "no_bridges")]
    pub bridges: bool,
    /// Single flows are not kept; who asks for them is told what is.
    #[arg(long, value_name = "TIME", hide = true)]
    pub since: Option<String>,
    /// The same.
    #[arg(long, value_name = "TIME", hide = true)]
    pub until: Option<String>,
}

/// Options of `dns`.
#[derive(Debug, Args)]
pub struct Dns {
    /// End after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
    /// Or look back.
    #[command(flatten)]
    pub past: Past,
    /// Only the container with this name or id (or the beginning of it).
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
}

/// Options of `capture`.
#[derive(Debug, Args)]
pub struct Capture {
    /// What to capture, in the words of the live view's filter [default: everything].
    #[arg(value_name = "FILTER", value_parser = Filter::typed)]
    pub filter: Vec<Filter>,
    /// Of these, only what an expression of tcpdump takes (`tcp port 80 and not host 10.0.0.1`); tcpdump has to be installed, which
    /// compiles it. It sees the bytes that --snaplen keeps.
    #[arg(short, long, value_name = "EXPRESSION")]
    pub pcap: Option<String>,
    /// Write pcapng into this file, which is made anew, or into standard output (-); without it a line a packet is printed.
    #[arg(short, long, value_name = "FILE|-")]
    pub write: Option<PathBuf>,
    /// End after so many packets.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = parse)]
    pub watch_for: Option<Duration>,
    /// Bytes of each packet to keep; more than 65600 is the same as 65600.
    #[arg(short, long, value_name = "BYTES", default_value_t = 65_600, value_parser = clap::value_parser!(u32).range(1..=262_144))]
    pub snaplen: u32,
}
