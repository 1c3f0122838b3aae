//! Services called in the process that they are in.

use std::time::Duration;

use futures::future::BoxFuture;

use super::Dispatcher;
use crate::{
    jsonrpc::{Connection, Event, Reply, version::Version},
    session::{BatchError, BatchItem, CallError, Caller, Outgoing, OutgoingBatch},
    transport::Extensions,
};

/// Calls services in the process that they are in: over a `Dispatcher`, generated clients work as over a connection, with everything written
/// and read as it would be there.
///
/// It speaks 2.0 to itself, whatever the dispatcher speaks to others.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Dispatcher, rpc_service};
///
/// #[rpc_service]
/// trait Calc {
///     async fn add(&self, a: i64, b: i64) -> i64;
/// }
///
/// struct MyCalc;
/// impl Calc for MyCalc {
///     async fn add(&self, a: i64, b: i64) -> i64 { a + b }
/// }
///
/// let dispatcher = Dispatcher::builder().service(CalcServer::new(MyCalc)).build()?;
/// assert_eq!(CalcClient::from(dispatcher).add(1, 2).await?, 3);
/// # Ok(()) }
/// ```
impl Caller for Dispatcher {
    type Call<'a> = BoxFuture<'a, Result<Reply, CallError>>;
    type Notify<'a> = BoxFuture<'a, Result<(), CallError>>;
    type Batch<'a> = BoxFuture<'a, Result<Vec<Result<Reply, CallError>>, BatchError>>;

    fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a> {
        let dispatcher = self.clone();
        Box::pin(async move {
            if call.is_late() {
                return Err(CallError::Timeout(Duration::ZERO));
            }
            let (mut connection, mut message) = (Connection::of(Version::V2), Vec::new());
            let sent = connection.request(&mut message, call.body(), 0);
            debug_assert!(sent.is_ok(), "2.0 has calls of every kind");
            let timeout = call.timeout_or(dispatcher.limits().call_timeout);
            let mut replies = dispatcher.ask(connection, &message, timeout, 1).await;
            replies.pop().unwrap_or_else(|| Ok(no_reply()))
        })
    }

    fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a> {
        let dispatcher = self.clone();
        Box::pin(async move {
            if notification.is_late() {
                return Err(CallError::Timeout(Duration::ZERO));
            }
            let (mut connection, mut message) = (Connection::of(Version::V2), Vec::new());
            let sent = connection.notification(&mut message, notification.body());
            debug_assert!(sent.is_ok(), "2.0 has notifications of every kind");
            dispatcher.ask(connection, &message, None, 0).await;
            Ok(())
        })
    }

    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
        let dispatcher = self.clone();
        Box::pin(async move {
            if batch.items().iter().any(|item| item.outgoing().is_late()) {
                return Err(BatchError::Timeout(Duration::ZERO));
            }
            let (mut connection, mut message) = (Connection::of(Version::V2), Vec::new());
            let mut calls = 0..;
            let mut timeouts = Vec::new();
            let members = batch.items().iter().map(|item| {
                let outgoing = item.outgoing();
                if let BatchItem::Notification(_) = item {
                    return (outgoing.body(), None);
                }
                timeouts.push(outgoing.timeout_or(dispatcher.limits().call_timeout));
                (outgoing.body(), calls.next())
            });
            connection.batch(&mut message, members).map_err(BatchError::Unsupported)?;
            // One message, one answer: it is waited for as long as the most patient of its calls does.
            let timeout =
                timeouts.iter().copied().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
            Ok(dispatcher.ask(connection, &message, timeout, timeouts.len()).await)
        })
    }
}

impl Dispatcher {
    /// Has `message` answered, and gives the replies to its calls, which `connection` knows by their numbers.
    async fn ask(
        &self,
        mut connection: Connection<usize>,
        message: &[u8],
        timeout: Option<Duration>,
        calls: usize,
    ) -> Vec<Result<Reply, CallError>> {
        let answer = self.answer(Version::V2, message, Extensions::default());
        let answer = match timeout {
            None => answer.await,
            Some(after) => match tokio::time::timeout(after, answer).await {
                Ok(answer) => answer,
                Err(_) => return (0..calls).map(|_| Err(CallError::Timeout(after))).collect(),
            },
        };
        let mut replies: Vec<_> = (0..calls).map(|_| Ok(no_reply())).collect();
        let (answer, mut nothing) = (answer.unwrap_or_default(), Vec::new());
        let mut events = connection.events(&answer);
        while let Some(event) = events.next(&mut connection, &mut nothing) {
            match event {
                Event::Reply { call, reply } => replies[call] = Ok(reply),
                // The message as a whole was refused.
                Event::Unasked(reply) => {
                    replies.iter_mut().for_each(|kept| *kept = Ok(reply.clone()));
                }
                _ => {}
            }
        }
        replies
    }
}

fn no_reply() -> Reply {
    Reply::malformed("the dispatcher gave no reply to this call")
}
