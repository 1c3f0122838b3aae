//! The grammar of attributes: lists of words, each `name` or `name = value`.
//!
//! A [`Place`] says which words may stand there. [`word`] reads the lists, and [`words`] turns them into one struct a
//! place. A word that is unknown, misplaced or repeated is reported, and the rest of its list is still read.

mod keep;
mod place;
mod word;
mod words;

pub(crate) use keep::{conditions, docs, for_client, hidden_conditions, without_helpers};
pub(crate) use place::Place;
pub(crate) use word::refuse;
pub(crate) use words::{ErrorWords, MethodWords, ParamWords, ServiceWords, VariantWords};

/// The helper attribute, written `#[rpc(..)]`.
const HELPER: &str = "rpc";
