//! The client: one lazy, typed call a method.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Path, Type};

use super::at;
use super::table::{self, Place};
use crate::model::{Kind, Method, Names, Passing, Reply, Service};
use crate::types::with_lifetime;

/// The lifetime of a call: what is lent to it, and the client.
const CALL: &str = "'call";

pub(super) fn client(service: &Service) -> TokenStream {
    let Service { runtime, names, vis, .. } = service;
    let Names { client, caller, .. } = names;
    let declaration = declaration(runtime, names, vis);
    let table = table::table(service);
    let table_docs = format!("The methods of [`{}`], in the order of the trait.", names.service);
    let methods = service
        .methods
        .iter()
        .zip(Place::all(&service.methods))
        .map(|(method, place)| call(service, method, &place));
    quote! {
        #declaration

        #[allow(dead_code)]
        impl<#caller> #client<#caller> {
            #[doc = #table_docs]
            #vis const METHODS: &'static [#runtime::MethodInfo] = #table;
        }

        // What the lints below object to was written in the trait, and is reported there.
        #[allow(dead_code, deprecated, missing_docs, non_snake_case, clippy::all, clippy::pedantic)]
        impl<#caller: #runtime::Caller> #client<#caller> {
            #(#methods)*
        }
    }
}

/// The type and what makes one.
pub(crate) fn declaration(runtime: &Path, names: &Names, vis: &syn::Visibility) -> TokenStream {
    let Names { service, client, caller, .. } = names;
    let docs = format!(
        "Calls a [`{service}`] through anything that can be called: a session, unless said otherwise.\n\n\
         Made by `{client}::from(session)`, or by `session.into()` where a method is called `from`. Each method gives a \
         call that is sent when it is awaited."
    );
    quote! {
        #[doc = #docs]
        #[allow(dead_code, non_camel_case_types)]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #client<#caller = #runtime::Session> {
            caller: #caller,
        }

        #[automatically_derived]
        impl<#caller> ::core::convert::From<#caller> for #client<#caller> {
            fn from(caller: #caller) -> Self {
                Self { caller }
            }
        }
    }
}

/// The last argument of a `Call`'s type, with the comma before it: whether what it returns is a `Result`.
pub(crate) fn fallible(runtime: &Path, reply: &Reply) -> Option<TokenStream> {
    let fallible = super::fallible(runtime, reply)?;
    let plain_in_scope = super::plain_in_scope(runtime);
    Some(quote!(, { #plain_in_scope #fallible }))
}

fn call(service: &Service, method: &Method, place: &Place) -> TokenStream {
    let Service { runtime, vis, names: Names { caller, .. }, .. } = service;
    let Method { ident, attrs, .. } = method;
    let lifetime = syn::Lifetime::new(CALL, proc_macro2::Span::call_site());
    let index = place.index();

    let (idents, types): (Vec<_>, Vec<_>) =
        method.wire_params().map(|(ident, _, passing)| (ident, sent(passing, &lifetime))).unzip();
    let (made, returned) = match &method.kind {
        Kind::Request(reply) => {
            let ty = &reply.ty;
            let fallible = fallible(runtime, reply);
            (format_ident!("Call"), quote!(#ty #fallible))
        }
        Kind::Notification => (format_ident!("Notify"), TokenStream::new()),
    };
    quote_spanned! {at(ident.span())=>
        #(#attrs)*
        #vis fn #ident<#lifetime>(
            &#lifetime self,
            #(#idents: #types),*
        ) -> #runtime::#made<#lifetime, #caller, (#(#types,)*), #returned> {
            #runtime::#made::to(&self.caller, &Self::METHODS[#index], (#(#idents,)*))
        }
    }
}

/// The type of a parameter in a call.
fn sent(passing: &Passing, lifetime: &syn::Lifetime) -> TokenStream {
    let open = |ty: &Type| with_lifetime(ty, CALL);
    match passing {
        Passing::Owned(ty) => {
            let ty = open(ty);
            quote!(#ty)
        }
        Passing::Lent(ty) => {
            let ty = open(ty);
            quote!(&#lifetime #ty)
        }
    }
}
