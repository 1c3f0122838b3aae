//! What a proxy is asked, to the byte.

use std::collections::HashSet;

use rpc::transport::socks::{SocksError, SocksProxy, SocksReply, SocksVersion};

use super::{
    connected, failure,
    script::{Act, Script, hears, says},
};

/// By which the talk ends: what was asked is what matters.
const REFUSES_5: [u8; 2] = [5, 1];
const REFUSES_4: [u8; 2] = [0, 91];

#[tokio::test]
async fn version_5_asks_for_names_and_addresses_as_they_are() {
    let [http, high] = [[0, 80], [0xC3, 0x50]];
    for (url, request) in [
        ("tcp://nobody.invalid:80", [&[5, 1, 0, 3, 14][..], b"nobody.invalid", &http].concat()),
        ("tcp://192.0.2.7:50000", [&[5, 1, 0, 1, 192, 0, 2, 7][..], &high].concat()),
        (
            "tcp://[2001:db8::7]:80",
            [&[5, 1, 0, 4, 0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..], &http].concat(),
        ),
    ] {
        let script = Script::of([hears([5, 1, 0]), says([5, 0]), hears(request), says(REFUSES_5)]).await;
        let error = failure(url, script.proxy("socks5")).await;
        assert!(matches!(error, SocksError::Refused(SocksReply::GeneralFailure)), "{url}: {error}");
        script.played().await;
    }
}

#[tokio::test]
async fn version_5_sends_a_user_and_a_password_where_the_proxy_wants_them() {
    let request = [5, 1, 0, 1, 192, 0, 2, 7, 0, 80];
    let script = Script::of([
        hears([5, 2, 0, 2]),
        says([5, 2]),
        hears(b"\x01\x03ann\x06secret"),
        says([1, 0]),
        hears(request),
        says(REFUSES_5),
    ])
    .await;
    failure("tcp://192.0.2.7:80", script.proxy("socks5").credentials("ann", "secret")).await;
    script.played().await;

    let script = Script::of([hears([5, 2, 0, 2]), says([5, 0]), hears(request), says(REFUSES_5)]).await;
    failure("tcp://192.0.2.7:80", script.proxy("socks5").credentials("ann", "secret")).await;
    script.played().await;
}

#[tokio::test]
async fn versions_4_and_4a_send_addresses_names_and_the_user() {
    for (scheme, url, user, request) in [
        ("socks4", "tcp://192.0.2.7:80", "", b"\x04\x01\x00\x50\xC0\x00\x02\x07\x00".as_slice()),
        ("socks4", "tcp://192.0.2.7:80", "ann", b"\x04\x01\x00\x50\xC0\x00\x02\x07ann\x00"),
        ("socks4a", "tcp://192.0.2.7:80", "", b"\x04\x01\x00\x50\xC0\x00\x02\x07\x00"),
        ("socks4a", "tcp://0.0.0.0:80", "", b"\x04\x01\x00\x50\x00\x00\x00\x00\x00"),
        (
            "socks4a",
            "tcp://nobody.invalid:80",
            "ann",
            b"\x04\x01\x00\x50\x00\x00\x00\x01ann\x00nobody.invalid\x00",
        ),
    ] {
        let script = Script::of([hears(request), says(REFUSES_4)]).await;
        let error = failure(url, script.proxy(scheme).credentials(user, "")).await;
        assert!(matches!(error, SocksError::Refused(SocksReply::Rejected)), "{scheme} {url}: {error}");
        script.played().await;
    }
}

#[tokio::test]
async fn random_credentials_are_others_for_each_connection() {
    const CONNECTIONS: usize = 3;
    let acts = [Act::HearsAny(4), says([5, 2]), Act::HearsAny(131), says([1, 1])];
    let script = Script::each(vec![acts.to_vec(); CONNECTIONS]).await;
    let proxy = script.proxy("socks5").random_credentials();
    for _ in 0..CONNECTIONS {
        failure("tcp://nobody.invalid:80", proxy.clone()).await;
    }
    let mut seen = HashSet::new();
    for heard in script.played().await {
        // The greeting, and the version and two lengths before a user and a password of 64 digits each.
        assert_eq!(heard[..6], [5, 2, 0, 2, 1, 64]);
        assert_eq!(heard[70], 64);
        for text in [&heard[6..70], &heard[71..]] {
            assert!(text.iter().all(u8::is_ascii_hexdigit));
            seen.insert(text.to_vec());
        }
    }
    assert_eq!(seen.len(), 2 * CONNECTIONS, "one came twice");
}

/// There is no password that could be random.
#[tokio::test]
async fn random_credentials_are_a_user_only_where_there_are_no_passwords() {
    let script = Script::of([Act::HearsAny(8 + 64 + 1), says(REFUSES_4)]).await;
    failure("tcp://192.0.2.7:80", script.proxy("socks4").random_credentials()).await;
    let heard = script.played().await;
    assert!(heard[0][8..72].iter().all(u8::is_ascii_hexdigit), "{heard:?}");
    assert_eq!(heard[0][72], 0);
}

