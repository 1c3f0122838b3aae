//! Instead of a derived `RpcError`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Path, parse_quote};

pub(crate) fn error_type(input: &DeriveInput, runtime: &Path) -> TokenStream {
    // A union is no error, and cannot become one.
    if matches!(input.data, Data::Union(_)) {
        return TokenStream::new();
    }
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    if !generics.params.is_empty() {
        // Whether it is an error is a matter of what it is given.
        generics.make_where_clause().predicates.push(parse_quote!(Self: ::core::error::Error + 'static));
    }
    let (impl_generics, arguments, conditions) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #runtime::RpcError for #ident #arguments #conditions {
            fn to_error_object(&self) -> #runtime::ErrorObject {
                ::core::unreachable!()
            }

            fn from_error_object(_: &#runtime::ErrorObject) -> ::core::option::Option<Self> {
                ::core::unreachable!()
            }
        }
    }
}
