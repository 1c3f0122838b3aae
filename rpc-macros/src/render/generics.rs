//! The type parameters of what is generated: those of the trait, and one of its own behind them.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{GenericParam, Generics, Ident, TypeParam, TypeParamBound, parse_quote};

use crate::model::{Kind, Method, Service};
use crate::types;

/// `generics` and `own`.
pub(super) fn with(generics: &Generics, own: TypeParam) -> Generics {
    let mut generics = generics.clone();
    generics.params.push(GenericParam::Type(own));
    generics
}

/// `generics` without defaults, which only the last parameters may have, and `own`.
pub(crate) fn with_last(generics: &Generics, own: TypeParam) -> Generics {
    let mut generics = generics.clone();
    for param in generics.type_params_mut() {
        param.default = None;
    }
    with(&generics, own)
}

/// The type of a field for those parameters that no other field mentions; none where there are none.
pub(super) fn phantom(generics: &Generics) -> Option<TokenStream> {
    let lifetimes = generics.lifetimes().map(|param| &param.lifetime);
    let types: Vec<_> = generics.type_params().map(|param| &param.ident).collect();
    let lifetimes: Vec<_> = lifetimes.collect();
    // Functions: whatever the types are, what does not hold them can be sent and shared.
    (lifetimes.len() + types.len() > 0)
        .then(|| quote!(::core::marker::PhantomData<(#(&#lifetimes (),)* #(fn() -> #types,)*)>))
}

/// What types that travel have to be able to.
pub(super) struct Travelling {
    pub(super) everywhere: Vec<TypeParamBound>,
    pub(super) in_params: TypeParamBound,
    pub(super) in_replies: TypeParamBound,
}

impl Travelling {
    /// The bounds of a client's methods.
    pub(super) fn in_client(service: &Service) -> Self {
        let runtime = &service.runtime;
        Self {
            everywhere: Vec::new(),
            in_params: parse_quote!(#runtime::private::Serialize),
            in_replies: parse_quote!(#runtime::private::DeserializeOwned),
        }
    }

    /// The bounds of a server, whose handlers run on any thread and for as long as they want.
    pub(super) fn in_server(service: &Service) -> Self {
        let runtime = &service.runtime;
        Self {
            everywhere: vec![
                parse_quote!(::core::marker::Send),
                parse_quote!(::core::marker::Sync),
                parse_quote!('static),
            ],
            in_params: parse_quote!(#runtime::private::DeserializeOwned),
            in_replies: parse_quote!(#runtime::private::Serialize),
        }
    }

    /// Adds the bounds to the trait's own parameters among `generics`, as far as the methods use them.
    pub(super) fn bound(&self, generics: &mut Generics, service: &Service) {
        for param in service.generics.type_params() {
            let name = &param.ident;
            let mut bounds = self.everywhere.clone();
            bounds.extend(mentions(service, name, in_params).then(|| self.in_params.clone()));
            bounds.extend(mentions(service, name, in_replies).then(|| self.in_replies.clone()));
            if !bounds.is_empty() {
                generics.make_where_clause().predicates.push(parse_quote!(#name: #(#bounds)+*));
            }
        }
    }
}

fn mentions(service: &Service, param: &Ident, types: fn(&Method) -> TokenStream) -> bool {
    service.methods.iter().any(|method| types::mentions(&types(method), &[param]))
}

fn in_params(method: &Method) -> TokenStream {
    method.wire_params().map(|(_, wire)| wire.ty.to_token_stream()).collect()
}

fn in_replies(method: &Method) -> TokenStream {
    match &method.kind {
        Kind::Request(reply) => reply.ty.to_token_stream(),
        Kind::Subscription(of) => of.reply.ty.to_token_stream(),
        Kind::Notification => TokenStream::new(),
    }
}
