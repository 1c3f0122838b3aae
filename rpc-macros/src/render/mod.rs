//! From the model to code. Reports nothing: what gets here is right.
//!
//! Two rules keep the user's names and ours apart. Items are named by absolute paths, through the runtime's `private`
//! where the runtime is not theirs. Local variables beside the user's parameters are made by [`local`].

mod arm;
mod auto_impl;
pub(crate) mod client;
mod error;
pub(crate) mod generics;
pub(crate) mod server;
mod service_trait;
mod table;

pub(crate) use error::error_type;
pub(crate) use service_trait::desugared;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, ItemTrait, Path};

use crate::model::{Items, Kind, Method, Reply, Service};
use crate::types::path_at;

/// All that a service expands to.
pub(crate) fn service(item: &ItemTrait, service: &Service) -> TokenStream {
    let service_trait = service_trait::service_trait(item, service.halves);
    let auto_impls = service.auto_impl.then(|| auto_impl::auto_impls(item, service));
    let client = service.halves.client.then(|| client::client(service));
    let server = service.halves.server.then(|| server::server(service));
    quote! {
        #service_trait
        #auto_impls
        #client
        #server
    }
}

/// A local variable that no name of the user's can mean, even the same one.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Where generated code says that it stands, so that an error within it points at what it was generated for.
pub(crate) fn at(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// Where an error about the reply stands: at its type.
fn reply_span(method: &Method) -> Span {
    at(match &method.kind {
        Kind::Request(reply) => reply.ty.span(),
        Kind::Subscription(subscription) => subscription.reply.ty.span(),
        Kind::Notification => method.ident.span(),
    })
}

/// A type as an expression that stands where the type does.
fn of(runtime: &Path, ty: &(impl ToTokens + Spanned)) -> TokenStream {
    let span = at(ty.span());
    let runtime = path_at(runtime, span);
    quote_spanned!(span=> #runtime::private::Of::<#ty>)
}

/// The same identifier, said to stand at `span`.
fn relocated(ident: &Ident, span: Span) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(ident.span().located_at(span));
    ident
}

/// Whether `reply` is a `Result`, as a const argument; none if it can be seen not to be one.
///
/// The compiler decides: an associated const of `Probe<Result<..>>` itself is found before that of the trait `Plain`,
/// which every `Probe<T>` has. So the trait must be in scope, by [`plain_in_scope`].
fn fallible(runtime: &Path, reply: &Reply) -> Option<TokenStream> {
    reply.probe.as_ref().map(|ty| quote!(#runtime::private::Probe::<#ty>::FALLIBLE))
}

/// Whether the items of a stream are `Result`s, as a const argument; none if they can be seen not to be.
fn fallible_items(runtime: &Path, items: &Items) -> Option<TokenStream> {
    items.probe.as_ref().map(|ty| quote!(#runtime::private::Probe::<#ty>::FALLIBLE))
}

/// What [`fallible`] needs around it.
fn plain_in_scope(runtime: &Path) -> TokenStream {
    quote! {
        #[allow(unused_imports)]
        use #runtime::private::Plain as _;
    }
}
