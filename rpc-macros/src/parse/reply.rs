//! What a method returns.

use syn::{ReturnType, Signature, Type, parse_quote};

use crate::errors::Errors;
use crate::model::Reply;
use crate::types::{self, Part};

/// Reads the return type; none if it cannot be a reply, which has then been reported.
pub(super) fn reply(sig: &Signature, errors: &mut Errors) -> Option<Reply> {
    let ReturnType::Type(_, ty) = &sig.output else {
        return Some(Reply { ty: parse_quote!(()), plain: true });
    };
    let is_async = sig.asyncness.is_some();
    is_owned(ty, is_async, errors).then(|| Reply { ty: (**ty).clone(), plain: is_plain(ty) })
}

/// Checks that a notification returns nothing.
pub(super) fn check_nothing(reply: &Reply, errors: &mut Errors) {
    if !matches!(types::bare(&reply.ty), Type::Tuple(tuple) if tuple.elems.is_empty()) {
        errors.at(
            &reply.ty,
            "nobody reads the reply to a notification; return nothing, or remove `notification`",
        );
    }
}

fn is_owned(ty: &Type, is_async: bool, errors: &mut Errors) -> bool {
    let mut owned = true;
    types::walk(&mut ty.clone(), &mut |part| {
        match part {
            Part::Reference(reference) => {
                errors.at(reference, "replies are owned; return an owned type, as `String`");
            }
            Part::Lifetime(lifetime) if lifetime.ident == "static" => return,
            Part::Lifetime(lifetime) => {
                errors.at(lifetime, "replies are owned; return an owned type, or write `'static`");
            }
            Part::SelfType(token) => {
                errors.at(token, "the caller has no `Self`, which is the service; name the type");
            }
            Part::Impl(bounds) if is_async => {
                errors.at(bounds, "what travels must have one type; name it instead of `impl Trait`");
            }
            Part::Impl(bounds) => errors.at(
                bounds,
                "what travels must have one type; name it instead of `impl Trait`, \
                 or write `async fn f(&self) -> T` for a future",
            ),
        }
        owned = false;
    });
    owned
}

/// Whether a type can be seen to be no `Result` without knowing what its names mean.
fn is_plain(ty: &Type) -> bool {
    const PRIMITIVES: [&str; 16] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64",
        "u128", "usize",
    ];
    match types::bare(ty) {
        Type::Tuple(_) | Type::Array(_) => true,
        Type::Path(path) if path.qself.is_none() => {
            PRIMITIVES.iter().any(|primitive| path.path.is_ident(primitive))
        }
        _ => false,
    }
}
