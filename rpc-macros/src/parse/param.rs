//! Receivers and parameters, each by itself.

use quote::format_ident;
use syn::ext::IdentExt;
use syn::{
    FnArg, GenericArgument, Ident, Pat, PatType, PathArguments, Receiver, ReceiverKind, Signature, Type,
    TypeReference,
};

use super::Naming;
use crate::attr::{self, ParamWords};
use crate::errors::Errors;
use crate::model::{Extent, Param, Passing, Role, WireName, WireParam};
use crate::types::{self, Part};

/// Checks that the method takes `&self`.
pub(super) fn receiver(sig: &Signature, errors: &mut Errors) {
    const SHARED: &str = "a service is shared by its calls; write `&self`";
    let Some(receiver) = sig.receiver() else {
        errors.at(&sig.ident, "a method of a service takes `&self` first");
        return;
    };
    attr::refuse(&receiver.attrs, "`#[rpc(..)]` goes on the method or on another parameter", errors);
    match receiver {
        Receiver { kind: ReceiverKind::Reference(_, None, None), .. } => {}
        Receiver { kind: ReceiverKind::Reference(_, _, Some(token)), .. } => {
            errors.at(token, format!("{SHARED}, and keep what changes in a `Mutex` or an atomic"));
        }
        Receiver { kind: ReceiverKind::Reference(_, Some(lifetime), _), .. } => errors.at(lifetime, SHARED),
        other => {
            // The attributes before it are not the mistake.
            let mut other = other.clone();
            other.attrs.clear();
            errors.at(other, SHARED);
        }
    }
}

/// The parameters after the receiver.
pub(super) fn params(sig: &Signature, naming: Naming, errors: &mut Errors) -> Vec<Param> {
    let inputs = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(input) => Some(input),
        FnArg::Receiver(_) => None,
    });
    inputs.enumerate().filter_map(|(index, input)| param(index, input, naming, errors)).collect()
}

fn param(index: usize, input: &PatType, naming: Naming, errors: &mut Errors) -> Option<Param> {
    let words = ParamWords::read(&input.attrs, errors);
    for attr in attr::hidden_conditions(&input.attrs) {
        errors.at(attr, "a condition within `cfg_attr` is not seen here; write it as `#[cfg(all(..))]`");
    }
    let ident = ident(index, input, &words, errors);
    let role = match &words.context {
        Some(_) => context(&input.ty, &words, errors),
        None => {
            check_is_no_context(&input.ty, &words, errors);
            wire(input, ident.as_ref(), naming, &words, errors)
        }
    };
    Some(Param { ident: ident?, role: role?, conditions: attr::conditions(&input.attrs) })
}

/// The name that a parameter gives its value. One that travels must have one.
fn ident(index: usize, input: &PatType, words: &ParamWords, errors: &mut Errors) -> Option<Ident> {
    match &*input.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none() => {
            Some(pat.ident.clone())
        }
        Pat::Ident(pat) if pat.subpat.is_none() => {
            errors.at(pat, format!("a parameter is a plain name; write `{}`", pat.ident));
            None
        }
        Pat::Wild(_) if words.context.is_some() || words.name.is_some() || words.whole.is_some() => {
            Some(format_ident!("unnamed_{index}"))
        }
        Pat::Wild(pat) => {
            errors.at(
                pat,
                "a parameter has a name, by which callers can give it; name it, or add `#[rpc(name = \"..\")]`",
            );
            None
        }
        pat => {
            errors.at(
                pat,
                "a parameter is a plain name, by which callers can give it; take it apart in the method",
            );
            None
        }
    }
}

fn context(ty: &Type, words: &ParamWords, errors: &mut Errors) -> Option<Role> {
    if let Some(name) = &words.name {
        errors.at(name, "a context does not travel and has no name; leave `name` away");
    }
    for word in [&words.default, &words.rest, &words.whole, &words.secret].into_iter().flatten() {
        errors.at(word, format!("a context does not travel; leave `{word}` away"));
    }
    match types::bare(ty) {
        Type::Reference(reference) if reference.mutability.is_none() => {
            Some(Role::Context(Box::new(ty.clone())))
        }
        _ => {
            errors.at(ty, "a context is lent; write `&Context`");
            None
        }
    }
}

/// Reports a context that is not marked as one. A type of the user's that is called so, too, says that it travels by its name.
fn check_is_no_context(ty: &Type, words: &ParamWords, errors: &mut Errors) {
    if words.name.is_some() || words.whole.is_some() {
        return;
    }
    let bare = match types::bare(ty) {
        Type::Reference(reference) => types::bare(&reference.elem),
        bare => bare,
    };
    let Type::Path(path) = bare else { return };
    let is_context = |last: &syn::PathSegment| last.ident.unraw() == "Context" && last.arguments.is_empty();
    if path.path.segments.last().is_some_and(is_context) {
        errors.at(
            ty,
            "a context does not travel; write `#[rpc(context)] cx: &Context` (a `Context` of your own, which \
             does travel, says so by a name: `#[rpc(name = \"..\")]`)",
        );
    }
}

