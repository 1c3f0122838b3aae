//! Handlers that return a stream: first a reply, then the items, with the back-pressure of the
//! subscriber. Also the requests that end a subscription.

use std::{
    collections::HashMap,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use futures::{FutureExt, Stream, StreamExt, future::BoxFuture};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    broadcast::count_lost,
    handler::Args,
    peer::{OneShot, RequestPeer, RequestPeerRef},
    reply::{Answer, Replies, panicked},
    request::{Handled, Request, ServiceOutcome},
    work::{ProgressResult, RequestNumber, Subscribing, UnreportedWork, Work, end_subscriber},
};
use crate::{
    jsonrpc::{
        ErrorCode, ErrorObject, MethodInfo, RawParams, RpcError, SubscriptionInfo, SubscriptionStyle,
        UncheckedRequest, UnknownParams, one_line, params,
        shown::brief,
        subscription::{ItemWriter, SubscriptionKey, Token, positional},
    },
    session::{Ending, Gone, Pushed, Returns, Shared},
};

/// Yields to the loop after this many bytes of items that were ready at once, so that the loop
/// sends them while they are in the processor's caches, and before they fill the queue.
pub(super) const YIELD_AFTER: usize = 64 << 10;

/// Reads the parameters and makes the future of a handler. The future sends its stream into the
/// sink, which the second argument makes once the parameters are read.
type BeginStream<'b> = dyn FnMut(
        Args<'_>,
        &mut dyn FnMut() -> Result<Sink, ErrorObject>,
    ) -> Result<BoxFuture<'static, ()>, ErrorObject>
    + 'b;

/// Serves a request that begins a subscription. `handler` takes the parameters, and the sink for
/// its stream.
pub(crate) fn subscribe<P, F>(
    request: Request<'_>,
    decode: impl FnOnce(Args<'_>) -> Result<P, ErrorObject>,
    handler: impl FnOnce(P, Sink) -> F,
) -> Handled
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut parts = Some((decode, handler));
    begin_stream(request, &mut |args, sink| match parts.take() {
        Some((decode, handler)) => {
            let params = decode(args)?;
            Ok(Box::pin(handler(params, sink()?)))
        }
        None => Err(ErrorObject::internal()),
    })
}

fn begin_stream(request: Request<'_>, begin: &mut BeginStream<'_>) -> Handled {
    let (Some(info), args) = (request.method.subscription(), Args::of(&request)) else {
        return Handled::refused(ErrorObject::internal());
    };
    let method = request.method.name();
    let mut target = None;
    let mut sink = || {
        let admitted = &*target.insert(admit(&request, info)?);
        // The handler has decoded them, so they are known to be JSON.
        let params = positional(request.params.known_as_json(), request.method);
        let token =
            request.progress_token.clone().filter(|_| matches!(admitted, StreamTarget::Session { .. }));
        Ok(Sink { method, info, params, token, target: admitted.clone() })
    };
    let begun = catch_unwind(AssertUnwindSafe(|| begin(args, &mut sink)));
    let Request { id, replies, traced, .. } = request;
    let mut answer = Answer::new(replies, id, traced);
    match (begun, target) {
        (Ok(Err(error)), _) => Handled::refused(error),
        (Err(panic), _) => {
            answer.panicked(method, panic);
            Handled::done(answer.ending())
        }
        (Ok(Ok(handler)), Some(StreamTarget::Session { shared, number })) => {
            Handled::subscribing(Subscribing::new(method, handler, shared, number))
        }
        (Ok(Ok(handler)), Some(StreamTarget::Message { progress, .. })) => {
            let panic_result = progress.clone();
            let handler = Box::pin(async move {
                if let Err(panic) = AssertUnwindSafe(handler).catch_unwind().await {
                    panic_result.panicked(panicked(method, panic));
                }
            });
            Handled::pending(Work::of_unreported(method, UnreportedWork { handler, progress }, &answer))
        }
        // A handler that made no sink has no stream.
        (Ok(Ok(_)), None) => Handled::refused(ErrorObject::internal()),
    }
}

/// Serves a request to end a subscription of `method`. The result is true if there was one.
pub(super) fn unsubscribe(
    method: &MethodInfo,
    request: &UncheckedRequest<'_>,
    peer: RequestPeerRef<'_>,
    mut replies: Replies<'_>,
) -> ServiceOutcome {
    let style = method.subscription().map(|subscription| subscription.style()).unwrap_or_default();
    let key = match style {
        SubscriptionStyle::PubSub => {
            match subscription_id(request.params.known_as_json(), method.unknown_params()) {
                Some(id) => SubscriptionKey::of_id(id),
                None => {
                    return ServiceOutcome::Refused(params::invalid(
                        &request.method,
                        &"it takes the id of a subscription",
                    ));
                }
            }
        }
        SubscriptionStyle::Electrum => match request.params.check() {
            Some(params) => SubscriptionKey::of_params(method.name(), &positional(params, method)),
            None => return ServiceOutcome::Refused(params::invalid(&request.method, &"they are no JSON")),
        },
        SubscriptionStyle::Progress | SubscriptionStyle::McpProgress => {
            return ServiceOutcome::Refused(ErrorObject::method_not_found(&request.method));
        }
    };
    let found = peer.shared().is_some_and(|shared| shared.unsubscribe(&key));
    if let Some(id) = request.id {
        replies.boolean(id, found);
    }
    ServiceOutcome::Done(Ending::Result)
}

