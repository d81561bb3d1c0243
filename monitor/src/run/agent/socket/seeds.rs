//! What is open already when somebody begins to listen: told as if it were found now.
//!
//! It is told by the first snapshot after they were heard: nothing is found between the two that is in neither.

use crate::snapshot::{Record, Snapshot};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// What a finding goes by: those of traffic and those that stand have numbers of their own.
type Id = (bool, u64);

/// What was told already.
#[derive(Debug)]
pub(super) struct Seeds {
    /// Where the snapshot will be; absent once it was told of, or where nobody asks for findings.
    snapshots: Option<watch::Receiver<Arc<Snapshot>>>,
    told: HashMap<Id, u32>,
}

impl Seeds {
    /// Of the next snapshot, if findings are wanted.
    pub(super) fn new(snapshots: &watch::Receiver<Arc<Snapshot>>, are_wanted: bool) -> Self {
        let mut snapshots = snapshots.clone();
        snapshots.mark_unchanged();
        Self { snapshots: are_wanted.then_some(snapshots), told: HashMap::new() }
    }

    /// Waits for the snapshot, once, and gives what is to be told of it; for ever afterwards.
    pub(super) async fn next(&mut self) -> Vec<Record> {
        if let Some(snapshots) = &mut self.snapshots
            && snapshots.changed().await.is_ok()
        {
            let snapshot = Arc::clone(&snapshots.borrow());
            self.snapshots = None;
            return self.seed(&snapshot);
        }
        // That the engine has ended is told otherwise to whoever listens.
        std::future::pending().await
    }

    fn seed(&mut self, snapshot: &Snapshot) -> Vec<Record> {
        // One without a revision was not told to anybody yet, and will be.
        let findings = snapshot.findings.iter().filter(|finding| finding.revision > 0);
        let findings = findings.map(|finding| Record::Finding(Arc::new(finding.clone())));
        let standing = snapshot.standing.iter().map(|standing| Record::Standing(Arc::clone(standing)));
        let mut records: Vec<Record> = findings.chain(standing).collect();
        records.retain(|record| {
            let Some((id, revision)) = revision(record) else { return false };
            let before = self.told.insert(id, revision);
            before.is_none_or(|before| before < revision)
        });
        records
    }

    /// Whether a record says more than was told. Numbers of revisions begin anew when something is found again.
    pub(super) fn is_news(&mut self, record: &Record) -> bool {
        let Some((id, revision)) = revision(record) else { return true };
        if self.snapshots.is_some() {
            self.told.insert(id, revision);
            return true;
        }
        let is_news = self.told.get(&id).is_none_or(|before| revision > *before);
        if is_news {
            self.told.remove(&id);
        }
        is_news
    }
}

/// Which finding a record tells of, and which revision.
fn revision(record: &Record) -> Option<(Id, u32)> {
    match record {
        Record::Finding(finding) => Some(((false, finding.id), finding.revision)),
        Record::Standing(standing) => Some(((true, standing.id), standing.revision)),
        Record::Flow(_) | Record::Sample(_) | Record::Name(_) | Record::Lost(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Seeds;
    use crate::snapshot::{Record, Severity, Snapshot, Standing};
    use crate::wire::fixtures;
    use std::sync::Arc;
    use tokio::sync::watch;

    fn revised(revision: u32) -> Record {
        Record::Standing(Arc::new(Standing { revision, ..fixtures::standing("a", Severity::Warning) }))
    }

    /// Of a snapshot with one standing finding, what is told after some revisions of it were.
    async fn seeded(before: &[u32], standing: u32) -> (Seeds, Vec<Record>) {
        let (publish, snapshots) = watch::channel(Arc::new(fixtures::snapshot()));
        let mut seeds = Seeds::new(&snapshots, true);
        for revision in before {
            assert!(seeds.is_news(&revised(*revision)));
        }
        let Record::Standing(standing) = revised(standing) else { panic!("it is one") };
        let snapshot = Snapshot { standing: vec![standing], findings: Vec::new(), ..fixtures::snapshot() };
        publish.send(Arc::new(snapshot)).unwrap();
        let told = seeds.next().await;
        (seeds, told)
    }

    #[tokio::test]
    async fn what_is_open_is_told_once_and_then_only_what_is_new_of_it() {
        let (mut seeds, told) = seeded(&[], 3).await;
        assert_eq!(told, [revised(3)]);
        assert!(!seeds.is_news(&revised(3)), "it was told");
        assert!(seeds.is_news(&revised(4)));
        assert!(seeds.is_news(&revised(1)), "it was over, and is found again");
    }

    #[tokio::test]
    async fn what_was_heard_before_is_not_told_again() {
        assert_eq!(seeded(&[2, 3], 3).await.1, []);
        assert_eq!(seeded(&[2], 3).await.1, [revised(3)]);
    }
}