fn wire(
    input: &PatType,
    ident: Option<&Ident>,
    naming: Naming,
    words: &ParamWords,
    errors: &mut Errors,
) -> Option<Role> {
    let passed = passed(&input.ty, errors);
    let extent = extent(words, errors);
    let name = match &words.name {
        Some(name) => WireName::from(name),
        None => naming.name(ident?),
    };
    if name.is_empty() {
        errors.at(&name, "a name cannot be empty");
        return None;
    }
    let docs = attr::docs(&input.attrs);
    let (passing, ty) = passed?;
    let (default, secret) = (words.default.is_some(), words.secret.is_some());
    let optional = extent == Extent::Single && option_of(types::bare(&input.ty)).is_some();
    Some(Role::Wire(Box::new(WireParam { name, ty, passing, extent, default, optional, secret, docs })))
}

fn extent(words: &ParamWords, errors: &mut Errors) -> Extent {
    if let (Some(rest), Some(_)) = (&words.rest, &words.whole) {
        errors.at(rest, "the whole leaves no rest; leave `rest` or `whole` away");
    } else if let (Some(_), Some(default)) = (&words.rest, &words.default) {
        errors.at(default, "where nothing is left, the rest is empty; leave `default` away");
    } else if let (Some(_), Some(name)) = (&words.whole, &words.name) {
        errors.at(name, "the whole does not travel under a name; leave `name` away");
    }
    match words {
        ParamWords { whole: Some(_), .. } => Extent::Whole,
        ParamWords { rest: Some(_), .. } => Extent::Rest,
        _ => Extent::Single,
    }
}

/// How a parameter is passed, and what.
fn passed(ty: &Type, errors: &mut Errors) -> Option<(Passing, Type)> {
    if let Type::Reference(reference) = types::bare(ty) {
        let passing = if inner_reference(reference).is_some() { Passing::LentAll } else { Passing::Lent };
        return Some((passing, lent(reference, errors)?));
    }
    if let Some(reference) = optional_reference(types::bare(ty)) {
        let all = inner_reference(reference).is_some();
        let passing = if all { Passing::LentAllOption } else { Passing::LentOption };
        return Some((passing, lent(reference, errors)?));
    }
    is_transportable(ty, errors).then(|| (Passing::Owned, ty.clone()))
}

/// The `&T` of an `Option<&T>`. Should another type be called so, the compiler finds that it is none.
fn optional_reference(ty: &Type) -> Option<&TypeReference> {
    match types::bare(option_of(ty)?) {
        Type::Reference(reference) => Some(reference),
        _ => None,
    }
}

/// The `T` of an `Option<T>`.
fn option_of(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident.unraw() == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match (arguments.args.first()?, arguments.args.len()) {
        (GenericArgument::Type(inner), 1) => Some(inner),
        _ => None,
    }
}

/// The `&T` of a `&[&T]`.
fn inner_reference(reference: &TypeReference) -> Option<&TypeReference> {
    match types::bare(&reference.elem) {
        Type::Slice(slice) => match types::bare(&slice.elem) {
            Type::Reference(inner) => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

/// What is behind a reference, or a reference to a slice of references.
fn lent(reference: &TypeReference, errors: &mut Errors) -> Option<Type> {
    match inner_reference(reference) {
        Some(inner) => {
            // Both are looked at, so that all mistakes are reported.
            let outer = is_shared(reference, errors);
            (lent_one(inner, errors).is_some() && outer).then(|| (*reference.elem).clone())
        }
        None => lent_one(reference, errors),
    }
}

fn lent_one(reference: &TypeReference, errors: &mut Errors) -> Option<Type> {
    if !is_shared(reference, errors) {
        return None;
    }
    let lent = &*reference.elem;
    if let Type::TraitObject(object) = types::bare(lent) {
        errors.at(object, "nobody knows on the other side what type is behind a trait object; name the type");
        return None;
    }
    is_transportable(lent, errors).then(|| lent.clone())
}

/// Whether the reference is one that can be made on the other side.
fn is_shared(reference: &TypeReference, errors: &mut Errors) -> bool {
    if let Some(token) = &reference.mutability {
        errors.at(token, "changes to a parameter would not travel back; write `&T`, and return what is new");
        return false;
    }
    if let Some(lifetime) = reference.lifetime.as_ref().filter(|lifetime| lifetime.ident == "static") {
        errors.at(lifetime, "a parameter is lent for the time of the call; leave the lifetime away");
        return false;
    }
    true
}

/// Reports what cannot be rebuilt on the other side.
fn is_transportable(ty: &Type, errors: &mut Errors) -> bool {
    let mut transportable = true;
    types::walk(&mut ty.clone(), &mut |part| {
        match part {
            Part::Reference(reference) => errors.at(
                reference,
                "a reference within another type has no owner on the other side; use an owned type, as `String` \
                 (only `Option<&T>` and `&[&T]` can be lent)",
            ),
            Part::Impl(bounds) => {
                errors.at(bounds, "what travels must have one type; name it instead of `impl Trait`");
            }
            Part::SelfType(token) => {
                errors.at(token, "the caller has no `Self`, which is the service; name the type");
            }
            Part::Lifetime(_) => return,
        }
        transportable = false;
    });
    transportable
}
