//! SOCKS proxies, played byte by byte: what they are asked, what they may answer, and what is made of it.

mod asked;
mod detected;
mod failures;
mod granted;
pub(crate) mod script;

use rpc::{
    ConnectError, Connector, Session,
    transport::socks::{SocksError, SocksProxy},
};
use rpc_tests::soon;

/// A session with `url` by way of `proxy`.
async fn connected(url: &str, proxy: SocksProxy) -> Result<Session, ConnectError> {
    soon(Connector::new(url).expect("a URL").proxy(proxy).connect()).await
}

/// Why there is no session with `url` by way of `proxy`.
async fn failure(url: &str, proxy: SocksProxy) -> SocksError {
    match connected(url, proxy).await.expect_err("the proxy does not connect") {
        ConnectError::Socks { source, .. } => source,
        other => panic!("it is not about the proxy: {other}"),
    }
}
