//! Finds and replaces the parts of a type that matter to us, at any depth.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    GenericArgument, Ident, Lifetime, Path, PathArguments, Type, TypeImplTrait, TypeParamBound,
    TypeReference, parse_quote, parse_quote_spanned,
};

/// A part of a type.
pub(crate) enum Part<'a> {
    /// `&T`, `&'a T`, `&mut T`. Its target is visited afterwards.
    Reference(&'a mut TypeReference),
    /// `'a` or `'_`, other than that of a reference.
    Lifetime(&'a mut Lifetime),
    /// `Self`, alone or at the start of a path.
    SelfType(&'a Ident),
    /// `impl Trait`.
    Impl(&'a mut TypeImplTrait),
}

/// Shows every part of `ty` to `visit`. What stands in the signature of a function pointer or of an `Fn` bound has
/// lifetimes of its own, and is left alone.
pub(crate) fn walk(ty: &mut Type, visit: &mut dyn FnMut(Part<'_>)) {
    match ty {
        Type::ImplTrait(bounds) => visit(Part::Impl(bounds)),
        Type::Reference(reference) => visit(Part::Reference(reference)),
        Type::Path(path) => walk_path(&mut path.path, visit),
        Type::TraitObject(object) => {
            for bound in &mut object.bounds {
                match bound {
                    TypeParamBound::Trait(bound) => walk_path(&mut bound.path, visit),
                    TypeParamBound::Lifetime(lifetime) => visit(Part::Lifetime(lifetime)),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    for_each_inner(ty, &mut |inner| walk(inner, visit));
}

/// The parts of a path that are no types.
fn walk_path(path: &mut Path, visit: &mut dyn FnMut(Part<'_>)) {
    if let Some(first) = path.segments.first().filter(|first| first.ident == "Self") {
        visit(Part::SelfType(&first.ident));
    }
    for_each_argument(path, &mut |argument| {
        if let GenericArgument::Lifetime(lifetime) = argument {
            visit(Part::Lifetime(lifetime));
        }
    });
}

/// The types that `ty` is made of.
fn for_each_inner(ty: &mut Type, visit: &mut dyn FnMut(&mut Type)) {
    match ty {
        Type::Array(array) => visit(&mut array.elem),
        Type::Group(group) => visit(&mut group.elem),
        Type::Paren(paren) => visit(&mut paren.elem),
        Type::Ptr(pointer) => visit(&mut pointer.elem),
        Type::Slice(slice) => visit(&mut slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(visit),
        Type::Reference(reference) => visit(&mut reference.elem),
        Type::Path(path) => {
            if let Some(qself) = &mut path.qself {
                visit(&mut qself.ty);
            }
            for_each_type_argument(&mut path.path, visit);
        }
        Type::TraitObject(object) => {
            for bound in &mut object.bounds {
                if let TypeParamBound::Trait(bound) = bound {
                    for_each_type_argument(&mut bound.path, visit);
                }
            }
        }
        _ => {}
    }
}

fn for_each_type_argument(path: &mut Path, visit: &mut dyn FnMut(&mut Type)) {
    for_each_argument(path, &mut |argument| match argument {
        GenericArgument::Type(ty) => visit(ty),
        GenericArgument::AssocType(assoc) => visit(&mut assoc.ty),
        _ => {}
    });
}

fn for_each_argument(path: &mut Path, visit: &mut dyn FnMut(&mut GenericArgument)) {
    for segment in &mut path.segments {
        if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
            arguments.args.iter_mut().for_each(&mut *visit);
        }
    }
}

/// Puts what `replace` gives in place of every `impl Trait` in `ty`.
pub(crate) fn replace_impl(ty: &mut Type, replace: &mut dyn FnMut(&TypeImplTrait) -> Type) {
    if let Type::ImplTrait(bounds) = ty {
        *ty = replace(bounds);
    } else {
        for_each_inner(ty, &mut |inner| replace_impl(inner, replace));
    }
}

/// `ty` with `'static` for every lifetime.
pub(crate) fn with_static(ty: &Type) -> Type {
    let mut ty = ty.clone();
    let named = |span: Span| Lifetime::new("'static", span);
    walk(&mut ty, &mut |part| match part {
        Part::Lifetime(lifetime) => *lifetime = named(lifetime.span()),
        Part::Reference(reference) => {
            let span = reference.lifetime.as_ref().map_or(reference.and_token.span, Lifetime::span);
            reference.lifetime = Some(named(span));
        }
        _ => {}
    });
    ty
}

/// `ty` as a parameter whose lifetimes have no names, but for `'static`.
pub(crate) fn elided(ty: &Type) -> Type {
    let mut ty = ty.clone();
    walk(&mut ty, &mut |part| match part {
        Part::Lifetime(lifetime) if lifetime.ident != "static" => {
            *lifetime = Lifetime::new("'_", lifetime.span());
        }
        Part::Reference(TypeReference { lifetime, .. })
            if lifetime.as_ref().is_some_and(|lifetime| lifetime.ident != "static") =>
        {
            *lifetime = None;
        }
        _ => {}
    });
    ty
}

/// `ty` as those have it who were sent it: `&T` is what `runtime` reads in its place, and nothing is borrowed.
pub(crate) fn owned(ty: &Type, runtime: &Path) -> Type {
    fn replace_references(ty: &mut Type, runtime: &Path) {
        for_each_inner(ty, &mut |inner| replace_references(inner, runtime));
        if let Type::Reference(TypeReference { elem, .. }) = ty {
            let span = Span::call_site().located_at(elem.span());
            let runtime = path_at(runtime, span);
            *ty = parse_quote_spanned!(span=> #runtime::private::Owned<#elem>);
        }
    }
    let mut ty = with_static(ty);
    replace_references(&mut ty, runtime);
    ty
}

/// A type that is a `Result` if `ty` is one, and that does not mention the parameters `params`, of which nothing can be asked
/// before they are known; none if `ty` itself is one of them.
///
/// What a `Result` or an alias of one is given does not make it one: `()` stands for every argument that mentions a
/// parameter.
pub(crate) fn without_params(ty: &Type, params: &[&Ident]) -> Option<Type> {
    if !mentions(ty, params) {
        return Some(ty.clone());
    }
    let mut ty = ty.clone();
    for_each_inner(&mut ty, &mut |inner| {
        if mentions(inner, params) {
            *inner = parse_quote!(());
        }
    });
    let Type::Path(path) = &mut ty else { return Some(ty) };
    for_each_argument(&mut path.path, &mut |argument| {
        // The length of an array, for one.
        if mentions(argument, params) {
            *argument = parse_quote!(0);
        }
    });
    // `T::Item` is a value, as `T` is.
    let known = path.qself.is_none() && !mentions(path, params);
    known.then_some(ty)
}

/// Whether any of `names` stands in `tokens`.
pub(crate) fn mentions(tokens: &impl ToTokens, names: &[&Ident]) -> bool {
    fn any(tokens: TokenStream, names: &[&Ident]) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => names.contains(&&ident),
            TokenTree::Group(group) => any(group.stream(), names),
            _ => false,
        })
    }
    !names.is_empty() && any(tokens.to_token_stream(), names)
}

/// `path`, said to stand at `span`. (What is made of tokens from two places is said to stand at the attribute.)
pub(crate) fn path_at(path: &Path, span: Span) -> Path {
    let mut path = path.clone();
    let located = |token: Span| token.located_at(span);
    if let Some(colons) = &mut path.leading_colon {
        colons.spans = colons.spans.map(located);
    }
    for pair in path.segments.pairs_mut() {
        let (segment, colons) = pair.into_tuple();
        segment.ident.set_span(located(segment.ident.span()));
        if let Some(colons) = colons {
            colons.spans = colons.spans.map(located);
        }
    }
    path
}

/// `ty` without the parentheses and invisible groups around it.
pub(crate) fn bare(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Paren(paren) => &paren.elem,
            Type::Group(group) => &group.elem,
            _ => return ty,
        };
    }
}
