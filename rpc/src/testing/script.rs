//! A caller that plays a service from a script.

use std::{
    collections::VecDeque,
    fmt,
    future::{Ready, ready},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt, future::BoxFuture, stream};
use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::pair_with;
use crate::{
    jsonrpc::{ErrorObject, MethodInfo, Overflow, Reply, RpcError, SubscriptionInfo, SubscriptionStyle},
    limits::Limits,
    service::{Args, Handled, Request, Service, Sink, no_such_method, subscribe},
    session::{
        BatchError, BatchItem, CallError, Caller, Items, Outgoing, OutgoingBatch, OutgoingSubscription,
        RawSubscription, Subscribe, Subscriber,
    },
};

/// Answers calls from a script, without a server: for tests of code that calls a service. Clones
/// share one script.
///
/// Calls must come in the order of the script, with the expected parameters; any other call panics,
/// and the message says what was expected.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{CallError, Caller, RpcError, rpc_service, testing::Script};
///
/// #[rpc_service]
/// trait Bank {
///     async fn balance(&self, account: &str) -> u64;
///     async fn withdraw(&self, account: &str, amount: u64) -> Result<u64, BankError>;
/// }
///
/// #[derive(Debug, PartialEq, thiserror::Error, RpcError)]
/// enum BankError {
///     #[error("the account is closed")]
///     #[rpc(code = 1)]
///     Closed,
/// }
///
/// // The code under test works over any caller.
/// async fn empty<C: Caller>(bank: &BankClient<C>, account: &str) -> Result<u64, CallError<BankError>> {
///     let all = match bank.balance(account).await {
///         Ok(all) => all,
///         Err(_) => return Ok(0),
///     };
///     bank.withdraw(account, all).await
/// }
///
/// let script = Script::new()
///     .expect("balance", ("ann",)).returns(7)
///     .expect("withdraw", ("ann", 7)).returns(0)
///     .expect("balance", ("bob",)).returns(5)
///     .expect("withdraw", ("bob", 5)).fails(BankError::Closed);
/// let bank = BankClient::from(script.clone());
/// assert_eq!(empty(&bank, "ann").await?, 0);
/// assert!(matches!(empty(&bank, "bob").await, Err(CallError::Service(BankError::Closed))));
/// script.finish();
/// # Ok(()) }
/// ```
///
/// # Subscriptions
///
/// A call that subscribes is answered with a list of items, and with the end of the subscription
/// behind them. All items are there at once, and none is lost, whatever the subscriber's queue
/// holds. It needs a tokio runtime.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures::{Stream, StreamExt};
/// use rpc::{CallError, Subscriber, rpc_service, testing::Script};
///
/// #[rpc_service]
/// trait Ticker {
///     #[rpc(subscription, unsubscribe = "unfollow")]
///     async fn follow(&self, stock: &str) -> impl Stream<Item = u32>;
/// }
///
/// // The code under test works over any subscriber.
/// async fn highest<C: Subscriber>(ticker: &TickerClient<C>, stock: &str) -> Result<Option<u32>, CallError> {
///     let prices = ticker.follow(stock).await?;
///     Ok(prices.filter_map(async |price| price.ok()).fold(None, async |most, price| most.max(Some(price))).await)
/// }
///
/// let script = Script::new().expect("follow", ("ACME",)).streams([3, 9, 5]);
/// assert_eq!(highest(&TickerClient::from(script.clone()), "ACME").await?, Some(9));
/// script.finish();
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Script(Arc<Mutex<VecDeque<ScriptLine>>>);

#[derive(Debug)]
struct ScriptLine {
    method: String,
    /// `None` accepts any parameters.
    params: Option<Value>,
    answer: ScriptedAnswer,
}

#[derive(Debug)]
enum ScriptedAnswer {
    /// For a notification, which has no reply.
    None,
    To(Result<Reply, CallError>),
    /// For a call that subscribes.
    Stream(PlayedSubscription),
}

/// The kind of a message that the code under test sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SentKind {
    Call,
    Notification,
    Subscription,
}

impl ScriptedAnswer {
    /// Returns true if this can answer a message of `kind`. An error can answer a call and a
    /// subscription.
    fn fits(&self, kind: SentKind) -> bool {
        match self {
            Self::None => kind == SentKind::Notification,
            Self::Stream(_) => kind == SentKind::Subscription,
            Self::To(Ok(reply)) if !reply.is_error() => kind == SentKind::Call,
            Self::To(_) => kind != SentKind::Notification,
        }
    }
}

impl Script {
    /// An empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects a call of `method` with `params`: a value that serializes as an array or an object,
    /// as it would be sent, or `()` for none.
    ///
    /// # Panics
    ///
    /// If `params` cannot be written as JSON.
    pub fn expect(self, method: impl Into<String>, params: impl Serialize) -> Expected {
        Expected { script: self, method: method.into(), params: Some(json(&params)) }
    }

    /// Expects a call of `method` with any parameters.
    pub fn expect_any(self, method: impl Into<String>) -> Expected {
        Expected { script: self, method: method.into(), params: None }
    }