/// The only parameter, by position or under any name, except for those that the method lets pass.
fn subscription_id(params: RawParams<'_>, unknown: UnknownParams) -> Option<&str> {
    let text = params.as_json()?;
    let id: &RawValue = match text.starts_with('[') {
        true => serde_json::from_str::<(&RawValue,)>(text).ok()?.0,
        false => {
            let members: HashMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            let mut others = members.iter().filter(|(name, _)| !unknown.allows(name));
            match (members.len(), others.next(), others.next()) {
                (1, ..) => members.values().next().copied()?,
                (_, Some((_, id)), None) => id,
                // Where the method lets every name pass, only the name `subscription` identifies
                // the id.
                _ => members.get("subscription").copied().filter(|_| unknown.allows("subscription"))?,
            }
        }
    };
    Some(id.get())
}

/// The target for the items of a subscription, or the error that refuses it.
fn admit(request: &Request<'_>, info: SubscriptionInfo) -> Result<StreamTarget, ErrorObject> {
    let no = |code, why: String| Err(ErrorObject::new(code, why));
    if request.id.is_none() {
        return no(ErrorCode::INVALID_REQUEST, "a subscription is asked for with an id".to_owned());
    }
    let shared = match request.peer {
        RequestPeer::Session(shared) => shared,
        RequestPeer::OneShot(message) if info.style().is_progress() => {
            return Ok(StreamTarget::Message {
                message: Arc::clone(message),
                progress: ProgressResult::default(),
            });
        }
        RequestPeer::OneShot(_) => {
            return no(ErrorCode::INVALID_REQUEST, "a subscription needs a session".to_owned());
        }
    };
    if request.progress_token.is_some() && !shared.version().has_named_params() {
        let why = "JSON-RPC 1.0 has no named parameters, which reports of progress need: \
                   ask without a token, or in 2.0";
        return no(ErrorCode::INVALID_REQUEST, why.to_owned());
    }
    if !shared.admits_subscription() {
        let limit = shared.limits.subscriptions();
        shared.limits.reached.subscriptions(&shared.peer, shared.id, limit);
        return no(
            ErrorCode::TOO_MANY_SUBSCRIPTIONS,
            format!("too many subscriptions: the limit is {limit}"),
        );
    }
    Ok(StreamTarget::Session { shared: Arc::clone(shared), number: RequestNumber::default() })
}

/// The sink for the stream of a handler.
#[derive(Debug)]
pub struct Sink {
    pub(super) method: &'static str,
    pub(super) info: SubscriptionInfo,
    /// The parameters, as a JSON array.
    params: String,
    /// In a style of progress: the peer's token for the reports, if it wants any.
    pub(super) token: Option<Token>,
    pub(super) target: StreamTarget,
}

/// Waits for capacity for an item of `size` bytes.
pub(super) async fn capacity_for(shared: &Shared, number: u64, size: usize) -> Result<(), Gone> {
    poll_fn(|cx| shared.poll_item_capacity(number, size, cx)).await
}

/// The target of a handler that makes a stream.
#[derive(Debug, Clone)]
pub(super) enum StreamTarget {
    /// A session, which takes the items for the request with this number.
    Session { shared: Arc<Shared>, number: RequestNumber },
    /// A message without a session: only the result can be sent, and is set here.
    Message { message: Arc<OneShot>, progress: ProgressResult },
}

impl Sink {
    /// Answers the request, and sends the items of the stream until it ends or the peer
    /// unsubscribes.
    ///
    /// `FALLIBLE` says whether the handler returned a `Result`; `ITEMS`, whether the items are
    /// results.
    pub async fn run<const FALLIBLE: bool, const ITEMS: bool, R>(self, returned: R)
    where
        R: Returns<FALLIBLE, Value: Stream<Item: Returns<ITEMS, Value: Serialize>>>,
    {
        match returned.into_result() {
            Ok(stream) => self.send_items(stream).await,
            Err(error) => self.refuse(&error.to_error_object()),
        }
    }

