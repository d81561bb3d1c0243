//! The load-time settings, field by field: the verifier knows each as a constant.

use crate::maps::SETTINGS;
use core::ptr;
use monitor_common::settings::Settings;

/// Reads one field. `Global::load` would copy the whole struct to the stack, where kernels before 5.16 lose track
/// of constants and would keep the code of features that are off.
macro_rules! field {
    ($name:ident $(.$inner:ident)? $([$at:expr])?) => {{
        let settings = ptr::from_ref(&SETTINGS).cast::<Settings>();
        // SAFETY: `Global<T>` is a transparent wrapper of `T`, initialised, and nothing in the programs writes it.
        // Volatile, because the loader changes it behind the compiler's back.
        unsafe { ptr::read_volatile(&raw const (*settings).$name $(.$inner)? $([$at])?) }
    }};
}

/// Whether a bit of [`monitor_common::settings::feature`] is set.
#[inline(always)]
pub fn enabled(feature: u32) -> bool {
    field!(features) & feature != 0
}

/// Sample one packet in this many; 0 samples none.
#[inline(always)]
pub fn sample_every() -> u32 {
    field!(sample_every)
}

/// Ring records a second and CPU.
#[inline(always)]
pub fn events_per_second() -> u32 {
    field!(events_per_second)
}

/// Bytes of a sampled or captured packet to keep.
#[inline(always)]
pub fn snap_length() -> u32 {
    field!(snap_length)
}

/// Slots of one generation of an arena.
#[inline(always)]
pub fn max_flows() -> u32 {
    field!(max_flows)
}

/// Buckets of one generation of an index.
#[inline(always)]
pub fn buckets() -> u32 {
    field!(buckets)
}

/// One of the factors of the index's hash.
#[inline(always)]
pub fn factor(at: usize) -> u64 {
    field!(factors[at])
}

/// Fields of [`monitor_common::drops::DropSettings`], as addresses are added to.
pub mod drops {
    use super::{SETTINGS, Settings, ptr};

    /// One of the words of reasons that are no drops.
    #[inline(always)]
    pub fn ignored(at: usize) -> u64 {
        field!(drops.ignored[at])
    }

    /// One of the words of reasons that are no drops of packets to many.
    #[inline(always)]
    pub fn ignored_to_many(at: usize) -> u64 {
        field!(drops.ignored_to_many[at])
    }

    macro_rules! fields {
        ($($name:ident)+) => {
            $(
                #[inline(always)]
                pub fn $name() -> u64 {
                    u64::from(field!(drops.$name))
                }
            )+
        };
    }

    fields! {
        has_reason no_socket namespace
        skb_device skb_ingress skb_route skb_protocol skb_length skb_head skb_data skb_tail skb_end skb_network
        shared_segments route_device device_index device_namespace namespace_number
    }
}

/// Fields of [`monitor_common::retransmits::RetransmitSettings`], as addresses are added to.
pub mod retransmits {
    use super::{SETTINGS, Settings, ptr};

    macro_rules! fields {
        ($($name:ident)+) => {
            $(
                #[inline(always)]
                pub fn $name() -> u64 {
                    u64::from(field!(retransmits.$name))
                }
            )+
        };
    }

    fields! {
        socket_family socket_port socket_remote_port socket_address4 socket_remote4 socket_address6 socket_remote6
        socket_namespace namespace_number skb_segments has_error
    }
}
