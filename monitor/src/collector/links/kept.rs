//! What the link thread takes over from an agent before it, and notes for the next one.

use super::Links;
use crate::collector::attacher::Command;
use crate::collector::losses::Lost;
use crate::collector::pins::book::Kept;
use crate::collector::{clock, decode};
use crate::model::{Interface, InterfaceNumber, Observation, Reading};
use rustix::fd::OwnedFd;

/// What there was before.
pub(in crate::collector) struct Before {
    /// Devices that were watched all the time, with their links.
    pub(in crate::collector) adopted: Vec<(Kept, Vec<OwnedFd>)>,
    /// Those that went meanwhile.
    pub(in crate::collector) gone: Vec<Kept>,
    /// Whether there was an agent before at all.
    pub(in crate::collector) comes_after: bool,
}

impl Links {
    /// Tells what another agent watched, and what went meanwhile. Whether there was one.
    pub(super) fn go_on(&mut self) -> bool {
        let Some(Before { adopted, gone, comes_after }) = self.before.take() else { return false };
        for (kept, links) in adopted {
            self.tell_kept(&kept);
            let ifindex = kept.interface.ifindex;
            self.parts.attacher.adopt(ifindex, kept.mode, links);
            self.watched.insert(ifindex, kept.interface);
        }
        for kept in gone {
            self.tell_kept(&kept);
            let Interface { number, ifindex, .. } = kept.interface;
            let read = self.parts.maps.totals.read(kept.slot, &mut self.totals);
            if read.is_err() {
                self.parts.losses.add(Lost::Totals, 1);
            } else {
                let totals = decode::totals_over(&self.totals, kept.base_totals().as_ref());
                let at = clock::kernel_now();
                let last = Reading { number, at, totals, device_before: None, device_after: None };
                self.parts.out.push(Observation::Detached { number, at, last: Box::new(last) });
            }
            self.parts.attacher.handle(Command::Detach { ifindex });
            self.forget(ifindex);
        }
        comes_after
    }

    fn tell_kept(&mut self, kept: &Kept) {
        let Kept { interface, at, mode, before, after, .. } = kept.clone();
        self.parts.out.push(Observation::Attached { interface, at, mode, before, after });
    }

    /// Notes a device for the next agent.
    pub(super) fn keep(&self, kept: &Kept) {
        if let Some(book) = &self.parts.book
            && let Err(error) = book.keep(kept)
        {
            log::warn!("{} could not be noted for the next agent: {error}", kept.interface.name);
        }
    }

    /// The next agent has nothing to do with a device.
    pub(super) fn forget(&self, ifindex: u32) {
        if let Some(book) = &self.parts.book
            && let Err(error) = book.forget(ifindex)
        {
            log::warn!("the note of interface {ifindex} could not be removed: {error}");
        }
    }

    /// Notes that a number is given.
    pub(super) fn note_number(&self, number: InterfaceNumber) {
        if let Some(book) = &self.parts.book
            && let Err(error) = book.give(number)
        {
            log::warn!("a number could not be noted for the next agent: {error}");
        }
    }

    /// Notes what changed of a device.
    pub(super) fn change_note(&self, interface: &Interface) {
        let Some(book) = &self.parts.book else { return };
        let of = (interface.ifindex, interface.number);
        if let Err(error) = book.change(of, |kept| kept.interface = interface.clone()) {
            log::warn!("{} could not be noted for the next agent: {error}", interface.name);
        }
    }
}