#[tokio::test]
async fn tor_is_asked_at_its_usual_port() {
    assert_eq!(SocksProxy::tor().to_string(), "socks5://127.0.0.1:9050");
    let (tor, by_url) = (SocksProxy::tor(), SocksProxy::new("socks5://127.0.0.1:9050").expect("a URL"));
    assert_ne!(tor, by_url, "its credentials are random");
    assert_eq!(tor, by_url.random_credentials());
}

#[tokio::test]
async fn names_are_resolved_on_this_machine_where_that_is_asked_for() {
    let granted = [0, 90, 0, 0, 0, 0, 0, 0];
    let script = Script::of([hears(b"\x04\x01\x00\x50\x7F\x00\x00\x01\x00"), says(granted)]).await;
    connected("tcp://localhost:80", script.proxy("socks4").resolve_locally()).await.expect("it is granted");
    script.played().await;

    let script = Script::of([Act::Idles]).await;
    let error = failure("tcp://nobody.invalid:80", script.proxy("socks5").resolve_locally()).await;
    assert!(matches!(error, SocksError::Resolve { .. }), "{error}");
}

#[tokio::test]
async fn what_a_version_cannot_say_is_an_error_before_anything_is_sent() {
    let long = "x".repeat(256);
    for (scheme, url, (user, password), told) in [
        (
            "socks4",
            "tcp://nobody.invalid:80",
            ("", ""),
            "SOCKS 4 cannot ask for nobody.invalid: it knows no names: resolve them on this machine (`resolve_locally`), or use 4a or 5",
        ),
        ("socks4", "tcp://[::1]:80", ("", ""), "SOCKS 4 cannot ask for ::1: it knows no IPv6"),
        ("socks4a", "tcp://[::1]:80", ("", ""), "SOCKS 4a cannot ask for ::1: it knows no IPv6"),
        (
            "socks4a",
            "tcp://host:80",
            ("an\0n", ""),
            "SOCKS 4a cannot send the user: there is a zero in it, which would end it",
        ),
        (
            "socks4",
            "tcp://0.0.0.1:80",
            ("", ""),
            "SOCKS 4 cannot ask for 0.0.0.1: an address 0.0.0.x says that a name follows",
        ),
        (
            "socks4a",
            "tcp://0.0.0.255:80",
            ("", ""),
            "SOCKS 4a cannot ask for 0.0.0.255: an address 0.0.0.x says that a name follows",
        ),
        (
            "socks4",
            "tcp://192.0.2.7:80",
            ("ann", "secret"),
            "SOCKS 4 cannot send the password: it has none: give the user and an empty password, or use version 5",
        ),
        (
            "socks4a",
            "tcp://host:80",
            ("", "secret"),
            "SOCKS 4a cannot send the password: it has none: give the user and an empty password, or use version 5",
        ),
        (
            "socks5",
            "tcp://[fe80::1%25eth0]:80",
            ("ann", "secret"),
            "SOCKS 5 cannot ask for fe80::1%eth0: its zone means something on this machine only, and not where the proxy is",
        ),
        ("socks5", "tcp://host:80", ("", "secret"), "SOCKS 5 cannot send the user: it is empty"),
        (
            "socks5",
            "tcp://host:80",
            (&long, "secret"),
            "SOCKS 5 cannot send the user: it is longer than 255 bytes",
        ),
        (
            "socks5",
            "tcp://host:80",
            ("ann", &long),
            "SOCKS 5 cannot send the password: it is longer than 255 bytes",
        ),
    ] {
        // It does not answer: what is sent to it would be waited for.
        let script = Script::of([Act::Idles]).await;
        let proxy = script.proxy(scheme).credentials(user, password);
        assert_eq!(failure(url, proxy).await.to_string(), told);
    }
}

#[tokio::test]
async fn what_is_shown_of_a_proxy_has_no_password_in_it() {
    let proxy = SocksProxy::new("socks5://zoe:hunter2@localhost:1080").expect("a URL");
    assert_eq!((proxy.version(), proxy.host().as_str(), proxy.port()), (SocksVersion::V5, "localhost", 1080));
    let connector = rpc::Connector::new("tcp://host:1").expect("a URL").proxy(proxy.clone());
    let script = Script::of([Act::Closes]).await;
    let refused = script.proxy("socks5").credentials("zoe", "hunter2");
    let error = connected("tcp://host:1", refused).await.expect_err("it hangs up");
    for shown in [
        format!("{proxy:?}"),
        format!("{proxy}"),
        format!("{connector:?}"),
        format!("{error:?}"),
        format!("{error}"),
    ] {
        assert!(!shown.contains("hunter2") && !shown.contains("zoe"), "{shown}");
    }
}
