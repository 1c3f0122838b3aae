//! The derive: an error to an error object, and back.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::{Ident, Path};

use super::local;
use crate::model::{ErrorCase, ErrorType, Shape};

pub(crate) fn error_type(error: &ErrorType) -> TokenStream {
    let ErrorType { runtime, ident, cases } = error;
    let to = cases.iter().map(|case| to_error_object(runtime, case));
    let from = cases.iter().map(|case| from_error_object(runtime, case));
    // A reference is never empty, whatever it refers to: an enum without variants is matched by value.
    let this = if cases.is_empty() { quote!(*self) } else { quote!(self) };
    quote! {
        #[allow(deprecated, clippy::all, clippy::pedantic)]
        #[automatically_derived]
        impl #runtime::RpcError for #ident {
            fn to_error_object(&self) -> #runtime::ErrorObject {
                match #this {
                    #(#to)*
                }
            }

            fn from_error_object(error: &#runtime::ErrorObject) -> ::core::option::Option<Self> {
                match error.code().value() {
                    #(#from)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    }
}

fn to_error_object(runtime: &Path, case: &ErrorCase) -> TokenStream {
    let path = path(case);
    let code = Literal::i64_unsuffixed(case.code);
    match &case.shape {
        Shape::Unit => quote!(#path { .. } => #runtime::private::error_object(#code, self),),
        Shape::Value(_) => {
            let value = local("value");
            quote!(#path(#value) => #runtime::private::error_object_value(#code, self, #value),)
        }
        Shape::Tuple(types) => {
            let fields = locals(types.len());
            quote! {
                #path(#(#fields),*) => #runtime::private::error_object_tuple(#code, self, (#(#fields,)*)),
            }
        }
        Shape::Named(fields) => {
            let names = fields.iter().map(|(_, name, _)| name);
            let idents = fields.iter().map(|(ident, ..)| ident);
            let locals = locals(fields.len());
            quote! {
                #path { #(#idents: #locals),* } => #runtime::private::error_object_named(
                    #code,
                    self,
                    &[#(#names),*],
                    (#(#locals,)*),
                ),
            }
        }
    }
}

fn from_error_object(runtime: &Path, case: &ErrorCase) -> TokenStream {
    let path = path(case);
    let code = Literal::i64_unsuffixed(case.code);
    let value = match &case.shape {
        Shape::Unit => quote!(#path {}),
        Shape::Value(ty) => quote!(#path(#runtime::private::error_field::<#ty>(error)?)),
        Shape::Tuple(types) => {
            let fields = locals(types.len());
            quote!({
                let (#(#fields,)*): (#(#types,)*) = #runtime::private::error_fields_tuple(error)?;
                #path(#(#fields),*)
            })
        }
        Shape::Named(fields) => {
            let names = fields.iter().map(|(_, name, _)| name);
            let idents = fields.iter().map(|(ident, ..)| ident);
            let types = fields.iter().map(|(.., ty)| ty);
            let locals = locals(fields.len());
            quote!({
                let (#(#locals,)*): (#(#types,)*) =
                    #runtime::private::error_fields_named(error, &[#(#names),*])?;
                #path { #(#idents: #locals),* }
            })
        }
    };
    quote!(#code => ::core::option::Option::Some(#value),)
}

fn path(case: &ErrorCase) -> TokenStream {
    match &case.variant {
        Some(variant) => quote!(Self::#variant),
        None => quote!(Self),
    }
}

fn locals(count: usize) -> Vec<Ident> {
    (0..count).map(|index| local(&format!("field{index}"))).collect()
}
