//! Reaching a socket that is listened at.

use std::{io, time::Duration};

use tokio::{net::UnixStream, time::Instant};

use super::Address;

/// How long a server may have no place in its queue for one more peer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long is waited before it is asked again: at first, and doubled each time, at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Connects. Cancel safe.
pub(crate) async fn connect(address: Address<'_>) -> io::Result<UnixStream> {
    let path = address.for_kernel()?;
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match UnixStream::connect(&path).await {
            // Where the queue of the listener is full, a TCP connection waits. This one is told to come again: connect(2), `EAGAIN`.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if started.elapsed() >= PATIENCE {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("somebody listens, and has accepted nobody for {PATIENCE:?}: the queue is full"),
                    ));
                }
            }
            outcome => return outcome,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
