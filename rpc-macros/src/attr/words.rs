//! What the words of each place of a service mean, as one struct a place.
//!
//! A place lets no other words through than its own, so that the last arm of each `match` is the last of its words. A flag
//! is kept as the token that it was given by, for what is to be said of it later.

use std::time::Duration;

use proc_macro2::TokenStream;
use syn::{Attribute, Ident, LitStr, Path};

use super::word::{self, Word};
use super::{Case, Place, runtime};
use crate::errors::Errors;
use crate::model::{EmptyParams, Halves, Order, Overflow, Sent, Style, Unknown};

/// `#[rpc_service(namespace = "..", separator = "..", rename_all = "..", params = "..", empty_params = "..", allow_unknown(".."),
/// client, server, auto_impl, crate = ..)]`
#[derive(Default)]
pub(crate) struct ServiceWords {
    pub(crate) namespace: Option<LitStr>,
    pub(crate) separator: Option<LitStr>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) params: Option<Sent>,
    pub(crate) empty_params: Option<EmptyParams>,
    pub(crate) allow_unknown: Option<Unknown>,
    pub(crate) notices: Option<Ident>,
    client: Option<Ident>,
    server: Option<Ident>,
    pub(crate) auto_impl: Option<Ident>,
    runtime: Option<Path>,
}

impl ServiceWords {
    pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut words = Self::default();
        for word in word::of_arguments(tokens, Place::Service, errors) {
            match word.name.to_string().as_str() {
                "namespace" => words.namespace = word.string(errors),
                "separator" => words.separator = word.string(errors),
                "rename_all" => words.rename_all = case(&word, errors),
                "params" => words.params = sent(&word, errors),
                "empty_params" => words.empty_params = empty_params(&word, errors),
                "allow_unknown" => words.allow_unknown = unknown(&word, errors),
                "notices" => words.notices = word.flag(errors),
                "client" => words.client = word.flag(errors),
                "server" => words.server = word.flag(errors),
                "auto_impl" => words.auto_impl = word.flag(errors),
                _ => words.runtime = word.path(errors),
            }
        }
        words
    }

    /// What every name of the service begins with.
    pub(crate) fn prefix(&self) -> String {
        let Some(namespace) = &self.namespace else { return String::new() };
        let separator = self.separator.as_ref().map_or_else(|| "_".to_owned(), LitStr::value);
        namespace.value() + &separator
    }

    /// What is generated: what is asked for, and both where nothing is said.
    pub(crate) fn halves(&self) -> Halves {
        let neither = self.client.is_none() && self.server.is_none();
        Halves { client: neither || self.client.is_some(), server: neither || self.server.is_some() }
    }

    /// The crate that the expansion names.
    pub(crate) fn runtime(&self) -> Path {
        runtime(self.runtime.as_ref())
    }
}

/// `#[rpc(name = "..", alias = "..", notification, params = "..", empty_params = "..", allow_unknown(".."), timeout = "..",
/// idempotent, blocking, ordered, exclusive)]` on a method, and those of subscriptions.
#[derive(Default)]
pub(crate) struct MethodWords {
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) notification: Option<Ident>,
    pub(crate) params: Option<(Ident, Sent)>,
    pub(crate) empty_params: Option<(Ident, EmptyParams)>,
    pub(crate) allow_unknown: Option<(Ident, Unknown)>,
    pub(crate) timeout: Option<(Ident, Duration)>,
    pub(crate) idempotent: Option<Ident>,
    pub(crate) blocking: Option<Ident>,
    pub(crate) order: Option<(Ident, Order)>,
    pub(crate) subscription: SubscriptionWords,
}

/// `#[rpc(subscription, style = "..", item = "..", unsubscribe = "..", token = "..", overflow = "..", notices)]` on a method.
#[derive(Default)]
pub(crate) struct SubscriptionWords {
    pub(crate) subscription: Option<Ident>,
    pub(crate) style: Option<(Ident, Style)>,
    pub(crate) item: Option<(Ident, LitStr)>,
    pub(crate) unsubscribe: Option<(Ident, LitStr)>,
    pub(crate) token: Option<(Ident, LitStr)>,
    pub(crate) overflow: Option<(Ident, Overflow)>,
    pub(crate) notices: Option<Ident>,
}

impl SubscriptionWords {
    /// A word that says something of a subscription.
    pub(crate) fn any_detail(&self) -> Option<&Ident> {
        let Self { style, item, unsubscribe, token, overflow, notices, .. } = self;
        let style = style.as_ref().map(|(word, _)| word);
        let names = [item, unsubscribe, token].into_iter().flatten().map(|(word, _)| word).next();
        style.or(names).or(overflow.as_ref().map(|(word, _)| word)).or(notices.as_ref())
    }
}

