//! Reaching a socket that is listened at.

use std::{io, time::Duration};

use tokio::net::UnixStream;

use super::Address;

/// How long is waited where the queue of the server is full, before it is asked again: at first, and doubled each time, at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Connects, as soon as there is a place in the queue of those who wait to be accepted. Cancel safe.
pub(super) async fn connect(address: Address<'_>) -> io::Result<UnixStream> {
    let path = address.for_kernel()?;
    let mut pause = FIRST_PAUSE;
    loop {
        match UnixStream::connect(&path).await {
            // The queue of the listener is full. A TCP connection would wait; this one is told to come again: connect(2), `EAGAIN`.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
