//! A slice of the Electrum protocol, over TLS: six traits served by one value, subscriptions whose reply is the first item, and clients of
//! JSON-RPC 1.0 beside those of 2.0.
//!
//! `cargo run --example electrum` starts a server and a wallet that talks to it. `cargo run --example electrum -- URL` asks a server that is
//! there already, such as `tls://electrum.example.org:50002`. With `--tor` the wallet goes through the Tor of this machine, and with
//! `--proxy socks5://HOST:PORT` through some other proxy.

mod chain;
mod old_wallet;
mod protocol;
mod server;
mod wallet;

use std::{env, error::Error, sync::Arc};

use rpc::{
    Connector, Session,
    transport::{
        socks::{Proxied, SocksProxy},
        tls::{Certificates, Identity, PeerCertificates, TlsClient, TlsServer},
    },
};

use crate::chain::Index;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut url, mut proxy) = (None, None);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--tor" => proxy = Some(SocksProxy::tor()),
            "--proxy" => proxy = Some(arguments.next().ok_or("--proxy takes a URL")?.parse()?),
            _ => url = Some(argument),
        }
    }
    match url {
        None => among_us(proxy).await,
        Some(url) => {
            let session = meet(&url, proxy).await?;
            wallet::ask_who_is_there(&session).await
        }
    }
}

/// Both sides are here.
async fn among_us(proxy: Option<SocksProxy>) -> Result<(), Box<dyn Error>> {
    // Made on the spot. Electrum's servers do not need anybody to vouch for them.
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let identity = Identity::from_pem(certified.cert.pem(), certified.signing_key.serialize_pem())?;

    let index = Arc::new(Index::default());
    let server = server::start(&index, TlsServer::new(identity)).await?;
    let [over_tls, over_tcp] = server.endpoints() else { return Err("it listens twice".into()) };

    let session = meet(&over_tls.to_string(), proxy).await?;
    wallet::ask_who_is_there(&session).await?;
    wallet::follow_a_payment(&session, &index).await?;
    old_wallet::connect(over_tcp, &index).await?;
    server.shutdown().await;
    Ok(())
}

/// The certificate that a server shows at the first meeting is the one that it must show from then on, as Electrum does it.
async fn meet(url: &str, proxy: Option<SocksProxy>) -> Result<Session, Box<dyn Error>> {
    let first = connect(url, TlsClient::trusting_anybody(), proxy.clone()).await?;
    let shown = first.extensions().get::<PeerCertificates>().ok_or("only tls:// is spoken here")?;
    first.close().await;
    println!("0. {url} shows a certificate of {} bytes, which a wallet keeps", shown.end_entity().len());

    let session =
        connect(url, TlsClient::pinned(Certificates::from_der([shown.end_entity()]))?, proxy).await?;
    if let Some(by_way_of) = session.extensions().get::<Proxied>() {
        println!("   connected by way of {}", by_way_of.proxy);
    }
    Ok(session)
}

async fn connect(url: &str, tls: TlsClient, proxy: Option<SocksProxy>) -> Result<Session, Box<dyn Error>> {
    let connector = Connector::new(url)?.tls(tls);
    let connector = match proxy {
        Some(proxy) => connector.proxy(proxy),
        None => connector,
    };
    Ok(connector.connect().await?)
}
