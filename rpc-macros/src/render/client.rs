//! The client: one typed call a method, which is sent when it is first polled.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Generics, Ident, Path, Type, TypeParam, Visibility, parse_quote, parse_quote_spanned};

use super::generics::{self, Travelling};
use super::table::{self, Place};
use super::{at, relocated, reply_span};
use crate::model::{Extent, Items, Kind, Method, Names, Param, Passing, Reply, Sent, Service, WireParam};
use crate::types::{elided, owned, path_at, replace_impl};

pub(super) fn client(service: &Service) -> TokenStream {
    let Service { runtime, names, vis, .. } = service;
    let Names { client, caller, .. } = names;
    let secrets = service.methods.iter().any(Method::has_secrets);
    let keeping = secrets.then(|| quote!(#runtime::private::keep_secrets(Self::METHODS);));
    let declaration = declaration(runtime, names, vis, &service.generics, keeping);
    let table = table::table(service);
    let table_docs = table::docs(names);
    let methods = service
        .methods
        .iter()
        .zip(Place::all(&service.methods))
        .map(|(method, place)| call(service, method, &place));

    let any = generics::with(&service.generics, parse_quote!(#caller));
    let (impl_any, args, conditions) = any.split_for_impl();
    let mut calling = generics::with(&service.generics, parse_quote!(#caller: #runtime::Caller));
    Travelling::in_client(service).bound(&mut calling, service);
    let (impl_calling, _, calling_conditions) = calling.split_for_impl();
    quote! {
        #declaration

        #[allow(dead_code)]
        impl #impl_any #client #args #conditions {
            #[doc = #table_docs]
            #vis const METHODS: &'static [#runtime::MethodInfo] = #table;
        }

        // What the lints below object to was written in the trait, and is reported there.
        #[allow(
            dead_code,
            deprecated,
            elided_lifetimes_in_paths,
            missing_docs,
            non_snake_case,
            clippy::all,
            clippy::pedantic
        )]
        impl #impl_calling #client #args #calling_conditions {
            #(#methods)*
        }
    }
}

/// The type and what makes one, which begins with `first`.
pub(crate) fn declaration(
    runtime: &Path,
    names: &Names,
    vis: &Visibility,
    of: &Generics,
    first: Option<TokenStream>,
) -> TokenStream {
    let Names { service, client, caller, .. } = names;
    let docs = format!(
        "Calls a [`{service}`] through anything that can be called: a session, unless said otherwise.\n\n\
         Made by `{client}::from(session)`, or by `session.into()` where a method is called `from`. Each method gives a \
         call that is sent when it is awaited."
    );
    let name = client.to_string();
    let with = |own: TypeParam| generics::with(of, own);
    let declared = with(parse_quote!(#caller = #runtime::Session));
    let (_, args, conditions) = declared.split_for_impl();
    let [any, clone, debug] = [
        with(parse_quote!(#caller)),
        with(parse_quote!(#caller: ::core::clone::Clone)),
        with(parse_quote!(#caller: ::core::fmt::Debug)),
    ];
    let [(any, ..), (clone, ..), (debug, ..)] = [&any, &clone, &debug].map(Generics::split_for_impl);
    let phantom = generics::phantom(of);
    let (field, value) = match &phantom {
        Some(ty) => (Some(quote!(types: #ty,)), Some(quote!(types: ::core::marker::PhantomData,))),
        None => (None, None),
    };
    quote! {
        #[doc = #docs]
        #[allow(dead_code, non_camel_case_types)]
        #vis struct #client #declared #conditions {
            caller: #caller,
            #field
        }

        #[automatically_derived]
        impl #any ::core::convert::From<#caller> for #client #args #conditions {
            fn from(caller: #caller) -> Self {
                #first
                Self { caller, #value }
            }
        }

        #[automatically_derived]
        impl #clone ::core::clone::Clone for #client #args #conditions {
            fn clone(&self) -> Self {
                Self { caller: ::core::clone::Clone::clone(&self.caller), #value }
            }
        }

        #[automatically_derived]
        impl #debug ::core::fmt::Debug for #client #args #conditions {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#name).field("caller", &self.caller).finish()
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
    let Method { ident, attrs, conditions, .. } = method;
    let index = place.index();

    // Ours, so that they and what is around them stand in one place; they mean what the user's mean.
    let own = |ident: &Ident, span| {
        let mut ident = ident.clone();
        ident.set_span(at(span));
        ident
    };
    let params =
        method.wire_params().map(|(Param { ident, .. }, wire)| (own(ident, ident.span()), sent(wire)));
    let (idents, types): (Vec<_>, Vec<_>) = params.unzip();
    let (made, reply) = match &method.kind {
        Kind::Request(reply) => {
            let ty = owned(&reply.ty, runtime);
            let fallible = fallible(runtime, reply);
            ("Call", Some(quote!(#ty #fallible)))
        }
        Kind::Notification => ("Notify", None),
        Kind::Subscription(of) => {
            let ty = subscribed(runtime, &of.reply, &of.items);
            let fallible = fallible(runtime, &of.reply);
            ("Subscribe", Some(quote!(#ty #fallible)))
        }
    };
    let values = values(runtime, method, &idents, &types);
    let span = reply_span(method);
    let (runtime_at_reply, made) = (path_at(runtime, span), Ident::new(made, span));
    let call =
        quote_spanned!(span=> #runtime_at_reply::#made::to(&self.caller, &Self::METHODS[#index], #values));
    quote_spanned! {at(ident.span())=>
        #(#[cfg(#conditions)])*
        #(#attrs)*
        #vis fn #ident(&self, #(#idents: #types),*) -> #runtime::#made<'static, #caller, #reply> {
            #call
        }
    }
}

/// What a subscription returns to its caller: a type that stands for the stream, in place of it.
pub(crate) fn subscribed(runtime: &Path, reply: &Reply, items: &Items) -> Type {
    let item = owned(&items.ty, runtime);
    let plain_in_scope = super::plain_in_scope(runtime);
    let fallible =
        super::fallible_items(runtime, items).map(|fallible| quote!(, { #plain_in_scope #fallible }));
    let mut ty = reply.ty.clone();
    replace_impl(&mut ty, &mut |stream| {
        let span = at(stream.span());
        let runtime = path_at(runtime, span);
        parse_quote_spanned!(span=> #runtime::Items<#item #fallible>)
    });
    owned(&ty, runtime)
}

/// All parameters as one value.
fn values(runtime: &Path, method: &Method, idents: &[Ident], types: &[Type]) -> TokenStream {
    // An error about a parameter stands at its type.
    let located: Vec<_> = idents.iter().zip(types).map(|(ident, ty)| relocated(ident, ty.span())).collect();
    let last = method.wire_params().last().map(|(_, wire)| wire.extent);
    match (last, method.sent) {
        (Some(Extent::Whole), _) => quote!(#(#located)*),
        (Some(Extent::Rest), Sent::ByPosition) => {
            let (rest, values) = located.split_last().expect("there is a last one");
            quote!(#runtime::private::WithRest((#(#values,)*), #rest))
        }
        _ => {
            let span = at(method.ident.span());
            quote_spanned!(span=> (#(#located,)*))
        }
    }
}

/// The type of a parameter of a call.
fn sent(wire: &WireParam) -> Type {
    let ty = elided(&wire.ty);
    match wire.passing {
        Passing::Owned => ty,
        Passing::Lent | Passing::LentAll => parse_quote_spanned!(at(ty.span())=> &#ty),
        Passing::LentOption | Passing::LentAllOption => {
            parse_quote_spanned!(at(ty.span())=> ::core::option::Option<&#ty>)
        }
    }
}
