//! A type that derives `RpcError`: its codes and the shapes of its cases.

use syn::{Data, DeriveInput, Fields, Ident};

use crate::attr::{self, ErrorWords, Place, VariantWords};
use crate::errors::Errors;
use crate::model::{ErrorCase, ErrorType, Shape, WireName};

/// The longest list of fields that the runtime can decode: tuples have to end somewhere.
const MOST_FIELDS: usize = 16;

/// Reads an error type, or fails with every mistake in it.
pub(crate) fn error_type(
    input: &DeriveInput,
    words: &ErrorWords,
    mut errors: Errors,
) -> syn::Result<ErrorType> {
    if !input.generics.params.is_empty() {
        errors.at(&input.generics.params, "generic errors are not supported; use concrete types");
    }
    let mut codes = Codes::default();
    let cases = match &input.data {
        Data::Enum(data) => data
            .variants
            .iter()
            .filter_map(|variant| {
                let words = VariantWords::read(&variant.attrs, &mut errors);
                let shape = shape(&variant.fields, &mut errors);
                let code = codes.take(words, &variant.ident, &mut errors)?;
                Some(ErrorCase { variant: Some(variant.ident.clone()), code, shape: shape? })
            })
            .collect(),
        Data::Struct(data) => {
            let shape = shape(&data.fields, &mut errors);
            let code = codes.take(words.code.clone(), &input.ident, &mut errors);
            code.zip(shape)
                .map(|(code, shape)| ErrorCase { variant: None, code, shape })
                .into_iter()
                .collect()
        }
        Data::Union(data) => {
            errors.at(
                data.union_token,
                "an error is an enum or a struct; a union cannot say which field it holds",
            );
            Vec::new()
        }
    };
    errors.into_result()?;
    Ok(ErrorType { runtime: words.runtime(), ident: input.ident.clone(), cases })
}

/// What a type may say of itself.
pub(crate) fn place(input: &DeriveInput) -> Place {
    match input.data {
        Data::Struct(_) => Place::ErrorStruct,
        Data::Enum(_) | Data::Union(_) => Place::ErrorEnum,
    }
}

/// The codes given so far.
#[derive(Default)]
struct Codes(Vec<i64>);

impl Codes {
    fn take(&mut self, words: VariantWords, owner: &Ident, errors: &mut Errors) -> Option<i64> {
        if !words.given {
            errors.at(owner, "an error has a code on the wire; add `#[rpc(code = ..)]`");
        }
        let (code, tokens) = words.code?;
        if let Some(objection) = objection(code) {
            errors.at(tokens, objection);
        } else if self.0.contains(&code) {
            errors.at(tokens, format!("two errors have the code {code}; choose another for this one"));
        } else {
            self.0.push(code);
            return Some(code);
        }
        None
    }
}

/// What speaks against a code. JSON-RPC 2.0, section 5.1, reserves -32768 to -32000, and leaves servers the upper end.
fn objection(code: i64) -> Option<String> {
    let meaning = match code {
        -32099..=-32000 => return None,
        -32700 => "means a parse error",
        -32600 => "means an invalid request",
        -32601 => "means that there is no such method",
        -32602 => "means invalid parameters",
        -32603 => "means an internal error",
        -32768..=-32000 => "is reserved",
        _ => return None,
    };
    Some(format!(
        "{code} {meaning} in JSON-RPC; free are -32099 to -32000, and all below -32768 and above -32000"
    ))
}

fn shape(fields: &Fields, errors: &mut Errors) -> Option<Shape> {
    for field in fields {
        attr::refuse(&field.attrs, "a field takes no `#[rpc(..)]`", errors);
    }
    if let Some(field) = fields.iter().nth(MOST_FIELDS) {
        let message = format!("an error has at most {MOST_FIELDS} fields; put some into a struct");
        match &field.ident {
            Some(ident) => errors.at(ident, message),
            None => errors.at(&field.ty, message),
        }
        return None;
    }
    Some(match fields {
        _ if fields.is_empty() => Shape::Unit,
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            Shape::Value(Box::new(fields.unnamed[0].ty.clone()))
        }
        Fields::Unnamed(fields) => {
            Shape::Tuple(fields.unnamed.iter().map(|field| field.ty.clone()).collect())
        }
        Fields::Named(fields) => {
            let named = fields.named.iter().filter_map(|field| {
                let ident = field.ident.clone()?;
                Some((ident.clone(), WireName::of(&ident), field.ty.clone()))
            });
            Shape::Named(named.collect())
        }
        Fields::Unit => Shape::Unit,
    })
}
