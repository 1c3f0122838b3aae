//! The derive: an error to an error object, and back.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Ident, Path, Type};

use super::{of, relocated};
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
        Shape::Value(ty) => {
            let (value, given) = (local(0), local_at(0, ty));
            quote!(#path(#value) => #runtime::private::error_object_value(#code, self, #given),)
        }
        Shape::Tuple(types) => {
            let (fields, values) = locals(types);
            quote! {
                #path(#(#fields),*) => #runtime::private::error_object_tuple(#code, self, (#(#values,)*)),
            }
        }
        Shape::Named(fields) => {
            let names = fields.iter().map(|(_, name, _)| name);
            let idents = fields.iter().map(|(ident, ..)| ident);
            let (locals, values) = locals(fields.iter().map(|(.., ty)| ty));
            quote! {
                #path { #(#idents: #locals),* } => #runtime::private::error_object_named(
                    #code,
                    self,
                    &[#(#names),*],
                    (#(#values,)*),
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
        Shape::Value(ty) => {
            let ty = of(runtime, ty);
            quote!(#path(#runtime::private::error_field(error, #ty)?))
        }
        Shape::Tuple(types) => {
            let (fields, _) = locals(types);
            let types = types.iter().map(|ty| of(runtime, ty));
            quote!({
                let (#(#fields,)*) = #runtime::private::error_field(error, (#(#types,)*))?;
                #path(#(#fields),*)
            })
        }
        Shape::Named(fields) => {
            let names = fields.iter().map(|(_, name, _)| name);
            let idents = fields.iter().map(|(ident, ..)| ident);
            let types = fields.iter().map(|(.., ty)| of(runtime, ty));
            let (locals, _) = locals(fields.iter().map(|(.., ty)| ty));
            quote!({
                let (#(#locals,)*) =
                    #runtime::private::error_fields_named(error, &[#(#names),*], (#(#types,)*))?;
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

/// Variables for fields of these types, where they are bound and where they are used.
fn locals<'a>(types: impl IntoIterator<Item = &'a Type>) -> (Vec<Ident>, Vec<Ident>) {
    let types = types.into_iter().enumerate();
    types.map(|(index, ty)| (local(index), local_at(index, ty))).unzip()
}

/// The variable for a field. There is no code of the user's beside it.
fn local(index: usize) -> Ident {
    format_ident!("__field{index}")
}

/// The same, said to stand at the field's type: an error about its value stands there.
fn local_at(index: usize, ty: &Type) -> Ident {
    relocated(&local(index), ty.span())
}
