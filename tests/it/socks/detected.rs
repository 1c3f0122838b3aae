//! Finding out whether there is a proxy. What each answer means is tested in memory, where time stands still.

use rpc::transport::socks::{SocksProxy, SocksVersion};
use rpc_tests::soon;

use super::script::{Act, Script, hears, says};

const ASKED_4A: &[u8] = b"\x04\x01\x00\x50\x00\x00\x00\x01\x00www.apple.com\x00";
const ASKED_4: &[u8] = b"\x04\x01\x00\x35\x08\x08\x08\x08\x00";

#[tokio::test]
async fn the_newest_version_that_is_answered_is_the_one() {
    let scripts: [(_, Vec<Vec<Act>>); 3] = [
        (SocksVersion::V5, vec![vec![hears([5, 1, 0]), says([5, 0xFF])]]),
        (SocksVersion::V4a, vec![vec![hears([5, 1, 0])], vec![hears(ASKED_4A), says([0, 91])]]),
        (
            SocksVersion::V4,
            vec![
                vec![hears([5, 1, 0])],
                vec![hears(ASKED_4A)],
                vec![hears(ASKED_4), says([0, 90, 0, 0, 0, 0, 0, 0])],
            ],
        ),
    ];
    for (version, acts) in scripts {
        let script = Script::each(acts).await;
        let proxy = soon(SocksProxy::detect("127.0.0.1", script.addr.port())).await.expect("there is one");
        assert_eq!(proxy.version(), version);
        assert_eq!((proxy.host(), proxy.port()), ("127.0.0.1".to_owned(), script.addr.port()));
        script.played().await;
    }
}

#[tokio::test]
async fn what_is_no_proxy_is_not_found() {
    let http = || vec![Act::HearsAny(3), says("HTTP/1.1 400 Bad Request\r\n\r\n")];
    let script = Script::each([http(), http(), http()]).await;
    assert_eq!(soon(SocksProxy::detect("127.0.0.1", script.addr.port())).await, None);
    script.played().await;
    assert_eq!(soon(SocksProxy::detect("no host name", 1080)).await, None);
}

#[tokio::test]
async fn ports_are_tried_in_their_order() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let nobody = closed.local_addr().expect("it is bound").port();
    drop(closed);
    let other = Script::each(vec![vec![]; 3]).await;
    let first = Script::of([hears([5, 1, 0]), says([5, 0])]).await;
    let second = Script::of([Act::Idles]).await;
    let ports = [nobody, other.addr.port(), first.addr.port(), second.addr.port()];
    let proxy = soon(SocksProxy::detect_on("127.0.0.1", ports)).await.expect("there is one");
    assert_eq!(proxy.port(), first.addr.port());
    other.played().await;
    first.played().await;

    assert_eq!(soon(SocksProxy::detect_on("127.0.0.1", [nobody])).await, None);
}
