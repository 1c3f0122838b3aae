//! One subscriber of this side: its request, the key of its items, and the way to end it.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use serde_json::value::RawValue;

use super::ItemChannel;
use crate::jsonrpc::{
    CallId, Cancellation, EmptyParams, Reply, SubscriptionStyle,
    subscription::{SubscriptionKey, Token},
};

/// The request of a subscription.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewSubscription<'a> {
    pub(crate) style: SubscriptionStyle,
    pub(crate) method: &'a str,
    /// The JSON of the parameters, if there are any.
    pub(crate) params: Option<&'a str>,
    /// The parameters by position, if they are sent by name and the key is made of them.
    pub(crate) positional: Option<&'a str>,
    pub(crate) empty_params: Option<EmptyParams>,
    /// The token of the call, in the styles of progress.
    pub(crate) token: Option<&'a Token>,
    /// The method of its items, if it is known.
    pub(crate) item: Option<&'a str>,
    pub(crate) unsubscribe: Option<&'a str>,
}

/// The way to end a subscription at the peer.
#[derive(Debug, Clone)]
pub(crate) enum Unsubscribe {
    /// By a call.
    Call { method: Box<str>, params: Option<Box<str>>, empty_params: Option<EmptyParams> },
    /// By cancelling the call whose reply would end it.
    Cancel { call: CallId, cancellation: Cancellation },
}

/// One subscriber of this side, from its request until it is dropped.
#[derive(Debug)]
pub(crate) struct PendingSubscription {
    pub(crate) channel: Arc<ItemChannel>,
    pub(crate) style: SubscriptionStyle,
    pub(crate) method: Box<str>,
    /// The JSON of the parameters, if there are any.
    params: Option<Box<str>>,
    /// The `params` to send without parameters, if the call has chosen them.
    empty_params: Option<EmptyParams>,
    /// The key of the subscription, if it does not depend on the reply.
    pub(super) key: Option<SubscriptionKey>,
    /// The id of the call, once it is sent.
    call: OnceLock<CallId>,
    /// The method of its items, if it is known.
    pub(super) item: Option<Box<str>>,
    pub(crate) unsubscribe: Option<Box<str>>,
    is_abandoned: AtomicBool,
}

impl PendingSubscription {
    pub(crate) fn new(new: NewSubscription<'_>, channel: Arc<ItemChannel>) -> Self {
        let NewSubscription { style, method, params, positional, empty_params, token, item, unsubscribe } =
            new;
        Self {
            channel,
            style,
            method: method.into(),
            params: params.map(Into::into),
            empty_params,
            key: match style {
                SubscriptionStyle::PubSub => None,
                SubscriptionStyle::Progress | SubscriptionStyle::McpProgress => token.map(Token::key),
                SubscriptionStyle::Electrum => {
                    // No parameters, an empty list and an object without members are the same.
                    let params = positional.or(params).filter(|params| *params != "{}");
                    Some(SubscriptionKey::of_params(method, params.unwrap_or("[]")))
                }
            },
            unsubscribe: unsubscribe.map(Into::into),
            call: OnceLock::new(),
            item: item.map(Into::into),
            is_abandoned: AtomicBool::new(false),
        }
    }

    /// Whether its items may have this method. If their method is not known, any may be.
    pub(super) fn has_items_called(&self, method: &str) -> bool {
        self.item.as_deref().is_none_or(|item| item == method)
    }

    /// Whether both are the same subscriber.
    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }

    /// The key of the call's token, if its items are progress reports.
    pub(crate) fn work(&self) -> Option<&SubscriptionKey> {
        self.key.as_ref().filter(|_| self.style.is_progress())
    }

    pub(crate) fn sent(&self, call: CallId) {
        // It is set once: the call is sent once.
        let _ = self.call.set(call);
    }

    /// The subscriber was dropped: the subscription ends as soon as the reply gives its key. Called
    /// under the lock of the session.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed)
    }

    /// The key of the subscription, and the result; `None` if the reply is an error.
    pub(crate) fn key(&self, reply: &Reply) -> Option<(SubscriptionKey, Box<RawValue>)> {
        let result = reply.clone().decode::<Box<RawValue>>().ok()?;
        let key = self.key.clone().unwrap_or_else(|| SubscriptionKey::of_id(result.get()));
        Some((key, result))
    }

    /// The way to end the subscription at the peer.
    pub(crate) fn unsubscribe(&self, key: &SubscriptionKey) -> Option<Unsubscribe> {
        if let Some(cancellation) = self.style.cancellation() {
            let call = *self.call.get()?;
            return Some(Unsubscribe::Cancel { call, cancellation });
        }
        let method = self.unsubscribe.clone()?;
        let params = match self.style {
            SubscriptionStyle::Electrum => self.params.clone(),
            _ => Some(format!("[{}]", key.as_json()).into()),
        };
        Some(Unsubscribe::Call { method, params, empty_params: self.empty_params })
    }
}
