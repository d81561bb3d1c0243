//! Which conversations an entry of the file is about.

use super::selector::Selector;
use crate::model::Protocol;
use crate::policy::Party;

/// What an entry asks of a conversation; what it does not mention may be anything.
#[derive(Clone, Debug, Default)]
pub(super) struct Pattern {
    pub(super) from: Option<Selector>,
    pub(super) to: Option<Selector>,
    /// Protocol numbers; empty for all.
    pub(super) protocols: Box<[u8]>,
    /// Ranges of ports, first and last; empty for all.
    pub(super) ports: Box<[(u16, u16)]>,
}

/// Why a rule does not decide about a conversation: the first thing it asks that is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// It is for other protocols.
    Protocol,
    /// It is for other ports.
    Ports,
    /// It asks for ports, and none is known.
    NoPort,
    /// It is for other sources.
    From,
    /// Whether the source is one of its own cannot be told.
    FromUnknown,
    /// It is for other destinations.
    To,
    /// Whether the destination is one of its own cannot be told.
    ToUnknown,
}

impl PassedOver {
    /// A fixed word for it, as JSON has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Ports => "ports",
            Self::NoPort => "no_port",
            Self::From => "from",
            Self::FromUnknown => "from_unknown",
            Self::To => "to",
            Self::ToUnknown => "to_unknown",
        }
    }

    /// The same for a person.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Protocol => "it is for other protocols",
            Self::Ports => "it is for other ports",
            Self::NoPort => "it asks for ports, and none is known",
            Self::From => "it is for other sources",
            Self::FromUnknown => "whether it is for this source cannot be told",
            Self::To => "it is for other destinations",
            Self::ToUnknown => "whether it is for this destination cannot be told",
        }
    }
}

impl Pattern {
    /// Why it does not match; none if it does.
    pub(super) fn passed_over(
        &self,
        from: &Party<'_>,
        to: &Party<'_>,
        protocol: Protocol,
        port: Option<u16>,
    ) -> Option<PassedOver> {
        if !self.protocols.is_empty() && !self.protocols.contains(&protocol.0) {
            return Some(PassedOver::Protocol);
        }
        if !self.ports.is_empty() {
            match port {
                None => return Some(PassedOver::NoPort),
                Some(port) if !self.has_port(port) => return Some(PassedOver::Ports),
                Some(_) => {}
            }
        }
        let fits = |selector: &Option<Selector>, party| {
            selector.as_ref().map_or(Some(true), |selector| selector.fits(party))
        };
        let from = fits(&self.from, from);
        if from == Some(false) {
            return Some(PassedOver::From);
        }
        match (from, fits(&self.to, to)) {
            (_, Some(false)) => Some(PassedOver::To),
            (None, _) => Some(PassedOver::FromUnknown),
            (_, None) => Some(PassedOver::ToUnknown),
            (Some(_), Some(true)) => None,
        }
    }

    /// Whether it asks for a source only, and this is one.
    pub(super) fn is_only_from(&self, subject: &Party<'_>) -> bool {
        let about_traffic = self.to.is_some() || !self.protocols.is_empty() || !self.ports.is_empty();
        let fits = self.from.as_ref().is_none_or(|from| from.fits(subject) == Some(true));
        !about_traffic && fits
    }

    fn has_port(&self, port: u16) -> bool {
        self.ports.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }
}
