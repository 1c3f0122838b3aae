//! Descriptors that do not block although they were expected to: whoever shares one with this process may have said so.

use std::io;

#[cfg(unix)]
use std::os::fd::AsFd;

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, poll};

#[cfg(unix)]
pub(super) fn until_readable(descriptor: &impl AsFd) -> io::Result<()> {
    wait(descriptor, PollFlags::IN)
}

#[cfg(unix)]
pub(super) fn until_writable(descriptor: &impl AsFd) -> io::Result<()> {
    wait(descriptor, PollFlags::OUT)
}

#[cfg(unix)]
fn wait(descriptor: &impl AsFd, what: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(descriptor, what)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Elsewhere there is no such thing.
#[cfg(not(unix))]
pub(super) fn until_readable<T>(_: &T) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

#[cfg(not(unix))]
pub(super) fn until_writable<T>(_: &T) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}
