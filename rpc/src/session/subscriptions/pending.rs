//! A subscription of this side: how it was asked for, and how it is ended.

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

/// How a subscription is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewSubscription<'a> {
    pub(crate) style: SubscriptionStyle,
    pub(crate) method: &'a str,
    /// The JSON of the parameters, if there are any.
    pub(crate) params: Option<&'a str>,
    /// The same by position, if they are sent by name and the key is made of them.
    pub(crate) positional: Option<&'a str>,
    pub(crate) empty_params: Option<EmptyParams>,
    /// The token that the call carries, if its style is one of progress.
    pub(crate) token: Option<&'a Token>,
    /// The method of its items, if known.
    pub(crate) item: Option<&'a str>,
    pub(crate) unsubscribe: Option<&'a str>,
}

/// How the peer is told to stop.
#[derive(Debug, Clone)]
pub(crate) enum Unsubscribe {
    /// By a call.
    Call { method: Box<str>, params: Option<Box<str>>, empty_params: Option<EmptyParams> },
    /// By cancelling the call whose reply would end it.
    Cancel { call: CallId, cancellation: Cancellation },
}

/// One subscriber of this side, from its request on until it is gone.
#[derive(Debug)]
pub(crate) struct PendingSubscription {
    pub(crate) channel: Arc<ItemChannel>,
    pub(crate) style: SubscriptionStyle,
    pub(crate) method: Box<str>,
    /// The JSON of the parameters, if there are any.
    params: Option<Box<str>>,
    /// How to send no parameters, if the call says so.
    empty_params: Option<EmptyParams>,
    /// The key of the subscription, if it does not depend on the reply.
    pub(super) key: Option<SubscriptionKey>,
    /// The call, once it is sent.
    call: OnceLock<CallId>,
    /// The method of its items, if known.
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
                    // No parameters are the same as an empty list, and so is an object without
                    // members.
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

    /// Whether its items may have this method: any, if theirs is not known.
    pub(super) fn has_items_called(&self, method: &str) -> bool {
        self.item.as_deref().is_none_or(|item| item == method)
    }

    /// Whether both are the same subscriber.
    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }

    /// The key of the call's token, if its items are reports of progress.
    pub(crate) fn work(&self) -> Option<&SubscriptionKey> {
        self.key.as_ref().filter(|_| self.style.is_progress())
    }

    pub(crate) fn sent(&self, call: CallId) {
        // It is sent once.
        let _ = self.call.set(call);
    }

    /// The subscriber is gone: the subscription is to end as soon as the reply gives its key.
    /// Called under the lock of the session.
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

    /// How the peer is told to stop.
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
