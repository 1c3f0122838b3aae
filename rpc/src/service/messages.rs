//! What is done with messages of the application's own, where a session carries them instead of JSON-RPC.

use std::{
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures::FutureExt;

use super::{
    Outcome,
    handle::{discard, log_panic},
    working::Unanswered,
};
use crate::{
    framing::FrameError,
    session::{Ending, Message, MessageSession, Session, Shared},
};

/// What messages are called in the log.
pub(crate) const MESSAGE: &str = "message";

/// Takes the messages of sessions, as frames.
pub(crate) trait TakesMessages: Send + Sync {
    /// Reads a frame, and runs the handler as far as it goes without waiting.
    fn take(&self, frame: &[u8], link: &Arc<Shared>) -> Result<Outcome, FrameError>;
}

/// A handler of messages whose type is forgotten.
pub(crate) fn takes_messages<M, F>(
    handler: impl Fn(MessageSession<M>, M) -> F + Send + Sync + 'static,
) -> Arc<dyn TakesMessages>
where
    M: Message,
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(Messages { handler, message: PhantomData::<fn(M)> })
}

struct Messages<H, M> {
    handler: H,
    message: PhantomData<fn(M)>,
}

impl<H, M, F> TakesMessages for Messages<H, M>
where
    H: Fn(MessageSession<M>, M) -> F + Send + Sync,
    M: Message,
    F: Future<Output = ()> + Send + 'static,
{
    fn take(&self, frame: &[u8], link: &Arc<Shared>) -> Result<Outcome, FrameError> {
        // All of it is code of the user's.
        let started = catch_unwind(AssertUnwindSafe(|| {
            let message = M::read(frame)?;
            let session = MessageSession::new(Session::new(Arc::clone(link)));
            let mut handling = Box::pin((self.handler)(session, message));
            // Whoever takes the future over polls it again at once.
            let polled = handling.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            Ok((handling, polled))
        }));
        match started {
            Ok(Ok((handling, Poll::Pending))) => {
                Ok(Outcome::Pending(Box::new(Unanswered::new(Box::pin(contained(handling))))))
            }
            Ok(Ok((handling, Poll::Ready(())))) => {
                discard(MESSAGE, handling);
                Ok(Outcome::Done(Ending::Result))
            }
            Ok(Err(error)) => Err(error),
            Err(panic) => {
                log_panic(MESSAGE, &*panic);
                discard(MESSAGE, panic);
                Ok(Outcome::Done(Ending::Panicked))
            }
        }
    }
}

/// A panic ends nothing but the handler.
async fn contained(mut handling: std::pin::Pin<Box<impl Future<Output = ()> + Send>>) -> Ending {
    let ending = match AssertUnwindSafe(&mut handling).catch_unwind().await {
        Ok(()) => Ending::Result,
        Err(panic) => {
            log_panic(MESSAGE, &*panic);
            discard(MESSAGE, panic);
            Ending::Panicked
        }
    };
    discard(MESSAGE, handling);
    ending
}

impl fmt::Debug for dyn TakesMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakesMessages").finish_non_exhaustive()
    }
}
