//! What is written when it is made, and sent when it is first polled: a call, a notification, a
//! subscription, a batch.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// How far it has got. `O` is what will be sent by `C`, and `F` the future that it becomes.
pub(super) enum Lazy<C, O, F, E> {
    Unsent {
        caller: C,
        /// The error is given by the first poll.
        written: Result<O, E>,
    },
    Sent(F),
    /// It could not be written, which the first poll has said; or sending it has panicked.
    Gone,
}

impl<C, O, F, E> Lazy<C, O, F, E> {
    /// Sets an option, which takes effect when it is sent.
    ///
    /// # Panics
    ///
    /// Where that is too late: an option that is silently left out is worse.
    #[track_caller]
    pub(super) fn set(&mut self, option: &str, set: impl FnOnce(&mut O)) {
        match self {
            Self::Unsent { written: Ok(outgoing), .. } => set(outgoing),
            Self::Unsent { written: Err(_), .. } => {}
            Self::Sent(_) | Self::Gone => too_late(option),
        }
    }

    /// What was not sent yet, as something else that is sent by the same caller.
    ///
    /// # Panics
    ///
    /// As [`set`](Self::set).
    #[track_caller]
    pub(super) fn convert<P, G>(self, option: &str, convert: impl FnOnce(O) -> P) -> Lazy<C, P, G, E> {
        match self {
            Self::Unsent { caller, written } => Lazy::Unsent { caller, written: written.map(convert) },
            Self::Sent(_) | Self::Gone => too_late(option),
        }
    }

    /// What was not sent yet, for others to send; none where it was polled.
    pub(super) fn into_unsent(self) -> Option<Result<O, E>> {
        match self {
            Self::Unsent { written, .. } => Some(written),
            Self::Sent(_) | Self::Gone => None,
        }
    }
}

impl<C, O, T, E, F: Future<Output = Result<T, E>> + Unpin> Lazy<C, O, F, E> {
    /// Sends it, with `send`, where that was not done, and waits for the outcome. `what` it is
    /// stands in the panic where it is polled again after that.
    #[inline]
    pub(super) fn poll(
        &mut self,
        what: &str,
        send: impl FnOnce(C, O) -> F,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, E>> {
        if !matches!(self, Self::Sent(_)) {
            let Self::Unsent { caller, written } = std::mem::replace(self, Self::Gone) else {
                polled_again(what);
            };
            let sent = Self::Sent(send(caller, written?));
            // What is replaced has nothing to drop; looking whether it has would cost more
            // instructions than all else here.
            std::mem::forget(std::mem::replace(self, sent));
        }
        let Self::Sent(sent) = self else { unreachable!("sent just now") };
        Pin::new(sent).poll(cx)
    }
}

#[cold]
#[track_caller]
fn too_late(option: &str) -> ! {
    panic!("`{option}` is set too late: this was polled before, and is sent without; set it before that")
}

#[cold]
fn polled_again(what: &str) -> ! {
    panic!("a {what} was polled after it had ended")
}
