//! What proxies answer that have connected.

use std::net::SocketAddr;

use rpc::{
    CallError, CloseReason, Connector, HttpClient, HttpError, Listen, Server, ServerHandle,
    transport::socks::{Proxied, SocksAddress, SocksError},
};
use rpc_tests::{Authority, echo, http, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{
    connected,
    script::{Act, Script, relays, says},
};

/// A server, and its address.
async fn listening() -> (ServerHandle, SocketAddr) {
    let server = Server::builder().service(echo()).bind("tcp://127.0.0.1:0").await.expect("a port is free");
    let addr = server.endpoint().socket_addr().expect("an address");
    (server.start(), addr)
}

fn address(text: &str) -> SocksAddress {
    SocksAddress::Ip(text.parse().expect("an address"))
}

fn name(name: &str, port: u16) -> SocksAddress {
    SocksAddress::Name(name.to_owned(), port)
}

#[tokio::test]
async fn a_session_goes_through_whatever_the_proxy_says_of_its_own_address() {
    let (server, addr) = listening().await;
    let v6 = [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    for (reply, bound, shown) in [
        (vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0], address("0.0.0.0:0"), "0.0.0.0:0"),
        (vec![5, 0, 0, 1, 192, 0, 2, 7, 0x1F, 0x90], address("192.0.2.7:8080"), "192.0.2.7:8080"),
        ([&[5, 0, 0, 4][..], &v6, &[0, 80]].concat(), address("[2001:db8::7]:80"), "[2001:db8::7]:80"),
        ([&[5, 0, 0, 3, 4][..], b"here", &[0, 80]].concat(), name("here", 80), "here:80"),
        (vec![5, 0, 0, 3, 0, 0, 80], name("", 80), ":80"),
        (vec![5, 0, 0, 3, 2, 0xFF, b'x', 0, 80], name("\u{FFFD}x", 80), "\u{FFFD}x:80"),
        // What is reserved may be anything.
        (vec![5, 0, 7, 1, 0, 0, 0, 0, 0, 0], address("0.0.0.0:0"), "0.0.0.0:0"),
    ] {
        let script =
            Script::of([Act::HearsAny(3), says([5, 0]), Act::HearsAny(18), says(reply), Act::Relays(addr)])
                .await;
        let session = connected("tcp://example.org:80", script.proxy("socks5")).await.expect("it is granted");
        let echoed: Vec<u32> =
            soon(session.call("echo", [1, 2]).into_future()).await.expect("the server answers");
        assert_eq!(echoed, [1, 2]);

        assert_eq!(session.peer().to_string(), "tcp://example.org:80", "who is connected to, not the proxy");
        let proxied = session.extensions().get::<Proxied>().expect("it goes through a proxy");
        assert_eq!((proxied.proxy, &proxied.bound), (script.addr, &bound));
        assert_eq!(proxied.bound.to_string(), shown);
        soon(session.close()).await;
        script.played().await;
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn versions_4_and_4a_carry_a_session_too() {
    let (server, addr) = listening().await;
    for (scheme, url, request) in
        [("socks4", "tcp://192.0.2.7:80", 9), ("socks4a", "tcp://example.org:80", 21)]
    {
        let grants = says([0, 90, 0x1F, 0x90, 192, 0, 2, 9]);
        let script = Script::of([Act::HearsAny(request), grants, Act::Relays(addr)]).await;
        let session = connected(url, script.proxy(scheme)).await.expect("it is granted");
        let echoed: Vec<u32> =
            soon(session.call("echo", [3]).into_future()).await.expect("the server answers");
        assert_eq!(echoed, [3]);
        assert_eq!(session.extensions().get::<Proxied>().expect("proxied").bound, address("192.0.2.9:8080"));
        soon(session.close()).await;
        script.played().await;
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn what_the_host_says_right_behind_the_proxys_answer_is_the_sessions() {
    let reply = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let request = b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"echo\",\"params\":[1]}\n";
    let answer = b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":[1]}\n";
    let script = Script::of([
        Act::HearsAny(3),
        says([5, 0]),
        Act::HearsAny(18),
        // In one packet.
        says([&reply[..], request].concat()),
        super::script::hears(answer),
    ])
    .await;
    let connector = Connector::new("tcp://example.org:80").expect("a URL");
    let connector = connector.proxy(script.proxy("socks5")).service(echo());
    let session = soon(connector.connect()).await.expect("it is granted");
    script.played().await;
    drop(session);
}

#[tokio::test]
async fn a_connection_that_ends_right_behind_the_grant_is_a_session_that_the_peer_has_closed() {
    let reply = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let script =
        Script::of([Act::HearsAny(3), says([5, 0]), Act::HearsAny(18), says(reply), Act::Closes]).await;
    let session = connected("tcp://example.org:80", script.proxy("socks5")).await.expect("it is granted");
    assert!(matches!(soon(session.closed()).await, CloseReason::Peer));
    script.played().await;
}

#[tokio::test]
async fn tls_is_spoken_with_the_host_behind_the_proxy() {
    let authority = Authority::new();
    let listen =
        Listen::at("tls://127.0.0.1:0").expect("a URL").tls(authority.issue(&["example.org"]).server());
    let server = Server::builder().service(echo()).bind(listen).await.expect("a port is free");
    let addr = server.endpoint().socket_addr().expect("an address");
    let server = server.start();
    let script = Script::of(relays("example.org", addr)).await;
    // The certificate is for the name that only the proxy knows.
    let connector = Connector::new("tls://example.org:80").expect("a URL").tls(authority.trusted());
    let session = soon(connector.proxy(script.proxy("socks5")).connect()).await.expect("it is granted");
    let echoed: Vec<u32> = soon(session.call("echo", [4]).into_future()).await.expect("the server answers");
    assert_eq!(echoed, [4]);
    assert!(session.extensions().get::<Proxied>().is_some());
    soon(session.close()).await;
    script.played().await;
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn http_goes_through_a_proxy_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let script = Script::of(relays("example.org", listener.local_addr().expect("it is bound"))).await;
    let builder = HttpClient::builder("http://example.org/").expect("a URL");
    let client = builder.proxy(script.proxy("socks5")).build().expect("a client");
    let serves = async {
        let (mut io, _) = listener.accept().await.expect("the proxy connects");
        let mut heard = Vec::new();
        while !heard.ends_with(b"}") {
            assert_ne!(io.read_buf(&mut heard).await.expect("the proxy is there"), 0);
        }
        let answer = http::ok(r#"{"jsonrpc":"2.0","id":1,"result":3}"#);
        io.write_all(answer.as_bytes()).await.expect("the proxy is there");
        String::from_utf8(heard).expect("a text")
    };
    let (sum, heard) =
        soon(async { tokio::join!(client.call::<u8>("add", (1, 2)).into_future(), serves) }).await;
    assert_eq!(sum.expect("it is answered"), 3);
    assert!(heard.to_ascii_lowercase().contains("\r\nhost: example.org\r\n"), "{heard}");
    drop(client);
    script.played().await;

    let script = Script::of([Act::HearsAny(3), says([5, 0xFF])]).await;
    let builder = HttpClient::builder("http://example.org/").expect("a URL");
    let client = builder.proxy(script.proxy("socks5")).build().expect("a client");
    let error = soon(client.call::<u8>("add", (1, 2)).into_future()).await.expect_err("the proxy refuses");
    let CallError::Http(HttpError::Socks { proxy, source, .. }) = error else { panic!("{error}") };
    assert_eq!(proxy, script.proxy("socks5"));
    assert!(matches!(*source, SocksError::NoAcceptableMethod { .. }), "{source}");
    script.played().await;
}
