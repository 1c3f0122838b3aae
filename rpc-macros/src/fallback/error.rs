//! Instead of a derived `RpcError`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Path};

pub(crate) fn error_type(input: &DeriveInput, runtime: &Path) -> TokenStream {
    let ident = &input.ident;
    let (impl_generics, arguments, conditions) = input.generics.split_for_impl();
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
