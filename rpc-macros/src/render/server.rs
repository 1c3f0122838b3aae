//! The server: one arm a method, which decodes, calls and encodes through functions of the runtime.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{GenericParam, Generics, Path, TypeParam, Visibility, parse_quote};

use super::arm::arm;
use super::generics::{self, Travelling};
use super::plain_in_scope;
use super::table::{self, Place};
use crate::model::{Names, Service};

pub(super) fn server(service: &Service) -> TokenStream {
    let Service { runtime, names, vis, .. } = service;
    let Names { service: service_trait, server, implementor, .. } = names;
    let declaration = declaration(runtime, names, vis, &service.generics);
    let table = shared_table(service);
    let table_docs = table::docs(names);
    let new_docs =
        format!("Serves `service`. One that is shared already comes in by `{server}::from(Arc::clone(..))`.");
    let plain_in_scope = plain_in_scope(runtime);
    let arms = service
        .methods
        .iter()
        .zip(Place::all(&service.methods))
        .map(|(method, place)| arm(service, method, &place));

    let (_, trait_args, _) = service.generics.split_for_impl();
    let with = |own: TypeParam| generics::with_last(&service.generics, own);
    let any = with(parse_quote!(#implementor: ?::core::marker::Sized));
    let sized = with(parse_quote!(#implementor: #service_trait #trait_args));
    let serving = with(parse_quote!(#implementor: #service_trait #trait_args + ?::core::marker::Sized));
    let mut travelling = serving.clone();
    Travelling::in_server(service).bound(&mut travelling, service);
    let (_, args, conditions) = any.split_for_impl();
    let (.., travelling_conditions) = travelling.split_for_impl();
    let [(any, ..), (sized, ..), (serving, ..)] = [&any, &sized, &serving].map(Generics::split_for_impl);
    let value = generics::phantom(&service.generics).map(|_| quote!(types: ::core::marker::PhantomData,));
    quote! {
        #declaration

        #[allow(dead_code)]
        impl #any #server #args #conditions {
            #[doc = #table_docs]
            #vis const METHODS: &'static [#runtime::MethodInfo] = #table;
        }

        #[allow(dead_code, deprecated)]
        impl #sized #server #args #conditions {
            #[doc = #new_docs]
            #vis fn new(service: #implementor) -> Self {
                Self { service: #runtime::private::Arc::new(service), #value }
            }
        }

        #[allow(deprecated)]
        #[automatically_derived]
        impl #serving ::core::convert::From<#runtime::private::Arc<#implementor>> for #server #args #conditions {
            fn from(service: #runtime::private::Arc<#implementor>) -> Self {
                Self { service, #value }
            }
        }

        #[allow(deprecated, clippy::all, clippy::pedantic)]
        #[automatically_derived]
        impl #serving #runtime::Service for #server #args #travelling_conditions {
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

/// The client has the table already, where there is one.
fn shared_table(service: &Service) -> TokenStream {
    if !service.halves.client {
        return table::table(service);
    }
    let client = &service.names.client;
    let params = service.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
        GenericParam::Lifetime(_) => None,
    });
    quote!(#client::<#(#params,)* ()>::METHODS)
}

/// The type and what it can do whatever it serves.
pub(crate) fn declaration(runtime: &Path, names: &Names, vis: &Visibility, of: &Generics) -> TokenStream {
    let Names { service, server, implementor, .. } = names;
    let name = server.to_string();
    let docs = format!(
        "Serves a [`{service}`]: what a server or a connector takes as its service. Clones share it."
    );
    let generics = generics::with_last(of, parse_quote!(#implementor: ?::core::marker::Sized));
    let (impl_generics, args, conditions) = generics.split_for_impl();
    let phantom = generics::phantom(of);
    let (field, value) = match &phantom {
        Some(ty) => (Some(quote!(types: #ty,)), Some(quote!(types: ::core::marker::PhantomData,))),
        None => (None, None),
    };
    quote! {
        #[doc = #docs]
        #[allow(dead_code, non_camel_case_types)]
        #vis struct #server #generics #conditions {
            service: #runtime::private::Arc<#implementor>,
            #field
        }

        #[automatically_derived]
        impl #impl_generics ::core::clone::Clone for #server #args #conditions {
            fn clone(&self) -> Self {
                Self { service: ::core::clone::Clone::clone(&self.service), #value }
            }
        }

        #[automatically_derived]
        impl #impl_generics ::core::fmt::Debug for #server #args #conditions {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#name).finish_non_exhaustive()
            }
        }
    }
}