impl MethodWords {
    pub(crate) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut words = Self::default();
        for word in word::of_helpers(attrs, Place::Method, errors) {
            let name = || word.name.clone();
            match word.name.to_string().as_str() {
                "name" => words.name = word.string(errors),
                "alias" => words.aliases.extend(word.string(errors)),
                "notification" => words.notification = word.flag(errors),
                "params" => words.params = sent(&word, errors).map(|sent| (name(), sent)),
                "empty_params" => {
                    words.empty_params = empty_params(&word, errors).map(|empty| (name(), empty));
                }
                "allow_unknown" => {
                    words.allow_unknown = unknown(&word, errors).map(|unknown| (name(), unknown));
                }
                "timeout" => words.timeout = word.duration(errors).map(|after| (name(), after)),
                "idempotent" => words.idempotent = word.flag(errors),
                "blocking" => words.blocking = word.flag(errors),
                "ordered" => words.order(word.flag(errors), Order::Ordered, errors),
                "exclusive" => words.order(word.flag(errors), Order::Exclusive, errors),
                _ => words.subscription.take(&word, errors),
            }
        }
        words
    }

    fn order(&mut self, word: Option<Ident>, order: Order, errors: &mut Errors) {
        match (&self.order, word) {
            (Some((earlier, _)), Some(word)) => {
                errors.at(
                    &word,
                    format!("it is `{earlier}` already, which is another order; leave one of the two away"),
                );
            }
            (None, Some(word)) => self.order = Some((word, order)),
            (_, None) => {}
        }
    }
}

impl SubscriptionWords {
    fn take(&mut self, word: &Word, errors: &mut Errors) {
        let name = || word.name.clone();
        match word.name.to_string().as_str() {
            "subscription" => self.subscription = word.flag(errors),
            "style" => self.style = style(word, errors).map(|style| (name(), style)),
            "item" => self.item = word.string(errors).map(|item| (name(), item)),
            "unsubscribe" => self.unsubscribe = word.string(errors).map(|method| (name(), method)),
            "token" => self.token = word.string(errors).map(|token| (name(), token)),
            "notices" => self.notices = word.flag(errors),
            _ => self.overflow = overflow(word, errors).map(|overflow| (name(), overflow)),
        }
    }
}

/// `#[rpc(context, name = "..", default, rest, whole, secret)]` on a parameter.
#[derive(Default)]
pub(crate) struct ParamWords {
    pub(crate) context: Option<Ident>,
    pub(crate) name: Option<LitStr>,
    pub(crate) default: Option<Ident>,
    pub(crate) rest: Option<Ident>,
    pub(crate) whole: Option<Ident>,
    pub(crate) secret: Option<Ident>,
}

impl ParamWords {
    pub(crate) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut words = Self::default();
        for word in word::of_helpers(attrs, Place::Param, errors) {
            match word.name.to_string().as_str() {
                "context" => words.context = word.flag(errors),
                "name" => words.name = word.string(errors),
                "default" => words.default = word.flag(errors),
                "rest" => words.rest = word.flag(errors),
                "whole" => words.whole = word.flag(errors),
                _ => words.secret = word.flag(errors),
            }
        }
        words
    }
}

fn sent(word: &Word, errors: &mut Errors) -> Option<Sent> {
    let how = word.string(errors)?;
    match how.value().as_str() {
        "by_position" => Some(Sent::ByPosition),
        "by_name" => Some(Sent::ByName),
        _ => {
            errors.at(how, r#"`params` is "by_position" or "by_name""#);
            None
        }
    }
}

fn empty_params(word: &Word, errors: &mut Errors) -> Option<EmptyParams> {
    let empty = word.string(errors)?;
    match empty.value().as_str() {
        "absent" => Some(EmptyParams::Absent),
        "array" => Some(EmptyParams::Array),
        "object" => Some(EmptyParams::Object),
        _ => {
            errors.at(empty, r#"`empty_params` is "absent", "array" or "object""#);
            None
        }
    }
}

/// All members that a method does not name, or those of a list.
fn unknown(word: &Word, errors: &mut Errors) -> Option<Unknown> {
    match word.strings(errors)? {
        None => Some(Unknown::Any),
        Some(names) => Some(Unknown::Named(names)),
    }
}

fn style(word: &Word, errors: &mut Errors) -> Option<Style> {
    let style = word.string(errors)?;
    match style.value().as_str() {
        "pubsub" => Some(Style::PubSub),
        "electrum" => Some(Style::Electrum),
        "progress" => Some(Style::Progress),
        "mcp_progress" => Some(Style::McpProgress),
        _ => {
            errors.at(style, r#"`style` is "pubsub", "electrum", "progress" or "mcp_progress""#);
            None
        }
    }
}

fn overflow(word: &Word, errors: &mut Errors) -> Option<Overflow> {
    let overflow = word.string(errors)?;
    match overflow.value().as_str() {
        "wait" => Some(Overflow::Wait),
        "drop_oldest" => Some(Overflow::DropOldest),
        "end" => Some(Overflow::End),
        _ => {
            errors.at(overflow, r#"`overflow` is "wait", "drop_oldest" or "end""#);
            None
        }
    }
}

fn case(word: &Word, errors: &mut Errors) -> Option<Case> {
    let spelling = word.string(errors)?;
    let case = Case::of(&spelling.value());
    if case.is_none() {
        errors.at(spelling, format!("`rename_all` is one of {}", Case::listed()));
    }
    case
}
