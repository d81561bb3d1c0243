//! Messages of bounded size between two processes, and descriptors that come with them.

use rustix::cmsg_space;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;

/// The most bytes of a message.
pub const LONGEST: usize = 64 << 10;
/// The most descriptors that come with one.
const MOST: usize = 2;

/// What came.
#[derive(Debug)]
pub enum Received<T> {
    /// A message.
    Message(T, Vec<OwnedFd>),
    /// Something that is none: too long, or not understood.
    Garbage,
    /// The other end is gone.
    End,
}

/// Two ends.
///
/// # Errors
/// When there are no descriptors to be had.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends a message with at most two descriptors.
///
/// # Errors
/// When it is too long, or the other end is gone.
pub fn send(socket: impl AsFd, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    if text.len() > LONGEST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(socket, &[IoSlice::new(&text)], &mut beside, SendFlags::NOSIGNAL).map(drop)?)
}

/// Waits for a message. Descriptors are taken only where they are wanted.
///
/// # Errors
/// What the kernel says.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd, with_descriptors: bool) -> io::Result<Received<T>> {
    let mut text = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut beside = RecvAncillaryBuffer::new(if with_descriptors { &mut space } else { &mut [] });
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(&socket, &mut [IoSliceMut::new(&mut text)], &mut beside, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(Received::End);
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Ok(Received::Garbage);
    }
    let read = text.get(..received.bytes).and_then(|text| serde_json::from_slice(text).ok());
    Ok(read.map_or(Received::Garbage, |message| Received::Message(message, descriptors)))
}
