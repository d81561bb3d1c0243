//! A set of ports: the first ones by name, all of them by number, in bounded memory.

/// Ports that are named.
const NAMED: usize = 16;
const WORDS: usize = 65_536 / 64;

/// Ports that were addressed.
#[derive(Debug, Default)]
pub(super) struct Ports {
    first: Vec<u16>,
    count: u32,
    /// One bit a port; made when there are more than are named.
    all: Option<Box<[u64; WORDS]>>,
}

impl Ports {
    /// Adds one.
    pub(super) fn add(&mut self, port: u16) {
        match &mut self.all {
            None if self.first.contains(&port) => {}
            None if self.first.len() < NAMED => {
                self.first.push(port);
                self.count += 1;
            }
            None => {
                let mut all = Box::new([0; WORDS]);
                for known in &self.first {
                    insert(&mut all, *known);
                }
                self.count += u32::from(insert(&mut all, port));
                self.all = Some(all);
            }
            Some(all) => self.count += u32::from(insert(all, port)),
        }
    }

    /// The first ones, in the order in which they came.
    pub(super) fn first(&self) -> &[u16] {
        &self.first
    }

    /// How many.
    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

/// Whether it was not in there.
fn insert(all: &mut [u64; WORDS], port: u16) -> bool {
    let (word, bit) = (usize::from(port) / 64, 1 << (port % 64));
    let is_new = all[word] & bit == 0;
    all[word] |= bit;
    is_new
}

#[cfg(test)]
mod tests {
    use super::Ports;

    #[test]
    fn each_port_counts_once_however_many_there_are() {
        let mut ports = Ports::default();
        for _ in 0..2 {
            for port in 0..=u16::MAX {
                ports.add(port);
            }
        }
        assert_eq!(ports.count(), 65_536);
        assert_eq!(ports.first(), (0..16).collect::<Vec<u16>>());
    }
}
