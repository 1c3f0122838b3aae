//! Every client of this crate at every server of it.

use std::time::{Duration, Instant};

use rpc::{Connector, Listen, ServerHandle};
use rpc_tests::{Events, Issued, settled, soon};
use tracing::Level;

use super::{
    says,
    speech::{FRAMINGS, Framing, Layer, Speech, Tls},
};

fn tls() -> Tls {
    let issued = Issued::by_itself(&["localhost"]);
    Tls { server: issued.server(), client: issued.pinned() }
}

fn servers() -> Vec<Speech> {
    let plain = FRAMINGS.map(Layer::Messages).into_iter().chain([Layer::Http, Layer::WebSocket]);
    let secure = [Framing::Lines, Framing::Headers].map(Layer::Messages).into_iter();
    let secure = secure.chain([Layer::Http, Layer::WebSocket]);
    let plain = plain.map(|layer| Speech::new(layer, false));
    plain.chain(secure.map(|layer| Speech::new(layer, true))).collect()
}

fn clients() -> Vec<Speech> {
    let http2 = [false, true].map(|tls| Speech::new(Layer::Http2, tls));
    servers().into_iter().chain(http2).collect()
}

/// What has to be in the error of a client at a server that does not understand it: the first bytes
/// that it has received, or that the server says that it has; what they look like; what to use.
fn facts(client: Speech, server: Speech) -> Vec<&'static str> {
    let with_tls = match client.layer {
        Layer::Messages(_) => "`tls://`",
        Layer::Http | Layer::Http2 => "`https://`",
        Layer::WebSocket => "`wss://`",
    };
    match (client.layer, server.layer) {
        // A fatal alert: what a server answers to what is no handshake (RFC 8446, 6).
        _ if server.tls && !client.tls => vec![r"`\x15\x03", "TLS", with_tls],
        (_, Layer::Messages(framing)) if client.tls && !server.tls => {
            let [_, _, beginning] = framing.facts();
            vec!["does not speak TLS", "JSON-RPC", beginning, "`tcp://`"]
        }
        _ if client.tls && !server.tls => {
            vec!["does not speak TLS", "HTTP", "`HTTP/1.1 400 Bad Request", "`http://`", "`ws://`"]
        }
        (Layer::Messages(sent), Layer::Messages(expected)) => {
            let [sent, _, beginning] = sent.facts();
            let [spoken, framer, _] = expected.facts();
            // Values that stand in lines look like lines.
            let sent = if sent == "JSON-RPC in values" { "JSON-RPC in lines" } else { sent };
            vec![sent, beginning, spoken, framer]
        }
        (Layer::Messages(_), _) => vec!["HTTP", "`HTTP/1.1 400 Bad Request", "`http://`", "`ws://`"],
        // In the handshake, which offers HTTP/2 only.
        (Layer::Http2, Layer::WebSocket) if client.tls => vec!["no protocol in common", "HTTP/2 only"],
        (Layer::Http2, _) => vec!["`HTTP/1.1 400 Bad Request", "version 1", "`http2_only`"],
        (_, Layer::Messages(framing)) => {
            let [spoken, ..] = framing.facts();
            vec!["400", spoken, "no HTTP", if server.tls { "connect to tls://" } else { "connect to tcp://" }]
        }
        (_, Layer::WebSocket) => vec!["405", "WebSocket"],
        (_, Layer::Http | Layer::Http2) => panic!("{client} is understood by {server}"),
    }
}

