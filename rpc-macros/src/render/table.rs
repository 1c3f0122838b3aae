//! The table that describes the methods, and the places of the methods in it.

use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;

use super::at;
use crate::model::{
    EmptyParams, Extent, Kind, Method, Names, Order, Overflow, Sent, Service, Style, Subscription, Unknown,
    WireParam,
};

/// What the table says of itself.
pub(super) fn docs(names: &Names) -> String {
    format!("The methods of [`{}`], in the order of the trait.", names.service)
}

/// `&[MethodInfo::request("..").., ..]`
pub(super) fn table(service: &Service) -> TokenStream {
    let entries = service.methods.iter().map(|method| entry(&service.runtime, method));
    quote!(&[#(#entries),*])
}

fn entry(runtime: &Path, method: &Method) -> TokenStream {
    let Method { wire, conditions, aliases, .. } = method;
    let kind = match method.kind {
        Kind::Request(_) | Kind::Subscription(_) => quote!(request),
        Kind::Notification => quote!(notification),
    };
    let aliases = (!aliases.is_empty()).then(|| quote!(.with_aliases(&[#(#aliases),*])));
    let params: Vec<_> = method.wire_params().map(|(_, wire)| param(runtime, wire)).collect();
    let params = (!params.is_empty()).then(|| quote!(.with_params(&[#(#params),*])));
    let by_name = (method.sent == Sent::ByName).then(|| quote!(.by_name()));
    let empty_params = method.empty_params.filter(|_| method.may_send_none()).map(|empty| {
        let empty = match empty {
            EmptyParams::Absent => quote!(Absent),
            EmptyParams::Array => quote!(Array),
            EmptyParams::Object => quote!(Object),
        };
        quote!(.with_empty_params(#runtime::EmptyParams::#empty))
    });
    let unknown = method.unknown.as_ref().map(|unknown| {
        let unknown = match unknown {
            Unknown::Any => quote!(Allow),
            Unknown::Named(names) => quote!(AllowNamed(&[#(#names),*])),
        };
        quote!(.with_unknown_params(#runtime::UnknownParams::#unknown))
    });
    let timeout = method.timeout.map(|after| {
        let millis = u64::try_from(after.as_millis()).expect("it was written in 64 bits of milliseconds");
        quote!(.with_timeout(::core::time::Duration::from_millis(#millis)))
    });
    let idempotent = method.idempotent.then(|| quote!(.idempotent()));
    let order = match method.order {
        Order::Concurrent => None,
        Order::Ordered => Some(quote!(.with_order(#runtime::Order::Ordered))),
        Order::Exclusive => Some(quote!(.with_order(#runtime::Order::Exclusive))),
    };
    let subscription = match &method.kind {
        Kind::Subscription(of) => Some(subscription(runtime, of)),
        Kind::Request(_) | Kind::Notification => None,
    };
    let docs = method.docs.as_ref().map(|docs| quote!(.with_docs(#docs)));
    quote! {
        #(#[cfg(#conditions)])*
        #runtime::MethodInfo::#kind(#wire) #aliases #params #by_name #empty_params #unknown #timeout #idempotent #order #subscription #docs
    }
}

fn subscription(runtime: &Path, of: &Subscription) -> TokenStream {
    let Subscription { style, item, unsubscribe, token, overflow, notices, .. } = of;
    let style = match style {
        Style::PubSub => quote!(PubSub),
        Style::Electrum => quote!(Electrum),
        Style::Progress => quote!(Progress),
        Style::McpProgress => quote!(McpProgress),
    };
    let overflow = match overflow {
        Overflow::Wait => None,
        Overflow::DropOldest => Some(quote!(.with_overflow(#runtime::Overflow::DropOldest))),
        Overflow::End => Some(quote!(.with_overflow(#runtime::Overflow::End))),
    };
    let unsubscribe = unsubscribe.as_ref().map(|name| quote!(.with_unsubscribe(#name)));
    let token = token.as_ref().map(|path| quote!(.with_token(#path)));
    let notices = notices.then(|| quote!(.with_notices()));
    quote! {
        .with_subscription(
            #runtime::SubscriptionInfo::new(#runtime::SubscriptionStyle::#style, #item)
                #unsubscribe #token #overflow #notices
        )
    }
}

fn param(runtime: &Path, wire: &WireParam) -> TokenStream {
    let WireParam { name, extent, default, optional, secret, docs, .. } = wire;
    let extent = match extent {
        Extent::Single => None,
        Extent::Rest => Some(quote!(.rest())),
        Extent::Whole => Some(quote!(.whole())),
    };
    let default = default.then(|| quote!(.with_default()));
    let optional = optional.then(|| quote!(.optional()));
    let secret = secret.then(|| quote!(.secret()));
    let docs = docs.as_ref().map(|docs| quote!(.with_docs(#docs)));
    quote_spanned!(at(name.span())=> #runtime::ParamInfo::new(#name) #extent #default #optional #secret #docs)
}

/// Where a method stands in the table.
///
/// Which methods exist is decided by the compiler after us, and one that does not exist has no entry. So behind a
/// method under a condition the place is a sum, in which `cfg!` is one or zero.
pub(super) struct Place {
    before: usize,
    conditions: Vec<TokenStream>,
}

impl Place {
    /// The place of each method, in their order.
    pub(super) fn all(methods: &[Method]) -> impl Iterator<Item = Self> {
        methods.iter().enumerate().map(|(index, _)| {
            let (always, sometimes): (Vec<_>, Vec<_>) =
                methods[..index].iter().partition(|method| method.conditions.is_empty());
            let condition = |method: &Method| {
                let conditions = &method.conditions;
                match &conditions[..] {
                    [condition] => condition.clone(),
                    _ => quote!(all(#(#conditions),*)),
                }
            };
            Self { before: always.len(), conditions: sometimes.into_iter().map(condition).collect() }
        })
    }

    /// The place as an expression.
    pub(super) fn index(&self) -> TokenStream {
        let Self { conditions, .. } = self;
        let before = Literal::usize_unsuffixed(self.before);
        quote!(#before #(+ ::core::cfg!(#conditions) as usize)*)
    }

    /// The place as the pattern of a match arm.
    pub(super) fn pattern(&self) -> TokenStream {
        let index = self.index();
        if self.conditions.is_empty() { index } else { quote!(method if method == #index) }
    }
}
