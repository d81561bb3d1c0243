//! What the programs look for at an interface, beside counting.

use crate::model::InterfaceKind;
use monitor_common::interface::interface_flag;

/// Bits of [`interface_flag`] of an interface of this kind. `capture`: whether packets are captured.
pub(super) fn flags(kind: InterfaceKind, capture: bool) -> u32 {
    match kind {
        InterfaceKind::Veth => {
            let capture = if capture { interface_flag::CAPTURE } else { 0 };
            interface_flag::CLAIMS | interface_flag::DNS | interface_flag::FAILURES | capture
        }
        InterfaceKind::Cgroup | InterfaceKind::Inside => interface_flag::DNS | interface_flag::FAILURES,
        InterfaceKind::Bridge => 0,
    }
}
