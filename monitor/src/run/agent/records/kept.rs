//! The file of records, which the helper opens and ends.

use crate::helper::message::{AboutRecords, Answer, Request};
use crate::helper::{Helper, Lane};
use crate::model::WallTime;
use crate::store::{Keeper, Unusable};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// The file at a path.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) helper: Helper,
}

impl Kept {
    fn ask(&self, about: AboutRecords) -> Result<(Answer, Vec<OwnedFd>), Unusable> {
        match self.helper.ask(Lane::Records, Request::Records(self.path.as_path().into(), about))? {
            (Answer::Refused { reason, may_pass, .. }, _) => Err(Unusable::Told { reason, may_pass }),
            done => Ok(done),
        }
    }
}

impl Keeper for Kept {
    fn open(&self) -> Result<File, Unusable> {
        let (_, files) = self.ask(AboutRecords::Open)?;
        let file = files.into_iter().next().ok_or(std::io::ErrorKind::UnexpectedEof);
        Ok(file.map_err(std::io::Error::from)?.into())
    }

    fn there(&self) -> Option<(u64, u64)> {
        match self.ask(AboutRecords::There) {
            Ok((Answer::File(there), _)) => there,
            _ => None,
        }
    }

    fn end(&self, now: WallTime, keep: usize) -> Result<(), Unusable> {
        self.ask(AboutRecords::End { now: now.0, keep }).map(drop)
    }
}
