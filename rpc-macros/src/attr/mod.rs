//! The grammar of attributes: lists of words, each `name` or `name = value`, or for few of them `name("value", ..)`.
//!
//! A [`Place`] says which words may stand there. [`word`] reads the lists, [`value`] what stands behind a word, and
//! [`words`] turns them into one struct a place. A word that is unknown, misplaced or repeated is reported, and the rest
//! of its list is still read.

mod case;
mod error_words;
mod keep;
mod place;
mod value;
mod word;
mod words;

pub(crate) use case::Case;
pub(crate) use error_words::{ErrorWords, VariantWords};
pub(crate) use keep::{conditions, docs, for_client, hidden_conditions, is_doc, is_ours, without_helpers};
pub(crate) use place::Place;
pub(crate) use word::refuse;
pub(crate) use words::{MethodWords, ParamWords, ServiceWords, SubscriptionWords};

use syn::{Path, parse_quote};

/// The helper attribute, written `#[rpc(..)]`.
const HELPER: &str = "rpc";

/// The crate that an expansion names.
fn runtime(given: Option<&Path>) -> Path {
    given.cloned().unwrap_or_else(|| parse_quote!(::rpc))
}
