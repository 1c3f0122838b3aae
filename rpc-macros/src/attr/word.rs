//! Reads a list of words. Knows the shape `name` or `name = value`, and nothing of what a word means.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Ident, LitInt, LitStr, Meta, Path, Token};

use super::{HELPER, Place};
use crate::errors::Errors;

/// One word of a list, known to be allowed where it stands.
pub(super) struct Word {
    /// Without `r#`.
    pub(super) name: Ident,
    value: Option<TokenStream>,
}

/// The words of the helper attributes among `attrs`.
pub(super) fn of_helpers(attrs: &[Attribute], place: Place, errors: &mut Errors) -> Vec<Word> {
    let mut words = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(HELPER)) {
        match &attr.meta {
            Meta::List(list) => read(list.tokens.clone(), place, &mut words, errors),
            other => {
                errors.at(other, format!("write `#[rpc(..)]` with a list of words, of {}", place.listed()));
            }
        }
    }
    words
}

/// The words of the arguments of an attribute.
pub(super) fn of_arguments(tokens: TokenStream, place: Place, errors: &mut Errors) -> Vec<Word> {
    let mut words = Vec::new();
    read(tokens, place, &mut words, errors);
    words
}

/// Reports helper attributes where none may stand.
pub(crate) fn refuse(attrs: &[Attribute], message: &str, errors: &mut Errors) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(HELPER)) {
        errors.at(attr, message);
    }
}

fn read(tokens: TokenStream, place: Place, words: &mut Vec<Word>, errors: &mut Errors) {
    for entry in split_at_commas(tokens) {
        let word = match Word::read(&entry) {
            Ok(word) => word,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let name = word.name.to_string();
        if let Some(objection) = place.objection(&name) {
            errors.at(&word.name, objection);
        } else if words.iter().any(|earlier| earlier.name == word.name) {
            errors.at(&word.name, format!("`{name}` is already given; leave one of the two away"));
        } else {
            words.push(word);
        }
    }
}

/// Each entry of a list by itself, so that a mistake in one does not hide those in the others.
fn split_at_commas(tokens: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut entries = vec![Vec::new()];
    for token in tokens {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => entries.push(Vec::new()),
            _ => entries.last_mut().expect("there is always a last entry").push(token),
        }
    }
    entries.retain(|entry| !entry.is_empty());
    entries
}

impl Word {
    fn read(entry: &[TokenTree]) -> syn::Result<Self> {
        let wrong = |tokens: &[TokenTree], message| {
            let tokens: TokenStream = tokens.iter().cloned().collect();
            Err(syn::Error::new_spanned(tokens, message))
        };
        match entry {
            [TokenTree::Ident(name)] => Ok(Self { name: name.unraw(), value: None }),
            [TokenTree::Ident(_), TokenTree::Punct(eq)] if eq.as_char() == '=' => {
                wrong(entry, "there is no value after `=`")
            }
            [TokenTree::Ident(name), TokenTree::Punct(eq), value @ ..] if eq.as_char() == '=' => {
                Ok(Self { name: name.unraw(), value: Some(value.iter().cloned().collect()) })
            }
            _ => wrong(entry, "expected `name` or `name = value`"),
        }
    }

    /// A word without a value.
    pub(super) fn flag(&self, errors: &mut Errors) {
        if let Some(value) = &self.value {
            errors.at(value, format!("`{0}` takes no value; write just `{0}`", self.name));
        }
    }

    /// `name = "text"`.
    pub(super) fn string(&self, errors: &mut Errors) -> Option<LitStr> {
        let value = self.value(r#""..""#, errors)?;
        let parsed = syn::parse2::<LitStr>(value.clone()).ok().filter(|string| string.suffix().is_empty());
        if parsed.is_none() {
            errors.at(value, format!(r#"`{0}` takes a string; write `{0} = ".."`"#, self.name));
        }
        parsed
    }

    /// `name = path::to::something`. A quoted path is reported but still understood, so that nothing follows from it.
    pub(super) fn path(&self, errors: &mut Errors) -> Option<Path> {
        let value = self.value("path::to::it", errors)?;
        let parse = |tokens| syn::parse::Parser::parse2(Path::parse_mod_style, tokens).ok();
        if let Some(path) = parse(value.clone()) {
            return Some(path);
        }
        let meant = syn::parse2::<LitStr>(value.clone())
            .ok()
            .and_then(|quoted| quoted.parse_with(Path::parse_mod_style).ok());
        let example = meant.as_ref().map_or_else(|| "path::to::it".to_owned(), spelled);
        errors.at(value, format!("`{0}` takes a path; write `{0} = {example}`", self.name));
        meant
    }

    /// `name = -5`. The tokens are given back with the number, for what is to be said of it later.
    pub(super) fn integer(&self, errors: &mut Errors) -> Option<(i64, TokenStream)> {
        let value = self.value("-5", errors)?;
        let number = syn::parse::Parser::parse2(
            |input: syn::parse::ParseStream<'_>| {
                let minus: Option<Token![-]> = input.parse()?;
                let digits: LitInt = input.parse()?;
                Ok((minus.is_some(), digits))
            },
            value.clone(),
        );
        let Ok((negative, digits)) = number else {
            errors.at(value, format!("`{0}` takes an integer; write `{0} = 1`, `{0} = -5`", self.name));
            return None;
        };
        if !digits.suffix().is_empty() {
            errors.at(value, format!("`{}` takes an integer without a suffix", self.name));
            return None;
        }
        // The sign is parsed with the digits: the least `i64` has no positive counterpart.
        let sign = if negative { "-" } else { "" };
        let number = format!("{sign}{}", digits.base10_digits()).parse();
        if number.is_err() {
            errors.at(value, format!("`{}` must fit into 64 bits", self.name));
        }
        Some((number.ok()?, value.clone()))
    }

    fn value(&self, example: &str, errors: &mut Errors) -> Option<&TokenStream> {
        if self.value.is_none() {
            errors.at(&self.name, format!("`{0}` needs a value; write `{0} = {example}`", self.name));
        }
        self.value.as_ref()
    }
}

/// A path without the spaces that printing tokens puts into it.
fn spelled(path: &Path) -> String {
    quote!(#path).to_token_stream().to_string().replace(' ', "")
}
