//! What can be wrong with the parameters of a method together.

use syn::LitStr;

use crate::attr::MethodWords;
use crate::errors::Errors;
use crate::model::{Extent, Param, Role, Unknown, WireName, WireParam};

/// The longest list of parameters that the runtime can decode: tuples have to end somewhere.
const MOST_PARAMS: usize = 16;

pub(super) fn check(params: &[Param], words: &MethodWords, errors: &mut Errors) {
    check_contexts(params, errors);
    let wire: Vec<_> = params.iter().filter_map(|param| Some((param, param.wire()?))).collect();
    if let Some((whole, _)) = wire.iter().find(|(_, param)| param.extent == Extent::Whole) {
        check_whole(whole, &wire, words, errors);
    } else {
        check_names(&wire, errors);
        check_rest(&wire, errors);
        check_unknown(&wire, words, errors);
    }
    check_empty(&wire, words, errors);
    if let Some((param, _)) = wire.get(MOST_PARAMS) {
        errors.at(
            &param.ident,
            format!("a method takes at most {MOST_PARAMS} parameters; put some into a struct"),
        );
    }
}

fn check_contexts(params: &[Param], errors: &mut Errors) {
    let contexts = params.iter().filter(|param| matches!(param.role, Role::Context(_)));
    for param in contexts.skip(1) {
        errors.at(&param.ident, "there is already a context; leave one of the two away");
    }
}

fn check_whole(whole: &Param, wire: &[(&Param, &WireParam)], words: &MethodWords, errors: &mut Errors) {
    let whole = &whole.ident;
    for (param, _) in wire.iter().filter(|(param, _)| param.ident != *whole) {
        errors.at(&param.ident, format!("`{whole}` is the whole of the parameters; put this into it"));
    }
    if let Some((word, _)) = &words.params {
        errors.at(word, format!("the type of `{whole}` says how it is sent; leave `params` away"));
    }
    if let Some((word, _)) = &words.allow_unknown {
        errors.at(word, format!("the type of `{whole}` says what it takes; leave `allow_unknown` away"));
    }
}

fn check_names(wire: &[(&Param, &WireParam)], errors: &mut Errors) {
    // Which of those under a condition exist is not known here.
    let unconditional = wire.iter().filter(|(param, _)| param.conditions.is_empty());
    let mut names: Vec<&WireName> = Vec::new();
    for (_, WireParam { name, .. }) in unconditional {
        if names.contains(&name) {
            let message = format!(
                "two parameters have the name `{name}` on the wire; \
                 give this one another with `#[rpc(name = \"..\")]`"
            );
            errors.push(syn::Error::new(name.span(), message));
        }
        names.push(name);
    }
}

/// What a method names is not unknown to it.
fn check_unknown(wire: &[(&Param, &WireParam)], words: &MethodWords, errors: &mut Errors) {
    let Some((_, Unknown::Named(names))) = &words.allow_unknown else { return };
    let own = |name: &&LitStr| {
        let unconditional = wire.iter().filter(|(param, _)| param.conditions.is_empty());
        let mut names = unconditional.map(|(_, wire)| wire.name.to_string());
        names.any(|own| own == name.value())
    };
    for name in names.iter().filter(own) {
        let message = format!("`{}` is a parameter of this method; leave it away here", name.value());
        errors.at(name, message);
    }
}

/// There are no empty parameters where there is always one.
fn check_empty(wire: &[(&Param, &WireParam)], words: &MethodWords, errors: &mut Errors) {
    let Some((word, _)) = &words.empty_params else { return };
    let always =
        wire.iter().find(|(param, wire)| param.conditions.is_empty() && wire.extent == Extent::Single);
    if let Some((Param { ident, .. }, _)) = always {
        errors.at(word, format!("`{ident}` is always sent; leave `empty_params` away"));
    }
}

fn check_rest(wire: &[(&Param, &WireParam)], errors: &mut Errors) {
    let Some((_, before)) = wire.split_last() else { return };
    for (param, _) in before.iter().filter(|(_, wire)| wire.extent == Extent::Rest) {
        errors.at(&param.ident, "the rest comes last; move this behind the other parameters");
    }
}
