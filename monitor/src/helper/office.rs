//! What the helper does about each request.

use super::listen;
use super::message::{AboutRecords, AboutSocket, Answer, Identity, Request};
use super::named::Named;
use super::place::{self, Place};
use crate::collector::Rights;
use crate::inventory;
use crate::model::WallTime;
use crate::recording;
use crate::settings::sources::{Loaded, Sources, open_regular};
use crate::store::{self, Keeper as _, Unusable};
use rustix::fd::OwnedFd;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Answered = (Answer, Vec<OwnedFd>);

/// Who does it, and what may be asked for.
#[derive(Debug)]
pub struct Office {
    rights: Rights,
    named: Mutex<Named>,
    docker: inventory::Settings,
}

impl Office {
    /// With these rights, for an agent with these settings, which were read from these sources.
    #[must_use]
    pub fn new(rights: Rights, sources: Sources, loaded: &Loaded) -> Self {
        let docker = loaded.settings.inventory.clone();
        Self { rights, named: Mutex::new(Named::new(sources, loaded)), docker }
    }

    /// Goes on where another one ended.
    ///
    /// # Errors
    /// When there are no descriptors to be had.
    pub(super) fn succeed(&mut self) -> io::Result<()> {
        self.read_settings();
        self.rights.succeed()
    }

    fn read_settings(&self) {
        let sources = self.named().sources();
        if let Ok(loaded) = sources.read() {
            self.named().add(&loaded);
        }
    }

    fn named(&self) -> MutexGuard<'_, Named> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request.
    pub(super) fn answer(&self, request: Request) -> Answered {
        match request {
            Request::Kernel(request) => {
                let (answer, beside) = self.rights.handle(request);
                (Answer::Kernel(answer), beside)
            }
            Request::ReadSettings => {
                self.read_settings();
                (Answer::Done, Vec::new())
            }
            Request::Open(name) => {
                let path = name.path();
                self.if_named(|named| named.file(&path), || Ok(one(open_regular(&path)?.into())))
            }
            Request::MakeRecording(name) => {
                let path = name.path();
                self.if_named(|named| named.recording(&path), || Ok(one(recording::create(&path)?.into())))
            }
            Request::Bind { at, beside } => {
                self.if_named(|named| named.address(at), || Ok(one(listen::bound(at, beside)?)))
            }
            Request::MakeSocket(name, group) => {
                let path = name.path();
                let may = self.named();
                if !may.socket(&path) || !may.group(&group) {
                    return not_named();
                }
                drop(may);
                match place::make(&path, &group) {
                    Ok((socket, place)) => (Answer::File(Some(place.leave())), vec![socket]),
                    Err(error) => (Answer::because(format!("{error:#}")), Vec::new()),
                }
            }
            Request::Socket(name, identity, about) => {
                (self.socket(&name.path(), identity, about), Vec::new())
            }
            Request::Records(name, about) => {
                let path = name.path();
                if self.named().records(&path) { records(&path, &about) } else { not_named() }
            }
            Request::DockerHost => (
                match inventory::host(&self.docker) {
                    Ok(host) => Answer::Text(host),
                    Err(reason) => Answer::because(reason),
                },
                Vec::new(),
            ),
            Request::Docker => match inventory::relay(&self.docker) {
                Ok(connection) => one(connection.into()),
                Err(error) => (Answer::refused(&error), Vec::new()),
            },
        }
    }

    /// Does it if the settings name what it is about.
    fn if_named(
        &self,
        is_named: impl FnOnce(&Named) -> bool,
        act: impl FnOnce() -> io::Result<Answered>,
    ) -> Answered {
        if !is_named(&self.named()) {
            return not_named();
        }
        act().unwrap_or_else(|error| (Answer::refused(&error), Vec::new()))
    }

    fn socket(&self, path: &Path, identity: Identity, about: AboutSocket) -> Answer {
        let is_named = {
            let named = self.named();
            let group = match &about {
                AboutSocket::IsFor(group) | AboutSocket::GiveTo(group) => named.group(group),
                AboutSocket::IsThere | AboutSocket::Remove => true,
            };
            named.socket(path) && group
        };
        if !is_named {
            return Answer::not_named();
        }
        let Some(place) = Place::at(path, identity) else { return Answer::Is(false) };
        match about {
            AboutSocket::IsThere => Answer::Is(place.is_there()),
            AboutSocket::IsFor(group) => Answer::Is(place.is_for(&group)),
            AboutSocket::GiveTo(group) => match place.give_to(&group) {
                Ok(()) => Answer::Is(true),
                Err(error) => Answer::because(format!("{error:#}")),
            },
            AboutSocket::Remove => {
                place.remove();
                Answer::Done
            }
        }
    }
}

fn one(descriptor: OwnedFd) -> Answered {
    (Answer::Done, vec![descriptor])
}

fn not_named() -> Answered {
    (Answer::not_named(), Vec::new())
}

fn records(path: &Path, about: &AboutRecords) -> Answered {
    let done = || -> Result<Answered, Unusable> {
        let place = store::Place::new(path)?;
        Ok(match about {
            AboutRecords::Open => one(place.open()?.into()),
            AboutRecords::There => (Answer::File(place.there()), Vec::new()),
            AboutRecords::End { now, keep } => {
                place.end(WallTime(*now), *keep)?;
                (Answer::Done, Vec::new())
            }
        })
    };
    done().unwrap_or_else(|unusable| {
        let may_pass = unusable.may_pass();
        (Answer::Refused { code: None, reason: unusable.to_string(), may_pass }, Vec::new())
    })
}
