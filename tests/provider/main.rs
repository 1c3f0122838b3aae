//! The cryptography of TLS is chosen by the application. A process of its own, and one test: it is chosen once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use rpc::{
    Connector, Listen, Server,
    transport::tls::{
        SetProviderError, TlsClient,
        rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom, ring},
        set_provider,
    },
};
use rpc_tests::{Authority, echo, soon};
use serde_json::{Value, json};

/// How often random numbers were asked of the provider of this test.
static ASKED: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Counting;

impl SecureRandom for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        ASKED.fetch_add(1, SeqCst);
        ring::default_provider().secure_random.fill(buffer)
    }
}

fn without(change: impl FnOnce(&mut CryptoProvider)) -> Result<(), SetProviderError> {
    let mut provider = ring::default_provider();
    change(&mut provider);
    set_provider(provider)
}

#[tokio::test]
async fn the_provider_that_was_chosen_is_used_and_stays() {
    let lacking = without(|provider| provider.cipher_suites.retain(|suite| suite.tls13().is_none()));
    assert!(matches!(lacking, Err(SetProviderError::Lacks(what)) if what.contains("TLS 1.3")), "{lacking:?}");
    let lacking = without(|provider| provider.kx_groups.clear());
    assert!(matches!(lacking, Err(SetProviderError::Lacks(what)) if what.contains("keys")), "{lacking:?}");

    // Neither was taken.
    set_provider(Arc::new(CryptoProvider { secure_random: &Counting, ..ring::default_provider() }))
        .expect("it is the first");
    assert_eq!(set_provider(ring::default_provider()), Err(SetProviderError::Settled));

    let authority = Authority::new();
    let at = Listen::at("tls://localhost:0").expect("a URL").tls(authority.issue(&["localhost"]).server());
    let server = Server::builder().service(echo()).bind(at).await.expect("a port is free").start();
    let url = format!("tls://localhost:{}", server.endpoint().port().expect("it has one"));
    for client in [authority.trusted(), TlsClient::trusting_anybody()] {
        let before = ASKED.load(SeqCst);
        let session =
            soon(Connector::new(&url).expect("a URL").tls(client).connect()).await.expect("it is trusted");
        let answer: Value = soon(session.call("echo", (1,)).into_future()).await.expect("a reply");
        assert_eq!(answer, json!([1]));
        // Each side says a random number first.
        assert!(ASKED.load(SeqCst) >= before + 2);
        soon(session.close()).await;
    }
    soon(server.shutdown()).await;
}
