//! A slice of the Electrum protocol, over TLS: six traits served by one value, subscriptions whose reply is the first item, and clients of
//! JSON-RPC 1.0 beside those of 2.0.
//!
//! `cargo run --example electrum` starts a server and a wallet that talks to it. `cargo run --example electrum -- URL` asks a server that is
//! there already, such as `tls://electrum.example.org:50002`.

mod chain;
mod old_wallet;
mod protocol;
mod server;
mod wallet;

use std::{env, error::Error, sync::Arc};

use rpc::{
    Connector, Session,
    transport::tls::{Certificates, Identity, PeerCertificates, TlsClient, TlsServer},
};

use crate::chain::Index;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        None => among_us().await,
        Some(url) => elsewhere(&url).await,
    }
}

/// Both sides are here.
async fn among_us() -> Result<(), Box<dyn Error>> {
    // Made on the spot. Electrum's servers do not need anybody to vouch for them.
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = Certificates::from_pem(certified.cert.pem())?;
    let identity = Identity::from_pem(certified.cert.pem(), certified.signing_key.serialize_pem())?;

    let index = Arc::new(Index::default());
    let server = server::start(&index, TlsServer::new(identity)).await?;
    let [over_tls, over_tcp] = server.endpoints() else { return Err("it listens twice".into()) };

    let session = connect(&over_tls.to_string(), TlsClient::pinned(certificate)?).await?;
    wallet::ask_who_is_there(&session).await?;
    wallet::follow_a_payment(&session, &index).await?;
    old_wallet::connect(over_tcp, &index).await?;
    server.shutdown().await;
    Ok(())
}

/// The certificate that a server shows at the first meeting is the one that it must show from then on, as Electrum does it.
async fn elsewhere(url: &str) -> Result<(), Box<dyn Error>> {
    let first = connect(url, TlsClient::trusting_anybody()).await?;
    let shown = first.extensions().get::<PeerCertificates>().ok_or("a tls:// URL")?.clone();
    first.close().await;
    println!("The server shows a certificate of {} bytes. A wallet would keep it", shown.end_entity().len());

    let pinned = TlsClient::pinned(Certificates::from_der([shown.end_entity()]))?;
    let session = connect(url, pinned).await?;
    wallet::ask_who_is_there(&session).await?;
    session.close().await;
    Ok(())
}

async fn connect(url: &str, tls: TlsClient) -> Result<Session, Box<dyn Error>> {
    Ok(Connector::new(url)?.tls(tls).connect().await?)
}
