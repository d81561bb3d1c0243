//! Where a network's traffic goes.

use crate::snapshot::Reach;
use crate::tui::recent::Both;

/// Whom a network's containers talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::tui) enum Toward {
    /// Containers of the network.
    Inside,
    /// The host itself.
    Host,
    /// What is outside of the host.
    Outside,
    /// Containers of other networks.
    Networks,
    /// What cannot be told, and multicast.
    Other,
}

impl Toward {
    /// All of them.
    pub(in crate::tui) const ALL: [Self; 5] =
        [Self::Inside, Self::Host, Self::Outside, Self::Networks, Self::Other];

    /// Its part; what stays inside was sent, and is counted once.
    pub(in crate::tui) fn of(self, reach: &Reach) -> Both {
        match self {
            Self::Inside => Both { bytes: [reach.inside.bytes, 0], packets: [reach.inside.packets, 0] },
            Self::Host => reach.host.into(),
            Self::Outside => reach.outside.into(),
            Self::Networks => reach.networks.into(),
            Self::Other => reach.other.into(),
        }
    }
}
