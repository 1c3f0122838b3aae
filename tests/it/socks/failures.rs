//! Each way in which a proxy does not connect is an error of its own.

use std::{error::Error, io, time::Duration};

use rpc::{
    ConnectError,
    transport::socks::{SocksError, SocksProxy, SocksReply, SocksStep, SocksVersion},
};

use super::{
    connected, failure,
    script::{Act, Script, says},
};

const URL: &str = "tcp://example.org:80";

/// The lengths of what a proxy of version 5 hears.
const GREETING: Act = Act::HearsAny(3);
const GREETING_WITH_LOGIN: Act = Act::HearsAny(4);
const LOGIN: Act = Act::HearsAny(12);
const REQUEST: Act = Act::HearsAny(18);
/// And of version 4a.
const REQUEST_4A: Act = Act::HearsAny(21);

/// What comes of a proxy that plays `acts`.
async fn played<const N: usize>(scheme: &str, login: bool, acts: [Act; N]) -> SocksError {
    let script = Script::of(acts).await;
    let proxy = script.proxy(scheme);
    let error = failure(URL, if login { proxy.credentials("ann", "secret") } else { proxy }).await;
    script.played().await;
    error
}

#[tokio::test]
async fn every_reply_code_of_version_5_has_a_name() {
    use SocksReply as Reply;
    for (code, expected, told) in [
        (0x01, Reply::GeneralFailure, "general failure (01)"),
        (0x02, Reply::NotAllowed, "not allowed by its rules (02)"),
        (0x03, Reply::NetworkUnreachable, "network unreachable (03)"),
        (0x04, Reply::HostUnreachable, "host unreachable (04)"),
        (0x05, Reply::ConnectionRefused, "connection refused (05)"),
        (0x06, Reply::TtlExpired, "time to live expired (06)"),
        (0x07, Reply::CommandNotSupported, "command not supported (07)"),
        (0x08, Reply::AddressTypeNotSupported, "address type not supported (08)"),
        (0xF0, Reply::OnionNotFound, "onion service not found (F0)"),
        (0xF1, Reply::OnionInvalid, "onion service's descriptor invalid (F1)"),
        (0xF2, Reply::OnionIntroductionFailed, "onion service's introduction failed (F2)"),
        (0xF3, Reply::OnionRendezvousFailed, "rendezvous with the onion service failed (F3)"),
        (0xF4, Reply::OnionNeedsAuthorization, "onion service needs authorization (F4)"),
        (0xF5, Reply::OnionWrongAuthorization, "wrong authorization for the onion service (F5)"),
        (0xF6, Reply::OnionBadAddress, "no address of an onion service (F6)"),
        (0xF7, Reply::OnionIntroductionTimedOut, "onion service's introduction timed out (F7)"),
        (0x42, Reply::Other { version: SocksVersion::V5, code: 0x42 }, "code 42, unknown in version 5"),
        (0xFF, Reply::Other { version: SocksVersion::V5, code: 0xFF }, "code FF, unknown in version 5"),
    ] {
        // With and without what should follow the code.
        for rest in [&[0, 1, 0, 0, 0, 0, 0, 0][..], &[]] {
            let reply = says([&[5, code], rest].concat());
            let error = played("socks5", false, [GREETING, says([5, 0]), REQUEST, reply]).await;
            assert!(matches!(error, SocksError::Refused(reply) if reply == expected), "{code:02X}: {error}");
            assert_eq!(rpc::chain(&error).to_string(), format!("the proxy did not connect: {told}"));
        }
    }
}

#[tokio::test]
async fn every_reply_code_of_versions_4_and_4a_has_a_name() {
    use SocksReply as Reply;
    for (code, expected, told) in [
        (91, Reply::Rejected, "rejected or failed (5B)"),
        (92, Reply::NoIdentd, "no identd on this machine (5C)"),
        (93, Reply::IdentdDisagrees, "identd on this machine names another user (5D)"),
        (0, Reply::Other { version: SocksVersion::V4a, code: 0 }, "code 00, unknown in version 4a"),
        (94, Reply::Other { version: SocksVersion::V4a, code: 94 }, "code 5E, unknown in version 4a"),
    ] {
        let error = played("socks4a", false, [REQUEST_4A, says([0, code, 0, 0, 0, 0, 0, 0])]).await;
        assert!(matches!(error, SocksError::Refused(reply) if reply == expected), "{code}: {error}");
        assert_eq!(rpc::chain(&error).to_string(), format!("the proxy did not connect: {told}"));
    }
}

#[tokio::test]
async fn credentials_are_refused_by_a_status_or_by_hanging_up() {
    for status in [1, 0xFF] {
        let error =
            played("socks5", true, [GREETING_WITH_LOGIN, says([5, 2]), LOGIN, says([1, status])]).await;
        assert!(
            matches!(error, SocksError::CredentialsRefused { status: Some(code) } if code == status),
            "{error}"
        );
        assert_eq!(
            rpc::chain(&error).to_string(),
            format!("the proxy refuses the credentials: status {status:02X}")
        );
    }
    for ends in [Act::Closes, Act::Resets] {
        let error = played("socks5", true, [GREETING_WITH_LOGIN, says([5, 2]), LOGIN, ends]).await;
        assert!(matches!(error, SocksError::CredentialsRefused { status: None }), "{error}");
        assert_eq!(
            rpc::chain(&error).to_string(),
            "the proxy refuses the credentials: it closed the connection on them"
        );
    }
}

