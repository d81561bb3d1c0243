//! The socket's file, which the helper makes, gives to a group and removes.

use crate::helper::message::{AboutSocket, Answer, Identity, Request};
use crate::helper::{Helper, Lane};
use crate::run::failure::Failure;
use crate::settings::Socket;
use anyhow::Context as _;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as Listener;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Connections that may wait to be taken.
const BACKLOG: i32 = 128;

/// A file that is ours. Dropping it removes the file, unless another one is there by now.
#[derive(Debug)]
pub(super) struct Door {
    path: PathBuf,
    identity: Identity,
    helper: Helper,
}

impl Door {
    /// Makes the file and listens there.
    ///
    /// # Errors
    /// When somebody answers there already, something else is there, or the file or its directory cannot be made.
    pub(super) fn open(wanted: &Socket, helper: &Helper) -> Result<(UnixListener, Self), Failure> {
        let path = &wanted.path;
        let (socket, door) =
            Self::make(wanted, helper).with_context(|| format!("the socket {}", path.display()))?;
        let listener = Listener::from(socket);
        listener.set_nonblocking(true)?;
        Ok((UnixListener::from_std(listener)?, door))
    }

    fn make(wanted: &Socket, helper: &Helper) -> anyhow::Result<(OwnedFd, Self)> {
        let request = Request::MakeSocket(wanted.path.as_path().into(), wanted.group.clone());
        let (answer, socket) = helper.descriptor(Lane::Socket, request)?;
        let Answer::File(Some(identity)) = answer else {
            return Err(io::Error::from(io::ErrorKind::InvalidData).into());
        };
        // Who connects is told who listens: this process, not the helper.
        rustix::net::listen(&socket, BACKLOG)?;
        Ok((socket, Self { path: wanted.path.clone(), identity, helper: helper.clone() }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn ask(&self, about: AboutSocket) -> io::Result<bool> {
        let request = Request::Socket(self.path.as_path().into(), self.identity, about);
        Ok(self.helper.done(Lane::Socket, request)?.0 == Answer::Is(true))
    }

    /// Whether the file is where it was made.
    pub(super) fn is_there(&self) -> bool {
        self.ask(AboutSocket::IsThere).unwrap_or(false)
    }

    /// Whether whoever opens the path comes here, and those of this group may.
    pub(super) fn is_for(&self, group: &str) -> bool {
        self.ask(AboutSocket::IsFor(group.to_owned())).unwrap_or(false)
    }

    /// Lets another group ask, and the one before no longer.
    ///
    /// # Errors
    /// When the group cannot be looked up, or the file is not ours to give.
    pub(super) fn give_to(&self, group: &str) -> anyhow::Result<()> {
        Ok(self.ask(AboutSocket::GiveTo(group.to_owned())).map(drop)?)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Err(error) = self.ask(AboutSocket::Remove) {
            log::warn!("{} could not be removed: {error}", self.path.display());
        }
    }
}