    async fn send_items<const ITEMS: bool, T>(self, stream: impl Stream<Item = T>)
    where
        T: Returns<ITEMS, Value: Serialize>,
    {
        let StreamTarget::Session { shared, number } = &self.target else {
            return self.refuse(&ErrorObject::internal());
        };
        let mut stream = pin!(stream);
        let number = number.get();
        let (key, result) = match self.info.style() {
            SubscriptionStyle::PubSub => {
                let id = random_id();
                (SubscriptionKey::of_id(&id), id.into_bytes())
            }
            SubscriptionStyle::Electrum => {
                // The reply is the current value, which is the first item of the stream.
                let mut value = Vec::new();
                match stream.next().await.map(|item| self.write(item, &mut value)) {
                    Some(Ok(())) => {}
                    Some(Err(error)) => return self.refuse(&error),
                    None => {
                        let error = ErrorObject::new(ErrorCode::INTERNAL_ERROR, "there is no current value");
                        return self.refuse(&error);
                    }
                }
                (SubscriptionKey::of_params(self.method, &self.params), value)
            }
            SubscriptionStyle::Progress | SubscriptionStyle::McpProgress => {
                tracing::error!(
                    rpc.system.name = "jsonrpc",
                    rpc.method = self.method,
                    "the stream of a method in a style of progress is no stream of `Progress`"
                );
                return self.refuse(&ErrorObject::internal());
            }
        };
        let version = shared.version();
        let writer = ItemWriter::new(self.info, key, &self.params, version);
        if !shared.accept_subscription(number, self.info, writer.clone(), &result) {
            return;
        }
        let mut has_capacity = true;
        let mut body = Vec::new();
        let mut since_yield = 0;
        let end = loop {
            if !has_capacity && capacity_for(shared, number, 1).await.is_err() {
                return;
            }
            let item = poll_fn(|cx| {
                let (item, lost) = count_lost(|| stream.as_mut().poll_next(cx));
                if lost > 0 && shared.lose_items(number, lost).is_err() {
                    return Poll::Ready(Err(Gone));
                }
                item.map(Ok)
            });
            let item = match item.await {
                Ok(Some(item)) => item,
                Ok(None) => break None,
                Err(Gone) => return,
            };
            body.clear();
            body.shrink_to(YIELD_AFTER);
            if let Err(error) = writer.item(&mut body, |out| self.write(item, out)) {
                break Some(error);
            }
            has_capacity = loop {
                match shared.push_item(number, &body) {
                    Ok(Pushed::More) => break true,
                    Ok(Pushed::Full) => break false,
                    Ok(Pushed::Waits) if capacity_for(shared, number, body.len()).await.is_ok() => {}
                    Ok(Pushed::Waits) | Err(Gone) => return,
                }
            };
            since_yield += body.len();
            if since_yield >= YIELD_AFTER {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
        };
        end_subscriber(shared, self.method, number, end.as_ref());
    }

    /// Answers the request with `error`: there is no subscription.
    fn refuse(&self, error: &ErrorObject) {
        match &self.target {
            StreamTarget::Session { shared, number } => {
                shared.refuse_subscription(number.get(), error, Ending::Error(error.code()));
            }
            StreamTarget::Message { progress, .. } => progress.finish(Err(error.clone())),
        }
    }

    /// The limit on the size of an item or a result, in bytes.
    fn reply_size(&self) -> usize {
        match &self.target {
            StreamTarget::Session { shared, .. } => shared.limits.reply_size(),
            StreamTarget::Message { message, .. } => message.reply_size(),
        }
    }

    /// Appends the JSON of an item. Fails if the item is an error, or cannot be sent.
    pub(super) fn write<const ITEMS: bool, T>(&self, item: T, out: &mut Vec<u8>) -> Result<(), ErrorObject>
    where
        T: Returns<ITEMS, Value: Serialize>,
    {
        let value = item.into_result().map_err(|error| error.to_error_object())?;
        let start = out.len();
        if let Err(error) = one_line::write(out, &value) {
            // The reason is for the log of the service, not for the peer.
            tracing::error!(rpc.system.name = "jsonrpc", rpc.method = self.method, error = %brief(&error), "an item cannot be written as JSON");
            return Err(ErrorObject::internal());
        }
        let (size, limit) = (out.len() - start, self.reply_size());
        match size > limit {
            true => Err(ErrorObject::new(
                ErrorCode::INTERNAL_ERROR,
                format!("an item is too large: it has {size} bytes, and the limit is {limit}"),
            )),
            false => Ok(()),
        }
    }
}

/// An id that cannot be guessed, as JSON: 128 random bits, in the form that Ethereum nodes use.
fn random_id() -> String {
    let bits = getrandom::u64().and_then(|high| Ok((u128::from(high) << 64) | u128::from(getrandom::u64()?)));
    match bits {
        Ok(bits) => format!("\"0x{bits:032x}\""),
        Err(error) => panic!("the system gives no random numbers: {error}"),
    }
}
