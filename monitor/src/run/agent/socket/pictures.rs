//! Snapshots as text: each is written once, for all who want it, and only while somebody does.
//!
//! A client has a text until it took all of it, for which it has not long. Whoever wants another one while clients have
//! too much already gets none.

use crate::model::KernelTime;
use crate::snapshot::Snapshot;
use hyper::body::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The most that clients may have before no other one is written, in bytes.
pub(super) const MOST: usize = 64 << 20;

/// What a text tells of its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// All rows.
    All,
    /// Those of containers.
    Containers,
    /// Those of networks.
    Networks,
    /// Those of pairs.
    Pairs,
    /// Those of latencies.
    Latency,
    /// Those of what fails.
    Failures,
    /// Those of services.
    Services,
    /// The snapshot itself, for commands of ours.
    Itself,
}

impl About {
    /// How many there are.
    const COUNT: usize = 8;
}

/// A text of a snapshot.
#[derive(Debug)]
pub(super) struct Picture {
    /// It need not live: as long as its memory is known here, no other snapshot has the same address.
    of: Weak<Snapshot>,
    docker_told: Option<KernelTime>,
    text: Box<[u8]>,
    held: Arc<AtomicUsize>,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPicture {
    #[error("others have not taken yet what they asked for; ask again")]
    NoRoom,
    #[error("it could not be written: {0}")]
    Unwritten(#[from] serde_json::Error),
}

/// The latest of each kind, if anybody still has it.
#[derive(Debug)]
pub(super) struct Pictures {
    most: usize,
    latest: [Mutex<Weak<Picture>>; About::COUNT],
    /// Bytes of all texts that there are.
    held: Arc<AtomicUsize>,
}

/// Who reads a text.
struct Reader(Arc<Picture>);

impl Pictures {
    /// None are written while clients have so many bytes of them.
    pub(super) fn new(most: usize) -> Self {
        Self { most, latest: <[Mutex<Weak<Picture>>; About::COUNT]>::default(), held: Arc::default() }
    }

    /// The text of a snapshot, and of when Docker told everything if it has that too. Whoever wants the same one
    /// meanwhile waits for it.
    ///
    /// # Errors
    /// When clients have too much already, or there is no text for what is to be said.
    pub(super) fn of(
        &self,
        about: About,
        snapshot: &Arc<Snapshot>,
        docker_told: Option<KernelTime>,
        write: impl FnOnce() -> serde_json::Result<Vec<u8>>,
    ) -> Result<Arc<Picture>, NoPicture> {
        let mut latest = self.latest[about as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |it: &Arc<Picture>| {
            std::ptr::eq(it.of.as_ptr(), Arc::as_ptr(snapshot)) && it.docker_told == docker_told
        };
        if let Some(picture) = latest.upgrade().filter(is_same) {
            return Ok(picture);
        }
        if self.held.load(Relaxed) >= self.most {
            return Err(NoPicture::NoRoom);
        }
        let text = write()?.into_boxed_slice();
        self.held.fetch_add(text.len(), Relaxed);
        let (of, held) = (Arc::downgrade(snapshot), Arc::clone(&self.held));
        let picture = Arc::new(Picture { of, docker_told, text, held });
        *latest = Arc::downgrade(&picture);
        Ok(picture)
    }
}

impl Pictures {
    /// A text that nobody else wants, counted as the others.
    ///
    /// # Errors
    /// When clients have too much already.
    pub(super) fn once(&self, text: Vec<u8>) -> Result<Bytes, NoPicture> {
        if self.held.load(Relaxed) >= self.most {
            return Err(NoPicture::NoRoom);
        }
        let text = text.into_boxed_slice();
        self.held.fetch_add(text.len(), Relaxed);
        let held = Arc::clone(&self.held);
        Ok(Arc::new(Picture { of: Weak::new(), docker_told: None, text, held }).bytes())
    }
}

impl Picture {
    /// The text, which is there as long as any of these.
    pub(super) fn bytes(self: &Arc<Self>) -> Bytes {
        Bytes::from_owner(Reader(Arc::clone(self)))
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        self.held.fetch_sub(self.text.len(), Relaxed);
    }
}

impl AsRef<[u8]> for Reader {
    fn as_ref(&self) -> &[u8] {
        &self.0.text
    }
}

#[cfg(test)]
mod tests {
    use super::{About, MOST, NoPicture, Pictures};
    use crate::model::KernelTime;
    use crate::wire::fixtures;
    use hyper::body::Bytes;
    use std::sync::Arc;

    #[test]
    fn a_text_is_written_once_for_all_who_want_the_same() {
        let (pictures, told) = (Pictures::new(MOST), Some(KernelTime(7)));
        let [snapshot, next] = [fixtures::snapshot(), fixtures::snapshot()].map(Arc::new);
        let of = |about, snapshot, told, text: &str| {
            pictures.of(about, snapshot, told, || Ok(text.into())).unwrap().bytes()
        };
        let one = of(About::All, &snapshot, told, "one");
        assert_eq!([&one, &of(About::All, &snapshot, told, "not written")], ["one", "one"]);
        drop(one);
        assert_eq!(of(About::All, &snapshot, told, "again"), "again", "nobody had it any more");
        assert_eq!(of(About::Pairs, &snapshot, told, "about another"), "about another");
        assert_eq!(of(About::All, &snapshot, None, "told otherwise"), "told otherwise");
        assert_eq!(of(About::All, &next, told, "the next"), "the next");
    }

    #[test]
    fn what_clients_have_is_bounded() {
        let pictures = Pictures::new(100);
        let write = |text: &[u8]| {
            let picture =
                pictures.of(About::All, &Arc::new(fixtures::snapshot()), None, || Ok(text.to_vec()));
            picture.map(|picture| picture.bytes())
        };
        let mut held: Vec<Bytes> = (0..4).map(|_| write(&[b'x'; 25]).unwrap()).collect();
        assert!(matches!(write(b"y"), Err(NoPicture::NoRoom)));
        held.pop();
        assert_eq!(write(b"y").unwrap(), "y");
        held.clear();
        assert_eq!(pictures.held.load(super::Relaxed), 0);
    }
}