    /// Expects a notification of `method` with `params`.
    ///
    /// # Panics
    ///
    /// If `params` cannot be written as JSON.
    pub fn expect_notification(self, method: impl Into<String>, params: impl Serialize) -> Self {
        let line =
            ScriptLine { method: method.into(), params: Some(json(&params)), answer: ScriptedAnswer::None };
        self.lock().push_back(line);
        self
    }

    /// Checks that every expected call and notification has come.
    ///
    /// # Panics
    ///
    /// If one has not. The message says which are left.
    pub fn finish(&self) {
        let left: Vec<String> = self.lock().iter().map(ToString::to_string).collect();
        assert!(left.is_empty(), "the script expects more: {}", left.join(", "));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<ScriptLine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next line of the script, which must fit the message.
    fn play(&self, outgoing: &Outgoing<'_>, kind: SentKind) -> ScriptedAnswer {
        // Unlocked before anything can panic.
        let line = self.lock().pop_front();
        let came = || {
            let kind = match kind {
                SentKind::Call => "",
                SentKind::Notification => "the notification ",
                SentKind::Subscription => "the subscription ",
            };
            let params = outgoing.params().unwrap_or("without parameters");
            format!("{kind}{} {params}", outgoing.method())
        };
        match line {
            Some(line) if line.is_for(outgoing, kind) => line.answer,
            Some(line) => panic!("the script expects {line}, and {} came", came()),
            None => panic!("the script has ended, and {} came", came()),
        }
    }

    fn play_call(&self, call: &Outgoing<'_>) -> Result<Reply, CallError> {
        match self.play(call, SentKind::Call) {
            ScriptedAnswer::To(outcome) => outcome,
            ScriptedAnswer::None | ScriptedAnswer::Stream(_) => unreachable!("the line is for a call"),
        }
    }
}

impl ScriptLine {
    fn is_for(&self, outgoing: &Outgoing<'_>, kind: SentKind) -> bool {
        let params_fit = self.params.as_ref().is_none_or(|params| {
            serde_json::from_str::<Value>(outgoing.params().unwrap_or("null"))
                .is_ok_and(|came| came == *params)
        });
        self.method == outgoing.method() && params_fit && self.answer.fits(kind)
    }
}

impl fmt::Display for ScriptLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.answer {
            ScriptedAnswer::None => f.write_str("the notification ")?,
            ScriptedAnswer::Stream(_) => f.write_str("the subscription ")?,
            ScriptedAnswer::To(_) => {}
        }
        match &self.params {
            Some(Value::Null) => write!(f, "{} without parameters", self.method),
            Some(params) => write!(f, "{} {params}", self.method),
            None => write!(f, "{} with any parameters", self.method),
        }
    }
}

fn json(params: &impl Serialize) -> Value {
    match serde_json::to_value(params) {
        Ok(params) => params,
        Err(error) => panic!("the parameters that are expected cannot be written as JSON: {error}"),
    }
}

/// A call that a [`Script`] expects, before its outcome is set.
#[derive(Debug)]
#[must_use = "a call has to end somehow"]
pub struct Expected {
    script: Script,
    method: String,
    params: Option<Value>,
}

impl Expected {
    /// The call returns `value`.
    ///
    /// # Panics
    ///
    /// If `value` cannot be written as JSON.
    pub fn returns(self, value: impl Serialize) -> Script {
        match Reply::result(&value) {
            Ok(reply) => self.ends(Ok(reply)),
            Err(error) => panic!("what `{}` returns cannot be written as JSON: {error}", self.method),
        }
    }

    /// The call fails with an error that the method declares, or with any
    /// [`ErrorObject`](crate::ErrorObject).
    pub fn fails(self, error: impl RpcError) -> Script {
        self.ends(Ok(Reply::error(error.to_error_object())))
    }

    /// The call ends without a reply: with a timeout, or because the session has closed.
    pub fn ends_with(self, error: CallError) -> Script {
        self.ends(Err(error))
    }

    /// The call subscribes: `items` come, then the end of the subscription. For a method that
    /// reports its progress, they are [`Progress`](crate::Progress).
    ///
    /// # Panics
    ///
    /// If an item cannot be written as JSON.
    pub fn streams<T: Serialize>(self, items: impl IntoIterator<Item = T>) -> Script {
        self.plays(items, StreamEnd::Finished)
    }

    /// Like [`streams`](Self::streams), and behind the items the subscription fails with an error
    /// that the items declare, or with any [`ErrorObject`](crate::ErrorObject).
    ///
    /// # Panics
    ///
    /// If an item cannot be written as JSON.
    pub fn streams_and_fails<T: Serialize>(
        self,
        items: impl IntoIterator<Item = T>,
        error: impl RpcError,
    ) -> Script {
        self.plays(items, StreamEnd::Failed(error.to_error_object()))
    }

    /// Like [`streams`](Self::streams), and behind the items nothing comes: the subscription stays
    /// open.
    ///
    /// # Panics
    ///
    /// If an item cannot be written as JSON.
    pub fn streams_and_waits<T: Serialize>(self, items: impl IntoIterator<Item = T>) -> Script {
        self.plays(items, StreamEnd::Waits)
    }

