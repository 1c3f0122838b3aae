//! Addresses that are free, in use or unavailable, simulated and real.

use super::*;

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn failure(kind: io::ErrorKind) -> io::Error {
    kind.into()
}

#[test]
fn every_address_of_a_name_has_the_same_port() {
    let both = addresses(&["[::1]:0", "127.0.0.1:0"]);
    let mut given = vec![5001, 5002];
    let listening = listen_at_all(&both, |address| {
        let port = if address.port() == 0 { given.remove(0) } else { address.port() };
        Ok((SocketAddr::new(address.ip(), port), port))
    });
    assert_eq!(listening.unwrap(), addresses(&["[::1]:5001", "127.0.0.1:5001"]));
}

#[test]
fn a_port_that_is_taken_at_the_second_address_is_not_the_one() {
    let both = addresses(&["[::1]:0", "127.0.0.1:0"]);
    let mut given = vec![5001, 5002, 5003];
    let listening = listen_at_all(&both, |address| match address.port() {
        0 => {
            let port = given.remove(0);
            Ok((SocketAddr::new(address.ip(), port), port))
        }
        5001 | 5002 => Err(failure(io::ErrorKind::AddrInUse)),
        port => Ok((address, port)),
    });
    assert_eq!(listening.unwrap(), addresses(&["[::1]:5003", "127.0.0.1:5003"]));
}

#[test]
fn a_port_of_the_users_that_is_taken_at_one_address_is_a_failure() {
    let mut tried = 0;
    let outcome = listen_at_all(&addresses(&["[::1]:5001", "127.0.0.1:5001"]), |address| {
        tried += 1;
        if address.is_ipv6() { Ok(((), 5001)) } else { Err(failure(io::ErrorKind::AddrInUse)) }
    });
    assert_eq!((outcome.unwrap_err().kind(), tried), (io::ErrorKind::AddrInUse, 2));
}

#[test]
fn an_address_that_is_taken_everywhere_is_not_tried_for_ever() {
    let mut tried = 0;
    let outcome = listen_at_all(&addresses(&["[::1]:0", "127.0.0.1:0"]), |_| {
        tried += 1;
        Err::<((), u16), _>(failure(io::ErrorKind::AddrInUse))
    });
    assert_eq!((outcome.unwrap_err().kind(), tried), (io::ErrorKind::AddrInUse, PORTS_TO_TRY));
}

#[test]
fn an_address_that_this_machine_does_not_have_is_left_out() {
    for lacks in [failure(io::ErrorKind::AddrNotAvailable), io::Error::from_raw_os_error(97)] {
        let mut lacks = Some(lacks);
        let outcome = listen_at_all(&addresses(&["[::1]:0", "127.0.0.1:0"]), |address| {
            if address.is_ipv6() { Err(lacks.take().unwrap()) } else { Ok((address, 5001)) }
        });
        assert_eq!(outcome.unwrap(), addresses(&["127.0.0.1:0"]));
    }
    let outcome = listen_at_all(&addresses(&["192.0.2.1:0"]), |_| {
        Err::<((), u16), _>(failure(io::ErrorKind::AddrNotAvailable))
    });
    assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
}

#[tokio::test]
async fn what_is_chosen_reaches_the_socket() {
    let any: SocketAddr = "[::]:0".parse().unwrap();
    for choice in [true, false] {
        let options = ListenOptions {
            ipv6_only: Some(choice),
            reuse_address: choice,
            reuse_port: choice,
            ..ListenOptions::default()
        };
        let socket = socket_for(any, &options).unwrap();
        assert_eq!(SockRef::from(&socket).only_v6().unwrap(), choice);
        assert_eq!(socket.reuseaddr().unwrap(), choice);
        assert_eq!(socket.reuseport().unwrap(), choice);
    }
}

#[tokio::test]
async fn two_share_a_port_where_both_say_so() {
    let shared = ListenOptions { reuse_port: true, ..ListenOptions::default() };
    let first = listen_at("127.0.0.1:0".parse().unwrap(), &shared).unwrap();
    let address = first.local_addr().unwrap();
    listen_at(address, &shared).unwrap();
    let error = listen_at(address, &ListenOptions::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}