#[tokio::test]
async fn a_proxy_that_wants_to_be_logged_in_at_in_another_way_is_told_from_one_that_refuses() {
    let told = "the proxy accepts none of the ways to log in that were offered: ";
    // FF is none; 02 is one that was not offered, which some choose all the same.
    for answer in [0xFF, 2] {
        let error = played("socks5", false, [GREETING, says([5, answer])]).await;
        assert!(matches!(error, SocksError::NoAcceptableMethod { with_credentials: false }), "{error}");
        assert_eq!(rpc::chain(&error).to_string(), format!("{told}none at all (no credentials are set)"));
    }
    let error = played("socks5", true, [GREETING_WITH_LOGIN, says([5, 0xFF])]).await;
    assert!(matches!(error, SocksError::NoAcceptableMethod { with_credentials: true }), "{error}");
    assert_eq!(rpc::chain(&error).to_string(), format!("{told}none at all, and user with password"));
}

#[tokio::test]
async fn hanging_up_without_an_answer_is_told_with_the_step() {
    for ends in [Act::Closes, Act::Resets] {
        for (error, at) in [
            (played("socks5", false, [GREETING, ends.clone()]).await, SocksStep::Greeting),
            (
                played("socks5", false, [GREETING, says([5, 0]), REQUEST, ends.clone()]).await,
                SocksStep::Request,
            ),
            (played("socks4a", false, [REQUEST_4A, ends.clone()]).await, SocksStep::Request),
            // In the middle of an answer.
            (played("socks5", false, [GREETING, says([5]), ends.clone()]).await, SocksStep::Greeting),
            (
                played(
                    "socks5",
                    false,
                    [GREETING, says([5, 0]), REQUEST, says([5, 0, 0, 3, 9]), ends.clone()],
                )
                .await,
                SocksStep::Request,
            ),
        ] {
            assert!(matches!(error, SocksError::Closed { step, .. } if step == at), "{ends:?}: {error}");
            let told = format!("the proxy closed the connection without an answer {at}");
            assert_eq!(error.to_string(), told);
            assert!(error.source().expect("how it ended").is::<io::Error>());
        }
    }
}

#[tokio::test]
async fn what_is_no_proxy_is_told_by_what_it_sent() {
    for (scheme, acts, (at, sent)) in [
        ("socks5", vec![GREETING, says("HTTP/1.1 400 Bad Request\r\n")], (SocksStep::Greeting, "48 54")),
        // It speaks version 4.
        ("socks5", vec![GREETING, says([0, 91, 0, 0, 0, 0, 0, 0])], (SocksStep::Greeting, "00 5B")),
        // It chooses what nobody has offered, such as GSSAPI.
        ("socks5", vec![GREETING, says([5, 1])], (SocksStep::Greeting, "05 01")),
        ("socks5", vec![GREETING, says([5, 0]), REQUEST, says([4, 0])], (SocksStep::Request, "04 00")),
        // There is no such kind of address.
        (
            "socks5",
            vec![GREETING, says([5, 0]), REQUEST, says([5, 0, 0, 2, 0, 0])],
            (SocksStep::Request, "05 00 00 02"),
        ),
        ("socks4a", vec![REQUEST_4A, says([5, 0xFF])], (SocksStep::Request, "05 FF")),
        ("socks4a", vec![REQUEST_4A, says([4, 90, 0, 0, 0, 0, 0, 0])], (SocksStep::Request, "04 5A")),
    ] {
        let script = Script::each([acts]).await;
        let error = failure(URL, script.proxy(scheme)).await;
        let version = scheme.trim_start_matches("socks");
        let told = format!("what listens there is no SOCKS {version} proxy: {at} it sent {sent}");
        assert_eq!(rpc::chain(&error).to_string(), told);
        assert!(matches!(error, SocksError::NotSocks { step, .. } if step == at));
    }
    let acts = [GREETING_WITH_LOGIN, says([5, 2]), LOGIN, says([5, 1])];
    let error = played("socks5", true, acts).await.to_string();
    assert_eq!(error, "what listens there is no SOCKS 5 proxy: to the credentials it sent 05 01");
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_in_time_is_given_up() {
    // It never will: however short the time is, there is no race.
    let limit = Duration::from_millis(30);
    let script = Script::of([GREETING, says([5, 0]), REQUEST, Act::Idles]).await;
    let error = failure(URL, script.proxy("socks5").timeout(limit)).await;
    let SocksError::TimedOut { step, limit: told } = error else { panic!("{error}") };
    assert!(told == limit && matches!(step, SocksStep::Greeting | SocksStep::Request));

    let script = Script::of([Act::Idles]).await;
    let error = failure(URL, script.proxy("socks4a").timeout(limit)).await;
    assert_eq!(rpc::chain(&error).to_string(), "the proxy did not answer to the request: not within 30ms");
}

#[tokio::test]
async fn a_proxy_that_cannot_be_connected_to_is_told_from_a_host_that_cannot() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let addr = nobody.local_addr().expect("it is bound");
    drop(nobody);
    let proxy = SocksProxy::new(&format!("socks5://{addr}")).expect("a URL");
    let error = connected(URL, proxy.clone()).await.expect_err("nobody listens");
    let told = rpc::chain(&error).to_string();
    let ConnectError::Socks { endpoint, proxy: by, source } = error else { panic!("{told}") };
    assert_eq!((endpoint.to_string().as_str(), by), (URL, proxy));
    let SocksError::Unreachable { source } = source else { panic!("{told}") };
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    let because = format!("the proxy cannot be connected to: {source}");
    assert_eq!(told, format!("cannot connect to {URL} by way of socks5://{addr}: {because}"));
}

#[tokio::test]
async fn a_place_on_this_machine_is_not_connected_to_by_way_of_a_proxy() {
    let proxy = SocksProxy::tor();
    let error = connected("memory:beside a proxy", proxy).await.expect_err("it is no place on a network");
    assert_eq!(
        rpc::chain(&error).to_string(),
        "cannot connect to memory:beside a proxy: a proxy leads to the network, and this is a place on this machine"
    );
}
