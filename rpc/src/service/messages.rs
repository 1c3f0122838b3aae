//! What is done with messages of the application's own, where a session carries them instead of JSON-RPC.

use std::{fmt, marker::PhantomData, sync::Arc};

use super::{
    Outcome, Request, RequestPeer,
    handler::serve,
    reply::{Replies, ReplyLimit, returned},
};
use crate::{
    framing::FrameError,
    jsonrpc::{MethodInfo, UncheckedParams, version::Version},
    session::{Message, MessageSession, Session, Shared},
};

/// What messages are called in the log.
pub(crate) const MESSAGE: &str = "message";

/// The method that messages count as.
const METHOD: MethodInfo = MethodInfo::notification(MESSAGE);

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
        let (mut no_reply, mut unreadable) = (Vec::new(), None);
        let request = Request {
            method: &METHOD,
            id: None,
            params: UncheckedParams::NONE,
            peer: RequestPeer::Session(link),
            replies: Replies::part(&mut no_reply, Version::V2, ReplyLimit::Bytes(0)),
            deferred: false,
            token: None,
            traced: false,
        };
        let handled = serve(request, &mut |_, _| {
            let message = match M::read(frame) {
                Ok(message) => message,
                Err(error) => {
                    unreadable = Some(error);
                    return Ok(None);
                }
            };
            let session = MessageSession::new(Session::new(Arc::clone(link)));
            let handling = (self.handler)(session, message);
            Ok(Some(Box::pin(async move {
                handling.await;
                returned::<false, _>(())
            })))
        });
        match unreadable {
            Some(error) => Err(error),
            None => Ok(handled.outcome()),
        }
    }
}

impl fmt::Debug for dyn TakesMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakesMessages").finish_non_exhaustive()
    }
}
