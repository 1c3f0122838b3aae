//! SOCKS proxies, versions 4, 4a and 5: asking one to connect to somebody, and finding out whether there is one.
//!
//! [`Connector::proxy`](crate::Connector::proxy) takes a [`SocksProxy`], and so does an HTTP client. Needs the feature `socks`.

// The client of the protocol is our own: `tokio-socks` tells neither at which step a proxy has hung up, which is how some refuse credentials,
// nor the code of a reply that it does not know; it takes a bound name that is not UTF-8 for a failure, and panics at a long name after a
// long user id.

mod address;
mod connect;
mod credentials;
mod detect;
mod error;
mod proxy;
mod reply;
mod talk;
mod url;
mod v4;
mod v5;

pub use address::{Proxied, SocksAddress};
pub(crate) use connect::connect;
pub(crate) use error::ByWayOf;
pub use error::{SocksError, SocksStep};
pub use proxy::{SocksProxy, SocksVersion};
pub use reply::SocksReply;
pub use url::SocksUrlError;
