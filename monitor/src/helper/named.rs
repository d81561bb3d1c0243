//! What the settings name: files, addresses and sockets that may be asked for, now or since an earlier reading.
//!
//! Settings are read here, from the same sources as main reads: what main says of them is not believed. What was named
//! before stays allowed, because a part that cannot change goes on with what it has.

use crate::settings::sources::{Loaded, Sources};
use crate::settings::{Agent, Task};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    sources: Sources,
    files: BTreeSet<PathBuf>,
    listen: BTreeSet<SocketAddr>,
    sockets: BTreeSet<PathBuf>,
    groups: BTreeSet<String>,
    records: BTreeSet<PathBuf>,
    recordings: BTreeSet<PathBuf>,
}

impl Named {
    /// What these settings name, which were read from these sources.
    pub(super) fn new(sources: Sources, loaded: &Loaded) -> Self {
        let mut named = Self {
            sources,
            files: BTreeSet::new(),
            listen: BTreeSet::new(),
            sockets: BTreeSet::new(),
            groups: BTreeSet::new(),
            records: BTreeSet::new(),
            recordings: BTreeSet::new(),
        };
        named.add(loaded);
        named
    }

    /// Where they are read. That may take its time.
    pub(super) fn sources(&self) -> Sources {
        self.sources.clone()
    }

    /// What these name too. If anything was wrong in them there are none: main finds the same.
    pub(super) fn add(&mut self, loaded: &Loaded) {
        self.files.extend(loaded.file.clone());
        self.files.extend(loaded.settings.policy.clone());
        self.recordings.extend(loaded.settings.record.clone());
        let Task::Agent(Agent { metrics, socket, records, pin: _ }) = &loaded.settings.task else { return };
        if let Some(metrics) = metrics {
            self.listen.insert(metrics.listen);
            let tls = metrics.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
            self.files.extend(tls.chain(&metrics.token_file).cloned());
        }
        if let Some(socket) = socket {
            self.sockets.insert(socket.path.clone());
            self.groups.insert(socket.group.clone());
        }
        self.records.extend(records.as_ref().and_then(|records| records.file.clone()));
    }

    /// Whether a file to read is.
    pub(super) fn file(&self, path: &Path) -> bool {
        self.files.contains(path)
    }

    /// Whether an address is; one with a port that was free for one with the port 0.
    pub(super) fn address(&self, at: SocketAddr) -> bool {
        self.listen.contains(&at)
    }

    /// Whether a socket is.
    pub(super) fn socket(&self, path: &Path) -> bool {
        self.sockets.contains(path)
    }

    /// Whether a group is.
    pub(super) fn group(&self, group: &str) -> bool {
        self.groups.contains(group)
    }

    /// Whether a file to record into is.
    pub(super) fn recording(&self, path: &Path) -> bool {
        self.recordings.contains(path)
    }

    /// Whether a file of records is.
    pub(super) fn records(&self, path: &Path) -> bool {
        self.records.contains(path)
    }
}
