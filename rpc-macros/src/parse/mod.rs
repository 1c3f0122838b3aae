//! From syntax to the model. Reads, and reports every mistake at its token; changes and generates nothing.

mod error;
mod generics;
mod method;
mod param;
mod params;
mod reply;
mod service;
mod subscription;
mod variants;

pub(crate) use error::{error_type, place};
pub(crate) use generics::{generics, repair as repair_generics};
pub(crate) use reply::probe;
pub(crate) use service::{names, service, visible_method};
pub(crate) use subscription::stream;

use syn::Ident;
use syn::ext::IdentExt;

use crate::attr::Case;
use crate::model::WireName;

/// How things are called on the wire that were not given a name.
#[derive(Clone, Copy)]
struct Naming(Option<Case>);

impl Naming {
    fn name(self, ident: &Ident) -> WireName {
        match self.0 {
            Some(case) => WireName::new(&case.apply(&ident.unraw().to_string()), ident.span()),
            None => WireName::of(ident),
        }
    }
}
