//! Tests that need paused time, or a name with given addresses.

use std::{cell::RefCell, io};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::{Instant, sleep},
};

use super::*;
use crate::transport::socks::SocksReply;

const LIMIT: Duration = Duration::from_secs(7);

/// The outcome of a request to a proxy that answers as given, and is silent afterwards.
async fn asked(version: SocksVersion, answers: &[(usize, &[u8])]) -> Result<SocksAddress, SocksError> {
    let (mut ours, mut theirs) = duplex(1024);
    let password = if version == SocksVersion::V5 { "secret" } else { "" };
    let pair = UserAndPassword { user: "ann".into(), password: password.into() };
    let request = SocksRequest::new(version, &Host::Name("example.org".into()), 80, Some(&pair)).unwrap();
    let play = async {
        for (length, answer) in answers {
            theirs.read_exact(&mut vec![0; *length]).await.unwrap();
            for byte in *answer {
                // Each byte in a packet of its own.
                sleep(Duration::from_millis(1)).await;
                theirs.write_all(&[*byte]).await.unwrap();
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        made = request.make(&mut ours, Some(LIMIT)) => made,
        () = play => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_nothing_is_given_up_and_the_step_is_known() {
    let login = 3 + "ann".len() + "secret".len();
    for (version, answers, at) in [
        (SocksVersion::V4a, &[][..], SocksStep::Request),
        (SocksVersion::V5, &[][..], SocksStep::Greeting),
        (SocksVersion::V5, &[(4, &[5, 2][..])][..], SocksStep::Credentials),
        (SocksVersion::V5, &[(4, &[5, 2][..]), (login, &[1, 0])][..], SocksStep::Request),
        // An incomplete reply.
        (SocksVersion::V5, &[(4, &[5, 0][..]), (18, &[5, 0, 0, 1, 127, 0, 0])][..], SocksStep::Request),
    ] {
        let start = Instant::now();
        let error = asked(version, answers).await.unwrap_err();
        let SocksError::TimedOut { step, limit } = error else { panic!("{error}") };
        assert_eq!((step, limit, start.elapsed()), (at, LIMIT, LIMIT));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_come_byte_by_byte() {
    let reply = [&[5, 0, 0, 3, 4][..], b"name", &[0x1F, 0x90]].concat();
    let bound = asked(SocksVersion::V5, &[(4, &[5, 0]), (18, &reply)]).await.unwrap();
    assert_eq!(bound, SocksAddress::Name("name".into(), 8080));

    let request = 8 + "ann\0example.org\0".len();
    let bound = asked(SocksVersion::V4a, &[(request, &[0, 90, 0x1F, 0x90, 192, 0, 2, 1])]).await.unwrap();
    assert_eq!(bound, SocksAddress::Ip("192.0.2.1:8080".parse().unwrap()));
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

const REFUSED: SocksError = SocksError::Refused(SocksReply::HostUnreachable);

#[tokio::test]
async fn one_address_after_the_other_is_asked_for_until_one_is_connected_to() {
    let all = addresses(&["[2001:db8::1]:80", "192.0.2.1:80", "192.0.2.2:80"]);
    let asked_for = RefCell::new(Vec::new());
    let connected = connect_to_one_of(all.clone(), SocksVersion::V5, "example.org", |address| {
        asked_for.borrow_mut().push(address);
        async move { if address == "192.0.2.1:80".parse().unwrap() { Ok(address) } else { Err(REFUSED) } }
    });
    assert_eq!(connected.await.unwrap(), all[1]);
    assert_eq!(*asked_for.borrow(), all[..2]);
}

/// As with 0.0.0.x in version 4.
#[tokio::test]
async fn an_address_that_cannot_be_asked_for_is_no_reason_not_to_ask_for_the_next() {
    let connected =
        connect_to_one_of(addresses(&["0.0.0.7:80", "192.0.2.1:80"]), SocksVersion::V4a, "x", |address| {
            let asked = SocksRequest::new(SocksVersion::V4a, &address.into(), 80, None);
            async move { asked.map(|_| address) }
        });
    assert_eq!(connected.await.unwrap(), "192.0.2.1:80".parse().unwrap());
}

#[tokio::test]
async fn what_the_proxy_said_of_each_address_is_listed() {
    let all = addresses(&["[2001:db8::1]:80", "192.0.2.1:80"]);
    let error =
        connect_to_one_of(all, SocksVersion::V5, "example.org", |_| async { Err::<(), _>(REFUSED) }).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "the proxy did not connect to any of the name's addresses: \
         2001:db8::1: the proxy did not connect: host unreachable (04); \
         192.0.2.1: the proxy did not connect: host unreachable (04)"
    );
}

#[tokio::test]
async fn what_is_not_about_the_address_is_not_tried_with_the_next_one() {
    let asked_for = RefCell::new(0);
    let outcome = connect_to_one_of(
        addresses(&["192.0.2.1:80", "192.0.2.2:80"]),
        SocksVersion::V5,
        "example.org",
        |_| {
            *asked_for.borrow_mut() += 1;
            async {
                Err::<(), _>(SocksError::Unreachable { source: io::ErrorKind::ConnectionRefused.into() })
            }
        },
    );
    assert!(matches!(outcome.await, Err(SocksError::Unreachable { .. })));
    assert_eq!(*asked_for.borrow(), 1);
}

#[tokio::test]
async fn version_4_is_asked_for_addresses_of_ipv4_only() {
    for version in [SocksVersion::V4, SocksVersion::V4a] {
        let all = addresses(&["[2001:db8::1]:80", "192.0.2.1:80"]);
        let connected = connect_to_one_of(all, version, "example.org", |address| async move { Ok(address) });
        assert_eq!(connected.await.unwrap(), "192.0.2.1:80".parse().unwrap());

        let outcome =
            connect_to_one_of(addresses(&["[2001:db8::1]:80"]), version, "example.org", |_| async { Ok(()) });
        let error = outcome.await.unwrap_err().to_string();
        let reason = "none of its addresses is IPv4, and it knows no other";
        assert_eq!(error, format!("SOCKS {version} cannot ask for example.org: {reason}"));
    }
}
