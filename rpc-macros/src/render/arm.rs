//! How the server serves one method.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Path};

use super::table::Place;
use super::{at, fallible, fallible_items, local, of, relocated, reply_span};
use crate::model::{
    Borrows, Extent, Form, Kind, Method, Names, Param, Passing, Role, Service, Subscription, WireParam,
};
use crate::types::{owned, path_at, with_static};

/// The arm of the `match` over methods.
pub(super) fn arm(service: &Service, method: &Method, place: &Place) -> TokenStream {
    let Method { ident, conditions, .. } = method;
    let pattern = place.pattern();
    let context = local("context");
    // Made before the parameters are read, which consumes the request.
    let context = method
        .params
        .iter()
        .any(|param| matches!(param.role, Role::Context(_)))
        .then(|| quote!(let #context = request.context();));
    let handled = handled(service, method);
    quote_spanned! {at(ident.span())=>
        #(#[cfg(#conditions)])*
        #pattern => {
            #context
            #handled
        }
    }
}

/// The call of the function that serves the method.
fn handled(service: &Service, method: &Method) -> TokenStream {
    if let Kind::Subscription(of) = &method.kind {
        return subscribed(service, method, of);
    }
    let Service { runtime, .. } = service;
    let shared = local("service");
    let receiver = match method.form {
        Form::Async | Form::Blocking => quote!(&#shared),
        Form::Plain => quote!(&self.service),
    };
    let call = call(service, method, &receiver);
    let awaited = match method.form {
        Form::Async => quote!(#call.await),
        Form::Plain | Form::Blocking => call,
    };
    let value = value(runtime, method, awaited);
    let share = quote!(let #shared = ::core::clone::Clone::clone(&self.service););
    let span = reply_span(method);
    let (name, body) = match method.form {
        Form::Async => ("handle", quote!({ #share async move { #value } })),
        Form::Blocking => ("handle", quote!({ #share #runtime::private::blocking(move || #value) })),
        Form::Plain => ("handle_now", value),
    };
    let (types, params) = taken(runtime, method);
    let (runtime, name) = (path_at(runtime, span), Ident::new(name, span));
    quote_spanned! {span=>
        #runtime::private::#name(request, #types, |#params| #body)
    }
}

/// The same, of a method that begins a subscription.
fn subscribed(service: &Service, method: &Method, of: &Subscription) -> TokenStream {
    let Service { runtime, .. } = service;
    let (shared, sink) = (local("service"), local("sink"));
    let call = call(service, method, &quote!(&#shared));
    let returned = match method.form {
        Form::Async => quote!(#call.await),
        Form::Plain | Form::Blocking => call,
    };
    let constant =
        |fallible: Option<TokenStream>| fallible.map_or_else(|| quote!(false), |of| quote!({ #of }));
    let (fallible, items) =
        (constant(fallible(runtime, &of.reply)), constant(fallible_items(runtime, &of.items)));
    let (types, params) = taken(runtime, method);
    let span = reply_span(method);
    let runtime = path_at(runtime, span);
    let run = match of.style.is_progress() {
        true => quote_spanned!(span=> run_work::<#fallible, #items, _>),
        false => quote_spanned!(span=> run::<#fallible, #items, _>),
    };
    quote_spanned! {span=>
        #runtime::private::subscribe(request, #types, |#params, #sink| {
            let #shared = ::core::clone::Clone::clone(&self.service);
            async move { #sink.#run(#returned).await }
        })
    }
}

/// What the handler gives, made of what the service's method gave.
///
/// What is borrowed from something that the handler holds is written down while it is there.
fn value(runtime: &Path, method: &Method, given: TokenStream) -> TokenStream {
    let span = reply_span(method);
    let private = path_at(runtime, span);
    let returned = |fallible: TokenStream, value: TokenStream| quote_spanned!(span=> #private::private::returned::<#fallible, _>(#value));
    let Kind::Request(reply) = &method.kind else { return returned(quote!(false), given) };
    let fallible = fallible(runtime, reply).map_or_else(|| quote!(false), |fallible| quote!({ #fallible }));
    let outlives = match reply.borrows {
        Borrows::Nothing => true,
        Borrows::Service => method.form == Form::Plain,
        Borrows::Params => false,
    };
    if outlives {
        return returned(fallible, given);
    }
    returned(quote!(true), quote!(#runtime::private::written::<#fallible, _>(#given)))
}

/// The call of the service's method.
fn call(service: &Service, method: &Method, receiver: &TokenStream) -> TokenStream {
    let Service { runtime, names: Names { service: service_trait, implementor, .. }, .. } = service;
    let (_, args, _) = service.generics.split_for_impl();
    let ident = &method.ident;
    let arguments = method.params.iter().map(|param| argument(runtime, param));
    quote!(<#implementor as #service_trait #args>::#ident(#receiver, #(#arguments),*))
}

/// What the message is decoded as: the types, each as a value of its own so that an error about one of them stands where it
/// does, and the pattern that takes the values apart.
fn taken(runtime: &Path, method: &Method) -> (TokenStream, TokenStream) {
    let (types, patterns): (Vec<_>, Vec<_>) = method
        .wire_params()
        .map(|(Param { ident, .. }, wire)| {
            let ty = decoded(runtime, wire);
            match wire.default {
                true => {
                    let span = at(wire.ty.span());
                    let private = path_at(runtime, span);
                    let ty = quote_spanned!(span=> #private::private::OrDefault<#ty>);
                    (of(runtime, &ty), quote!(#runtime::private::OrDefault(#ident)))
                }
                false => (of(runtime, &ty), quote!(#ident)),
            }
        })
        .unzip();
    match is_whole(method) {
        true => (quote!(#(#types)*), quote!(#(#patterns)*)),
        false => {
            let span = at(method.ident.span());
            (quote_spanned!(span=> (#(#types,)*)), quote!((#(#patterns,)*)))
        }
    }
}

fn is_whole(method: &Method) -> bool {
    method.wire_params().any(|(_, WireParam { extent, .. })| *extent == Extent::Whole)
}

/// What a parameter is decoded as.
fn decoded(runtime: &Path, wire: &WireParam) -> TokenStream {
    // A value that was read from the message borrows from nothing that is still there when it is handled.
    let ty = match wire.passing {
        // Nor do the values in a list.
        Passing::LentAll | Passing::LentAllOption => owned(&wire.ty, runtime),
        _ => with_static(&wire.ty),
    };
    let span = at(ty.span());
    let runtime = path_at(runtime, span);
    match wire.passing {
        Passing::Owned => quote!(#ty),
        Passing::Lent | Passing::LentAll => quote_spanned!(span=> #runtime::private::Owned<#ty>),
        Passing::LentOption | Passing::LentAllOption => {
            quote_spanned!(span=> ::core::option::Option<#runtime::private::Owned<#ty>>)
        }
    }
}

/// What the service's method is given for one of its parameters.
fn argument(runtime: &Path, Param { ident, role, .. }: &Param) -> TokenStream {
    match role {
        Role::Wire(wire) => {
            let span = at(wire.ty.span());
            let runtime = path_at(runtime, span);
            match wire.passing {
                Passing::Owned => quote!(#ident),
                Passing::Lent => quote_spanned!(span=> #runtime::private::Borrowed::lend(&#ident)),
                Passing::LentOption => quote_spanned!(span=> #runtime::private::lend_option(&#ident)),
                // The list of references lives as long as the statement, which ends when the handler has.
                Passing::LentAll => quote_spanned!(span=> &#runtime::private::lend_all(&#ident)[..]),
                Passing::LentAllOption => {
                    quote_spanned!(span=> #runtime::private::lend_all_option(&#ident).as_deref())
                }
            }
        }
        Role::Context(ty) => {
            let context = relocated(&local("context"), ty.span());
            quote_spanned!(at(ty.span())=> &#context)
        }
    }
}
