//! The server: one arm a method, which decodes, calls and encodes through functions of the runtime.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Path, Type, Visibility};

use super::table::Place;
use super::{at, fallible, local, plain_in_scope};
use crate::model::{Form, Kind, Method, Names, Passing, Role, Service};
use crate::types::with_lifetime;

pub(super) fn server(service: &Service) -> TokenStream {
    let Service { runtime, names, vis, .. } = service;
    let Names { service: service_trait, client, server, implementor, .. } = names;
    let declaration = declaration(runtime, names, vis);
    let table_docs = format!("The methods of [`{service_trait}`], in the order of the trait.");
    let new_docs =
        format!("Serves `service`. One that is shared already comes in by `{server}::from(Arc::clone(..))`.");
    let plain_in_scope = plain_in_scope(runtime);
    let arms = service
        .methods
        .iter()
        .zip(Place::all(&service.methods))
        .map(|(method, place)| arm(service, method, &place));
    quote! {
        #declaration

        #[allow(dead_code)]
        impl<#implementor> #server<#implementor> {
            #[doc = #table_docs]
            #vis const METHODS: &'static [#runtime::MethodInfo] = #client::<()>::METHODS;
        }

        #[allow(dead_code, deprecated)]
        impl<#implementor: #service_trait> #server<#implementor> {
            #[doc = #new_docs]
            #vis fn new(service: #implementor) -> Self {
                Self { service: #runtime::private::Arc::new(service) }
            }
        }

        #[allow(deprecated)]
        #[automatically_derived]
        impl<#implementor: #service_trait> ::core::convert::From<#runtime::private::Arc<#implementor>>
            for #server<#implementor>
        {
            fn from(service: #runtime::private::Arc<#implementor>) -> Self {
                Self { service }
            }
        }

        #[allow(deprecated, clippy::all, clippy::pedantic)]
        #[automatically_derived]
        impl<#implementor: #service_trait> #runtime::Service for #server<#implementor> {
            fn declared() -> &'static [#runtime::MethodInfo] {
                Self::METHODS
            }

            fn methods(&self) -> &[#runtime::MethodInfo] {
                Self::METHODS
            }

            fn call(&self, method: usize, request: #runtime::Request<'_>) -> #runtime::Handled {
                #plain_in_scope
                match method {
                    #(#arms)*
                    _ => #runtime::private::no_such_method(request),
                }
            }
        }
    }
}

/// The type and what it can do whatever it serves.
pub(crate) fn declaration(runtime: &Path, names: &Names, vis: &Visibility) -> TokenStream {
    let Names { service, server, implementor, .. } = names;
    let name = server.to_string();
    let docs = format!(
        "Serves a [`{service}`]: what a server or a connector takes as its service. Clones share it."
    );
    quote! {
        #[doc = #docs]
        #[allow(dead_code, non_camel_case_types)]
        #vis struct #server<#implementor> {
            service: #runtime::private::Arc<#implementor>,
        }

        #[automatically_derived]
        impl<#implementor> ::core::clone::Clone for #server<#implementor> {
            fn clone(&self) -> Self {
                Self { service: ::core::clone::Clone::clone(&self.service) }
            }
        }

        #[automatically_derived]
        impl<#implementor> ::core::fmt::Debug for #server<#implementor> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#name).finish_non_exhaustive()
            }
        }
    }
}

fn arm(service: &Service, method: &Method, place: &Place) -> TokenStream {
    let Service { runtime, names: Names { service: service_trait, implementor, .. }, .. } = service;
    let Method { ident, conditions, .. } = method;
    let pattern = place.pattern();
    let (idents, types): (Vec<_>, Vec<_>) =
        method.wire_params().map(|(ident, _, passing)| (ident, decoded(runtime, passing))).unzip();
    let fallible = match &method.kind {
        Kind::Request(reply) => fallible(runtime, reply),
        Kind::Notification => None,
    };
    let fallible = fallible.map_or_else(|| quote!(false), |fallible| quote!({ #fallible }));

    let [shared, context] = ["service", "context"].map(local);
    let receiver = match method.form {
        Form::Async => quote!(&#shared),
        Form::Plain => quote!(&self.service),
    };
    let arguments = arguments(runtime, method, &context);
    let call = quote!(<#implementor as #service_trait>::#ident(#receiver, #(#arguments),*));
    let (handle, body) = match method.form {
        Form::Async => (
            quote!(handle::<#fallible, _, _, _>),
            quote!({
                let #shared = ::core::clone::Clone::clone(&self.service);
                async move { #call.await }
            }),
        ),
        Form::Plain => (quote!(handle_now::<#fallible, _, _>), call),
    };
    // Made before the parameters are read, which consumes the request.
    let context = method
        .params
        .iter()
        .any(|param| matches!(param.role, Role::Context(_)))
        .then(|| quote!(let #context = request.context();));
    quote_spanned! {at(ident.span())=>
        #(#[cfg(#conditions)])*
        #pattern => {
            #context
            #runtime::private::#handle(request, |(#(#idents,)*): (#(#types,)*)| #body)
        }
    }
}

/// What a parameter is decoded as.
fn decoded(runtime: &Path, passing: &Passing) -> TokenStream {
    // A value that was read from the message borrows from nothing that is still there when it is handled.
    let owned = |ty: &Type| with_lifetime(ty, "'static");
    match passing {
        Passing::Owned(ty) => {
            let ty = owned(ty);
            quote!(#ty)
        }
        Passing::Lent(ty) => {
            let ty = owned(ty);
            quote_spanned!(at(ty.span())=> <#ty as #runtime::private::Borrowed>::Owned)
        }
    }
}

/// What the service's method is given, in the order of its signature.
fn arguments(runtime: &Path, method: &Method, context: &Ident) -> Vec<TokenStream> {
    let argument = |ident: &Ident, role: &Role| match role {
        Role::Wire { passing: Passing::Owned(_), .. } => quote!(#ident),
        Role::Wire { passing: Passing::Lent(ty), .. } => {
            quote_spanned!(at(ty.span())=> #runtime::private::Borrowed::lend(&#ident))
        }
        Role::Context(ty) => {
            let context = Ident::new(&context.to_string(), context.span().located_at(ty.span()));
            quote_spanned!(at(ty.span())=> &#context)
        }
    };
    method.params.iter().map(|param| argument(&param.ident, &param.role)).collect()
}