/// What the server has to say in the log: the first bytes, and what they look like.
fn logged(client: Speech, server: Speech) -> Option<[&'static str; 2]> {
    let plain = match client.layer {
        Layer::Messages(Framing::Values) => [r#"{\"jsonrpc"#, "JSON-RPC in lines"],
        Layer::Messages(framing) => {
            let [name, _, beginning] = framing.facts();
            [beginning.trim_start_matches('`'), name]
        }
        Layer::Http => ["POST / HTTP/1.1", "HTTP"],
        Layer::Http2 => ["PRI * HTTP/2.0", "HTTP"],
        Layer::WebSocket => ["GET / HTTP/1.1", "HTTP"],
    };
    match (client.layer, server.layer) {
        _ if client.tls && !server.tls => Some([r"\x16\x03\x01", "TLS"]),
        _ if server.tls && !client.tls => Some(plain),
        // HTTP, at the wrong path or by the wrong method.
        (Layer::Http | Layer::Http2 | Layer::WebSocket, Layer::Http | Layer::WebSocket) => None,
        _ => Some(plain),
    }
}

/// That a server has said once, and not as a warning, what has come.
async fn server_says(events: &Events, server: &ServerHandle, facts: Option<[&str; 2]>, what: &str) {
    soon(async {
        while !server.sessions().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let is_told = |event: &&rpc_tests::Event| {
        let told = event.fields.values().cloned().collect::<Vec<_>>().join(" ");
        facts.is_none_or(|facts| facts.iter().all(|fact| told.contains(fact)))
    };
    let of_strangers = |event: &rpc_tests::Event| {
        event.message.starts_with("a peer speaks another protocol")
            || event.message == "a handshake has failed"
    };
    soon(async {
        while facts.is_some()
            && !events.all().iter().filter(|event| of_strangers(event)).any(|event| is_told(&event))
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let warned: Vec<_> = events.all().into_iter().filter(|event| event.level <= Level::WARN).collect();
    assert!(warned.is_empty(), "{what}: {warned:?}");
    let told: Vec<_> = events.all().into_iter().filter(of_strangers).collect();
    // Where the client is one of the session's, it tells what it has heard, too.
    assert!(told.len() <= 2, "{what}: {told:?}");
}

#[tokio::test]
async fn every_client_learns_at_once_what_a_server_speaks_that_does_not_understand_it() {
    let tls = tls();
    for server in servers() {
        let handle = server.serve(&tls).await;
        for client in clients() {
            if client.is_understood_by(server) {
                continue;
            }
            let what = format!("{client} at a server of {server}");
            let events = Events::capture();
            let begun = Instant::now();
            let called = soon(client.call(handle.endpoint(), &tls)).await;
            let told = called.expect_err(&what);
            assert!(begun.elapsed() < Duration::from_secs(1), "{what}: {:?}", begun.elapsed());
            says(&told, &facts(client, server), &what);
            server_says(&events, &handle, logged(client, server), &what).await;
        }
        // It goes on, and serves who understands it.
        for client in clients().into_iter().filter(|client| client.is_understood_by(server)) {
            let called = soon(client.call(handle.endpoint(), &tls)).await;
            assert_eq!(called.as_deref(), Ok("pong"), "{client} at a server of {server}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn so_it_is_over_unix_sockets() {
    let folder = rpc_tests::Scratch::new();
    let layers = [Layer::Messages(Framing::Lines), Layer::Messages(Framing::Headers), Layer::Http];
    for (number, server) in layers.into_iter().enumerate() {
        let url = format!("unix:{}", folder.path(&number.to_string()).display());
        let server = Speech::new(server, false);
        let _handle = server.serve_at(Listen::at(&url).expect("a URL")).await;
        for client in layers.into_iter().filter(|layer| matches!(layer, Layer::Messages(_))) {
            let client = Speech::new(client, false);
            let called = soon(client.call_by(Connector::new(&url).expect("a URL"))).await;
            match client.is_understood_by(server) {
                true => assert_eq!(called.as_deref(), Ok("pong"), "{client}"),
                false => says(&called.expect_err("another protocol"), &facts(client, server), &url),
            }
        }
    }
}

/// In memory, where time stands still: nothing waits for a timer.
#[tokio::test(start_paused = true)]
async fn no_time_passes_until_a_framing_is_known() {
    for server in FRAMINGS.map(|framing| Speech::new(Layer::Messages(framing), false)) {
        for client in FRAMINGS.map(|framing| Speech::new(Layer::Messages(framing), false)) {
            if client.is_understood_by(server) {
                continue;
            }
            let name = format!("memory:wrong-protocol-{:?}-{:?}", client.layer, server.layer);
            let name = name.replace(['(', ')'], "-");
            let _handle = server.serve_at(Listen::at(&name).expect("a URL")).await;
            let begun = tokio::time::Instant::now();
            let called = client.call_by(Connector::new(&name).expect("a URL")).await;
            says(&called.expect_err("another framing"), &facts(client, server), &name);
            assert_eq!(begun.elapsed(), Duration::ZERO, "{name}");
            settled().await;
        }
    }
}