    fn plays<T: Serialize>(self, items: impl IntoIterator<Item = T>, end: StreamEnd) -> Script {
        match PlayedSubscription::new(items, end) {
            Ok(played) => self.answers(ScriptedAnswer::Stream(played)),
            Err(error) => panic!("an item of `{}` cannot be written as JSON: {error}", self.method),
        }
    }

    fn ends(self, outcome: Result<Reply, CallError>) -> Script {
        self.answers(ScriptedAnswer::To(outcome))
    }

    fn answers(self, answer: ScriptedAnswer) -> Script {
        let Self { script, method, params } = self;
        script.lock().push_back(ScriptLine { method, params, answer });
        script
    }
}

impl Caller for Script {
    type Call<'a> = Ready<Result<Reply, CallError>>;
    type Notify<'a> = Ready<Result<(), CallError>>;
    type Batch<'a> = Ready<Result<Vec<Result<Reply, CallError>>, BatchError>>;

    fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a> {
        ready(self.play_call(&call))
    }

    fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a> {
        self.play(&notification, SentKind::Notification);
        ready(Ok(()))
    }

    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
        let mut replies = Vec::new();
        for item in batch.items() {
            match item {
                BatchItem::Call(call) => replies.push(self.play_call(call)),
                BatchItem::Notification(notification) => {
                    drop(self.play(notification, SentKind::Notification));
                }
            }
        }
        ready(Ok(replies))
    }
}

impl Subscriber for Script {
    fn subscribe<'a>(
        &self,
        subscription: OutgoingSubscription<'a>,
    ) -> BoxFuture<'a, Result<RawSubscription, CallError>> {
        match self.play(subscription.call(), SentKind::Subscription) {
            ScriptedAnswer::Stream(played) => Box::pin(played.begin()),
            ScriptedAnswer::To(Err(error)) => Box::pin(ready(Err(error))),
            ScriptedAnswer::To(Ok(reply)) => match reply.into_result() {
                Err(error) => Box::pin(ready(Err(CallError::of_reply(subscription.call().method(), error)))),
                Ok(_) => unreachable!("what returns a value is for a call"),
            },
            ScriptedAnswer::None => unreachable!("the line is for a subscription"),
        }
    }
}

/// The method on the session in memory. The subscriber does not see it.
const METHOD: &str = "play";

const STYLE: SubscriptionInfo =
    SubscriptionInfo::new(SubscriptionStyle::PubSub, "played").with_unsubscribe("stop");

/// The items and the end of one scripted subscription.
#[derive(Debug)]
struct PlayedSubscription {
    items: Vec<Box<RawValue>>,
    end: StreamEnd,
}

/// The end behind the items.
#[derive(Debug)]
enum StreamEnd {
    Finished,
    Failed(ErrorObject),
    /// Nothing: the subscription stays open.
    Waits,
}

impl PlayedSubscription {
    fn new<T: Serialize>(items: impl IntoIterator<Item = T>, end: StreamEnd) -> serde_json::Result<Self> {
        let written = items.into_iter().map(|item| to_raw_value(&item));
        Ok(Self { items: written.collect::<Result<_, _>>()?, end })
    }

    /// Subscribes over a session in memory whose peer sends the items, so that the subscriber has a
    /// real subscription. The style of the subscription on the wire makes no difference to the
    /// subscriber.
    async fn begin(self) -> Result<RawSubscription, CallError> {
        let (session, _peer) =
            pair_with((), Limits::unlimited(), PlayedService::new(self), Limits::unlimited());
        let subscribe = Subscribe::<_, Items<()>>::untyped(&session, METHOD, ()).described_by(STYLE);
        subscribe.overflow(Overflow::Wait).raw().await
    }
}

/// A service with one subscription, which it serves once.
struct PlayedService {
    methods: [MethodInfo; 1],
    played: Mutex<Option<PlayedSubscription>>,
}

impl PlayedService {
    fn new(played: PlayedSubscription) -> Self {
        let methods = [MethodInfo::request(METHOD).with_subscription(STYLE)];
        Self { methods, played: Mutex::new(Some(played)) }
    }
}

impl Service for PlayedService {
    fn methods(&self) -> &[MethodInfo] {
        &self.methods
    }

    fn call(&self, _: usize, request: Request<'_>) -> Handled {
        let played = self.played.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(PlayedSubscription { items, end }) = played else { return no_such_method(request) };
        let end = match end {
            StreamEnd::Finished => stream::empty().boxed(),
            StreamEnd::Failed(error) => stream::iter([Err(error)]).boxed(),
            StreamEnd::Waits => stream::pending().boxed(),
        };
        let items = stream::iter(items).map(Ok::<_, ErrorObject>).chain(end);
        subscribe(
            request,
            |args: Args<'_>| args.decode::<()>(),
            |(), sink: Sink| sink.run::<false, true, _>(items),
        )
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
