//! Reads a list of words. Knows the shapes `name`, `name = value` and `name(values)`, and nothing of what a word means. (What a value may be
//! is said in `value`.)

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::{Attribute, Ident, Meta};

use super::{HELPER, Place};
use crate::errors::Errors;

/// What most words look like.
const SHAPES: &str = "expected `name` or `name = value`";

/// One word of a list, known to be allowed where it stands.
pub(super) struct Word {
    /// Without `r#`.
    pub(super) name: Ident,
    pub(super) value: Option<TokenStream>,
    /// What stands in parentheses behind it.
    pub(super) list: Option<TokenStream>,
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
        } else if word.list.is_some() && !place.takes_list(&name) {
            errors.at(TokenStream::from_iter(entry), SHAPES);
        } else if !place.repeats(&name) && words.iter().any(|earlier| earlier.name == word.name) {
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
            [TokenTree::Ident(name)] => Ok(Self { name: name.unraw(), value: None, list: None }),
            [TokenTree::Ident(name), TokenTree::Group(list)]
                if list.delimiter() == Delimiter::Parenthesis =>
            {
                Ok(Self { name: name.unraw(), value: None, list: Some(list.stream()) })
            }
            [TokenTree::Ident(_), TokenTree::Punct(eq)] if eq.as_char() == '=' => {
                wrong(entry, "there is no value after `=`")
            }
            [TokenTree::Ident(name), TokenTree::Punct(eq), value @ ..] if eq.as_char() == '=' => {
                Ok(Self { name: name.unraw(), value: Some(value.iter().cloned().collect()), list: None })
            }
            _ => wrong(entry, SHAPES),
        }
    }
}
