//! Receivers and parameters.

use syn::{FnArg, Generics, Ident, Lifetime, Pat, PatType, Receiver, ReceiverKind, Signature, Type};

use crate::attr::{self, ParamWords};
use crate::errors::Errors;
use crate::model::{Param, Passing, Role, WireName};
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
pub(super) fn params(sig: &Signature, errors: &mut Errors) -> Vec<Param> {
    let param = |input: &FnArg| match input {
        FnArg::Typed(input) => param(input, &sig.generics, errors),
        FnArg::Receiver(_) => None,
    };
    sig.inputs.iter().filter_map(param).collect()
}

fn param(input: &PatType, generics: &Generics, errors: &mut Errors) -> Option<Param> {
    let words = ParamWords::read(&input.attrs, errors);
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("cfg")) {
        errors
            .at(attr, "a parameter cannot depend on a condition; write two methods, each with its `#[cfg]`");
    }
    for attr in attr::hidden_conditions(&input.attrs) {
        errors.at(attr, "a parameter cannot depend on a condition");
    }
    let ident = name(&input.pat, errors);
    let role = if words.context {
        context(&input.ty, &words, errors)
    } else {
        wire(input, ident.as_ref(), generics, &words, errors)
    };
    Some(Param { ident: ident?, role: role? })
}

/// The name that a parameter gives its value. It travels, so there must be one.
fn name(pat: &Pat, errors: &mut Errors) -> Option<Ident> {
    match pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none() => {
            Some(pat.ident.clone())
        }
        Pat::Ident(pat) if pat.subpat.is_none() => {
            errors.at(pat, format!("a parameter is a plain name; write `{}`", pat.ident));
            None
        }
        _ => {
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
    match types::bare(ty) {
        Type::Reference(reference) if reference.mutability.is_none() => Some(Role::Context(ty.clone())),
        _ => {
            errors.at(ty, "a context is lent; write `&Context`");
            None
        }
    }
}

fn wire(
    input: &PatType,
    ident: Option<&Ident>,
    generics: &Generics,
    words: &ParamWords,
    errors: &mut Errors,
) -> Option<Role> {
    let passing = passing(&input.ty, generics, errors);
    let name = match &words.name {
        Some(name) if name.value().is_empty() => {
            errors.at(name, "a name cannot be empty");
            return None;
        }
        Some(name) => WireName::from(name),
        None => WireName::of(ident?),
    };
    Some(Role::Wire { name, passing: passing? })
}

fn passing(ty: &Type, generics: &Generics, errors: &mut Errors) -> Option<Passing> {
    let Type::Reference(reference) = types::bare(ty) else {
        return is_transportable(ty, errors).then(|| Passing::Owned(ty.clone()));
    };
    if let Some(token) = &reference.mutability {
        errors.at(token, "changes to a parameter would not travel back; write `&T`, and return what is new");
        return None;
    }
    // The method's own lifetimes have been reported where they are declared.
    let declared = |lifetime: &Lifetime| generics.lifetimes().any(|param| param.lifetime == *lifetime);
    let named = |lifetime: &&Lifetime| lifetime.ident != "_" && !declared(lifetime);
    if let Some(lifetime) = reference.lifetime.as_ref().filter(named) {
        errors.at(lifetime, "a parameter is lent for the time of the call; leave the lifetime away");
        return None;
    }
    let lent = &*reference.elem;
    is_transportable(lent, errors).then(|| Passing::Lent(lent.clone()))
}

/// Reports what cannot be rebuilt on the other side.
fn is_transportable(ty: &Type, errors: &mut Errors) -> bool {
    let mut transportable = true;
    types::walk(&mut ty.clone(), &mut |part| {
        match part {
            Part::Reference(reference) => errors.at(
                reference,
                "a reference within another type has no owner on the other side; use an owned type, as `String`",
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
