//! Finds the parts of a type that matter to us, at any depth.

use proc_macro2::Span;
use syn::{
    GenericArgument, Ident, Lifetime, Path, PathArguments, Type, TypeImplTrait, TypeParamBound, TypeReference,
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
        Type::Array(array) => walk(&mut array.elem, visit),
        Type::Group(group) => walk(&mut group.elem, visit),
        Type::Paren(paren) => walk(&mut paren.elem, visit),
        Type::Ptr(pointer) => walk(&mut pointer.elem, visit),
        Type::Slice(slice) => walk(&mut slice.elem, visit),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(|ty| walk(ty, visit)),
        Type::ImplTrait(bounds) => visit(Part::Impl(bounds)),
        Type::Reference(reference) => {
            visit(Part::Reference(reference));
            walk(&mut reference.elem, visit);
        }
        Type::Path(path) => {
            if let Some(qself) = &mut path.qself {
                walk(&mut qself.ty, visit);
            }
            walk_path(&mut path.path, visit);
        }
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
}

fn walk_path(path: &mut Path, visit: &mut dyn FnMut(Part<'_>)) {
    if let Some(first) = path.segments.first().filter(|first| first.ident == "Self") {
        visit(Part::SelfType(&first.ident));
    }
    for segment in &mut path.segments {
        let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else { continue };
        for argument in &mut arguments.args {
            match argument {
                GenericArgument::Lifetime(lifetime) => visit(Part::Lifetime(lifetime)),
                GenericArgument::Type(ty) => walk(ty, visit),
                GenericArgument::AssocType(assoc) => walk(&mut assoc.ty, visit),
                _ => {}
            }
        }
    }
}

/// `ty` with every lifetime that it leaves open called `name`.
pub(crate) fn with_lifetime(ty: &Type, name: &str) -> Type {
    let mut ty = ty.clone();
    let named = |span: Span| Lifetime::new(name, span);
    walk(&mut ty, &mut |part| match part {
        Part::Lifetime(lifetime) if lifetime.ident == "_" => *lifetime = named(lifetime.span()),
        Part::Reference(TypeReference { lifetime: Some(lifetime), .. }) if lifetime.ident == "_" => {
            *lifetime = named(lifetime.span());
        }
        Part::Reference(reference) if reference.lifetime.is_none() => {
            reference.lifetime = Some(named(reference.and_token.span));
        }
        _ => {}
    });
    ty
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
