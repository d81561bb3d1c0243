//! Flows in slots, each in one of a few lists ordered by when it was last touched.

/// No slot.
const NONE: u32 = u32::MAX;

/// How soon a flow is over once it is quiet; the index of its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// A closed connection: only stragglers may follow.
    Closed = 0,
    /// Everything that has no end of its own.
    Short = 1,
    /// An open TCP connection.
    Long = 2,
}

impl Patience {
    pub(super) const ALL: [Self; 3] = [Self::Closed, Self::Short, Self::Long];
}

#[derive(Debug)]
struct Slot<T> {
    value: T,
    patience: Patience,
    before: u32,
    after: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    oldest: u32,
    newest: u32,
}

/// Values in slots whose numbers are used again.
#[derive(Debug)]
pub(super) struct Lists<T> {
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    ends: [Ends; 3],
}

impl<T> Lists<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), ends: [Ends { oldest: NONE, newest: NONE }; 3] }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)?.as_ref().map(|slot| &slot.value)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)?.as_mut().map(|slot| &mut slot.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten().map(|slot| &slot.value)
    }

    /// Adds a value as the newest of its list.
    pub(super) fn insert(&mut self, value: T, patience: Patience) -> u32 {
        let filled = Some(Slot { value, patience, before: NONE, after: NONE });
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = filled;
            slot
        } else {
            self.slots.push(filled);
            u32::try_from(self.slots.len() - 1).expect("fewer slots than the bound on flows, which is a u32")
        };
        self.link(slot, patience);
        slot
    }

    /// Makes a value the newest of a list.
    pub(super) fn touch(&mut self, slot: u32, patience: Patience) {
        self.unlink(slot);
        self.link(slot, patience);
    }

    /// Takes a value out.
    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        self.unlink(slot);
        let removed = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(removed.value)
    }

    /// The value of a list that was touched longest ago.
    pub(super) fn oldest(&self, patience: Patience) -> Option<(u32, &T)> {
        let slot = self.ends[patience as usize].oldest;
        self.get(slot).map(|value| (slot, value))
    }

    fn entry(&mut self, slot: u32) -> Option<&mut Slot<T>> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    fn link(&mut self, slot: u32, patience: Patience) {
        let newest = self.ends[patience as usize].newest;
        if let Some(entry) = self.entry(slot) {
            entry.patience = patience;
            entry.before = newest;
            entry.after = NONE;
        }
        match self.entry(newest) {
            Some(newest) => newest.after = slot,
            None => self.ends[patience as usize].oldest = slot,
        }
        self.ends[patience as usize].newest = slot;
    }

    fn unlink(&mut self, slot: u32) {
        let Some(entry) = self.entry(slot) else { return };
        let (patience, before, after) = (entry.patience as usize, entry.before, entry.after);
        match self.entry(before) {
            Some(before) => before.after = after,
            None => self.ends[patience].oldest = after,
        }
        match self.entry(after) {
            Some(after) => after.before = before,
            None => self.ends[patience].newest = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lists, Patience};

    fn drain(lists: &mut Lists<u8>, patience: Patience) -> Vec<u8> {
        let mut order = Vec::new();
        while let Some((slot, value)) = lists.oldest(patience) {
            order.push(*value);
            lists.remove(slot);
        }
        order
    }

    #[test]
    fn touching_makes_the_newest_and_moving_changes_the_list() {
        let mut lists = Lists::new();
        let slots: Vec<u32> = (0..5).map(|value| lists.insert(value, Patience::Short)).collect();
        lists.touch(slots[1], Patience::Short);
        lists.touch(slots[3], Patience::Closed);
        lists.touch(slots[4], Patience::Short);
        assert_eq!(drain(&mut lists, Patience::Short), [0, 2, 1, 4]);
        assert_eq!(drain(&mut lists, Patience::Closed), [3]);
        assert_eq!(lists.len(), 0);
    }

    #[test]
    fn a_freed_slot_is_used_again() {
        let mut lists = Lists::new();
        let first = lists.insert(1, Patience::Long);
        assert_eq!(lists.remove(first), Some(1));
        assert_eq!(lists.remove(first), None);
        assert_eq!(lists.insert(2, Patience::Short), first);
        assert_eq!(lists.slots.len(), 1);
        assert_eq!(drain(&mut lists, Patience::Long), [0; 0]);
        assert_eq!(drain(&mut lists, Patience::Short), [2]);
    }
}
