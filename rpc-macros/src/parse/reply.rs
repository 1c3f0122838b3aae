//! What a method returns.

use syn::{
    Generics, Ident, Lifetime, ReturnType, Signature, Type, TypeImplTrait, TypeParamBound, TypeReference,
    parse_quote_spanned,
};

use crate::errors::Errors;
use crate::model::{Borrows, Reply};
use crate::types::{self, Part};

/// Reads the return type; none if it cannot be a reply, which has then been reported. `generics` are those of the trait.
pub(super) fn reply(sig: &Signature, generics: &Generics, errors: &mut Errors) -> Option<Reply> {
    let ReturnType::Type(_, ty) = &sig.output else {
        // What is not written stands where the method's name does.
        let ty = parse_quote_spanned!(sig.ident.span()=> ());
        return Some(Reply { ty, probe: None, borrows: Borrows::Nothing });
    };
    let borrows = borrows(ty, sig.asyncness.is_some(), errors)?;
    Some(Reply { ty: (**ty).clone(), probe: probe(ty, generics), borrows })
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

/// The type to ask the compiler about, whether it is a `Result`; none where it can be seen to be none.
pub(crate) fn probe(ty: &Type, generics: &Generics) -> Option<Type> {
    let params: Vec<&Ident> = params(generics);
    let ty = types::without_params(types::bare(ty), &params)?;
    (!is_plain(&ty)).then(|| types::with_static(&ty))
}

fn params(generics: &Generics) -> Vec<&Ident> {
    let consts = generics.const_params().map(|param| &param.ident);
    generics.type_params().map(|param| &param.ident).chain(consts).collect()
}

/// What a reply borrows from, or nothing where it cannot travel at all.
fn borrows(ty: &Type, is_async: bool, errors: &mut Errors) -> Option<Borrows> {
    let mut borrows = Some(Borrows::Nothing);
    types::walk(&mut ty.clone(), &mut |part| {
        let part = match part {
            Part::Reference(TypeReference { mutability: Some(token), .. }) => {
                errors.at(token, "changes to a reply would not travel back; return `&T`");
                None
            }
            Part::Reference(TypeReference { lifetime: None, .. }) => Some(Borrows::Service),
            Part::Reference(TypeReference { lifetime: Some(lifetime), .. }) => Some(lender(lifetime)),
            Part::Lifetime(lifetime) => Some(lender(lifetime)),
            Part::SelfType(token) => {
                errors.at(token, "the caller has no `Self`, which is the service; name the type");
                None
            }
            Part::Impl(bounds) if is_stream(bounds) => {
                errors.at(bounds, "a stream is a subscription; add `#[rpc(subscription)]` to the method");
                None
            }
            Part::Impl(bounds) if is_async => {
                errors.at(bounds, "what travels must have one type; name it instead of `impl Trait`");
                None
            }
            Part::Impl(bounds) => {
                errors.at(
                    bounds,
                    "what travels must have one type; name it instead of `impl Trait`, \
                     or write `async fn f(&self) -> T` for a future",
                );
                None
            }
        };
        borrows = borrows.zip(part).map(|(whole, part)| whole.max(part));
    });
    borrows
}

fn is_stream(bounds: &TypeImplTrait) -> bool {
    bounds.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == "Stream"),
        _ => false,
    })
}

/// Whom a lifetime belongs to. The receiver's has no name.
fn lender(lifetime: &Lifetime) -> Borrows {
    match lifetime.ident.to_string().as_str() {
        "static" => Borrows::Nothing,
        "_" => Borrows::Service,
        _ => Borrows::Params,
    }
}

/// Whether a type can be seen to be no `Result` without knowing what its names mean.
fn is_plain(ty: &Type) -> bool {
    const PRIMITIVES: [&str; 16] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64",
        "u128", "usize",
    ];
    match ty {
        Type::Tuple(_) | Type::Array(_) | Type::Reference(_) => true,
        Type::Path(path) if path.qself.is_none() => {
            PRIMITIVES.iter().any(|primitive| path.path.is_ident(primitive))
        }
        _ => false,
    }
}
