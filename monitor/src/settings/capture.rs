//! What `capture` is to do.

use crate::filter::Filter;
use crate::{cli, collector};
use monitor_common::capture::MOST_BYTES;
use std::path::PathBuf;
use std::time::Duration;

/// The tick unless another one is asked for: the first packets of a flow wait so long for what is known of it.
const TICK: Duration = Duration::from_millis(250);

/// What to capture, where to, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Which packets.
    pub filter: Filter,
    /// And which of these, as an expression of tcpdump.
    pub expression: Option<String>,
    /// Into which file; absent where they are printed.
    pub write: Option<WriteTo>,
    /// How many at most.
    pub count: Option<u64>,
    /// How long at most.
    pub watch_for: Option<Duration>,
    /// Bytes of each that are kept.
    pub snap_length: u32,
}

/// Where a capture is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteTo {
    /// To standard output.
    Standard,
    /// Into a file.
    File(PathBuf),
}

impl Capture {
    pub(super) fn understand(typed: cli::Capture) -> Self {
        Self {
            filter: Filter::all(typed.filter),
            expression: typed.pcap,
            write: typed.write.map(|file| match file.as_os_str().as_encoded_bytes() {
                b"-" => WriteTo::Standard,
                _ => WriteTo::File(file),
            }),
            count: typed.count,
            watch_for: typed.watch_for,
            snap_length: typed.snaplen.min(MOST_BYTES),
        }
    }

    /// How the collector works for it.
    pub(super) fn collector(&self, settings: collector::Settings) -> collector::Settings {
        let usual = collector::Settings::default().tick;
        let tick = if settings.tick == usual { TICK } else { settings.tick };
        collector::Settings { capture: Some(self.snap_length), tick, ..settings }
    }
}

#[cfg(test)]
mod tests {
    use super::{Capture, WriteTo};
    use crate::cli::Typed;
    use crate::settings::{Senseless, Settings, Task};
    use clap::Parser as _;
    use std::time::Duration;

    fn understand(line: &str) -> Result<Settings, Vec<Senseless>> {
        Settings::understand(Typed::try_parse_from(line.split(' ')).unwrap())
    }

    fn capture(line: &str) -> (Capture, crate::collector::Settings) {
        let settings = understand(line).unwrap();
        let Task::Capture(capture) = settings.task else { panic!("{line}") };
        (capture, settings.collector)
    }

    #[test]
    fn what_is_typed_is_what_is_captured() {
        let (all, collector) = capture("vethwatch capture");
        assert_eq!((all.filter.is_empty(), all.write, all.snap_length), (true, None, 65_600));
        assert_eq!((collector.capture, collector.tick), (Some(65_600), Duration::from_millis(250)));
        let (some, collector) = capture("vethwatch capture web port:80 !db -c 5 -s 64 -w - --tick 2s");
        assert_eq!((some.filter.as_str(), some.count), ("web port:80 !db", Some(5)));
        assert_eq!(some.write, Some(WriteTo::Standard));
        assert_eq!((collector.capture, collector.tick), (Some(64), Duration::from_secs(2)));
        assert_eq!(capture("vethwatch capture web --pcap arp").0.expression.as_deref(), Some("arp"));
        assert_eq!(capture("vethwatch capture -s 262144 -w f").1.capture, Some(65_600));
        assert_eq!(capture("vethwatch capture -w f").0.write, Some(WriteTo::File("f".into())));
        assert_eq!(understand("vethwatch flows").unwrap().collector.capture, None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(understand("vethwatch capture --json -w f").unwrap_err(), [Senseless::JsonAndWrite]);
        for line in ["vethwatch capture foo:x", "vethwatch capture port:", "vethwatch capture -c 0"] {
            assert!(Typed::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
