//! The helper at work: a thread for each lane, which takes one request after another.

use super::channel::{self, Received};
use super::message::{Answer, Request};
use super::office::Office;
use rustix::fd::{AsFd as _, OwnedFd};
use std::io;
use std::sync::Arc;
use std::thread::Builder;

/// Serves all lanes until the first one is at its end, and with it who asks.
pub(super) fn serve(office: Office, lanes: Vec<OwnedFd>) -> io::Result<()> {
    let said = std::panic::take_hook();
    // A lane that nobody serves would be waited for for ever: the whole helper ends, and another one begins.
    std::panic::set_hook(Box::new(move |panicked| {
        said(panicked);
        std::process::abort();
    }));
    let office = Arc::new(office);
    let mut lanes = lanes.into_iter();
    let first = lanes.next();
    for lane in lanes {
        let office = Arc::clone(&office);
        // It may hang in a path; the process ends with it all the same.
        Builder::new().name("vw-lane".into()).spawn(move || {
            if let Err(error) = serve_lane(&office, &lane) {
                log::error!("the helper cannot go on: {error}");
                std::process::exit(1);
            }
        })?;
    }
    first.map_or(Ok(()), |lane| serve_lane(&office, &lane))
}

/// Serves one lane until it is at its end. Who asks may be anybody: what is no request is answered so, and no request is
/// believed.
///
/// # Errors
/// What the kernel says.
pub fn serve_lane(office: &Office, lane: &OwnedFd) -> io::Result<()> {
    let mut latest = None;
    loop {
        let (number, answer, beside) = match channel::receive::<(u64, Request)>(lane, false)? {
            // Asked again, because it was not clear that it was heard.
            Received::Message((number, _), _) if latest == Some(number) => continue,
            Received::Message((number, request), _) => {
                let (answer, beside) = office.answer(request);
                (number, answer, beside)
            }
            Received::Garbage => (0, Answer::because("that is no request"), Vec::new()),
            Received::End => return Ok(()),
        };
        latest = Some(number);
        let descriptors: Vec<_> = beside.iter().map(|descriptor| descriptor.as_fd()).collect();
        match channel::send(lane, &(number, answer), &descriptors) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
